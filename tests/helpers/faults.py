"""A command in a process of its own that meets a fault at a chosen moment.

Moments are counted by what the process does to files below its folder (opening one to write to it,
renaming, removing, making a folder), as Python reports it to audit hooks. That is where a fault may
do harm, and the same number is the same moment in every run.
"""

import faulthandler
import os
import re
import resource
import signal
import sys
from pathlib import Path

import pytest
import torch.utils.collect_env

from helpers import processes
from helpers.permissions import drop_privileges

KINDS = ("SIGKILL", "SIGTERM", "SIGINT", "full disk", "read-only", "no memory")
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_ROOM = 2**20  # bytes of memory that are left
_LONGEST = 100.0  # seconds
_STARTING = re.compile(r'threading.py", line \d+ in wait\n.*threading.py", line \d+ in start\n')

# With what they import only when it is needed, which every process would import anew.
processes.preload(
    "calib_adapters.data.grade", "calib_adapters.serving.evaluate", "calib_adapters.serving.model",
    "calib_leaderboards.gate.command", "calib_leaderboards.pages.publish",
    "calib_leaderboards.store", "harness_tasks.embedded_models", "harness_tasks.task",
    "calib_metrics.lm_eval_hooks", "calib_metrics.plots", "calib_adapters.training.curves",
    "lm_eval.evaluator", "lm_eval.tasks", "lm_eval.loggers", "pytablewriter",
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "matplotlib.figure",
    "PIL.BmpImagePlugin", "PIL.GifImagePlugin", "PIL.JpegImagePlugin", "PIL.PngImagePlugin",
    "PIL.PpmImagePlugin", "calib_leaderboards.tables", "harness_tasks.default_shots",
)  # fmt: skip


def run(arguments, folder, kind=None, moment=0):
    """Call `calibench` in `folder`; returns its exit status, or minus a signal, and the moments.

    With a `kind`, that fault happens at the moment of this number, from 1 on. What hangs after it
    fails; only without memory CPython itself may wait for ever for a thread that could not begin
    (python/cpython#140746), which counts as if the process had been killed.
    """
    receiver, sender = processes.pipe()
    hanging = folder.with_name(f"{folder.name}.hanging")
    process = processes.start(_run, arguments, folder, kind, moment, sender, hanging)
    process.join(2 * _LONGEST)
    stack = hanging.read_text() if hanging.exists() else ""
    if process.exitcode is None or (
        stack and not (kind == "no memory" and _STARTING.search(stack))
    ):
        pytest.fail(f"{arguments} hangs after {kind} at {moment}: {stack}")
    hanging.unlink(missing_ok=True)
    moments = receiver.recv() if receiver.poll() else None
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    return process.exitcode, moments


def _run(arguments, folder, kind, moment, sender, hanging):
    os.chdir(folder)
    stack = hanging.open("w")  # before there is a fault
    faulthandler.dump_traceback_later(_LONGEST, exit=True, file=stack)
    os.environ["CALIBENCH_CACHE"] = str(folder / "cache")
    if kind == "read-only":
        drop_privileges()
    done = 0

    def hook(event, details):
        nonlocal done
        if not _changes_files(event, details, str(folder)):
            return
        done += 1
        if done == moment:
            _strike(kind, folder)

    sys.addaudithook(hook)
    if arguments[0] == "model":
        _stand_in()
    torch.utils.collect_env.get_pretty_env_info = str  # it starts pip, which takes a second
    try:
        processes.calibench_command(arguments)
    finally:
        sender.send(done)


def _changes_files(event, details, folder):
    if event == "open":
        path, _, flags = details
        if not (isinstance(flags, int) and flags & _WRITING):
            return False
    elif event in _CHANGES:
        path = details[0]
    else:
        return False
    return not isinstance(path, int) and os.path.abspath(os.fsdecode(path)).startswith(folder)


def _strike(kind, folder):
    if kind == "full disk":
        # Python ignores the signal, so that every further write is an OSError.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    elif kind == "read-only":
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o555)
    elif kind == "no memory":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + _ROOM
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    elif kind is not None:
        os.kill(os.getpid(), getattr(signal, kind))


def _stand_in():
    """In the place of a download and its conversion: small files, written piece by piece."""
    from harness_tasks.embedded_models import cache

    def fetched(model, folder):
        folder.mkdir()
        for number in range(3):
            (folder / f"part{number}").write_bytes(bytes(1000))
        return folder / "part0"

    def converted(model, gguf, folder):
        folder.mkdir()
        with (folder / cache.WEIGHTS).open("wb") as weights:
            weights.write(gguf.read_bytes())
            weights.write(b"end")
        (folder / "config.json").write_text("{}")

    cache.fetch, cache.convert = fetched, converted
