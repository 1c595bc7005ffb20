"""One call of the command in a process of its own, and what became of it."""

from __future__ import annotations

import gc
import importlib
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import calib_metrics.pipes
from audit.damage import Expected
from helpers.permissions import drop_privileges

MEMORY = 12 * 2**30  # bytes of addresses: enough for a small model, too few to read /dev/zero
End = Literal["refused", "accepted", "traceback", "hang", "unclear"]


@dataclass(frozen=True)
class Case:
    """A call.

    Attributes:
        suite: cases whose valid input is the same; it is that of the first case.
        what: what was changed.
        arguments: of `calibench`.
        expected: what must happen; "valid" for the unchanged input.
        folder: where it is called; relative paths in the arguments are in it.
        outputs: files and folders that must not be there after a refusal.
        unprivileged: call it without the privileges of root.
        seconds: of the processor, after which it hangs; or five times as many on the clock.
    """

    suite: str
    what: str
    arguments: tuple[str | bytes, ...]
    expected: Expected | Literal["valid"]
    folder: Path
    outputs: tuple[str, ...] = ()
    unprivileged: bool = False
    seconds: float = 20.0
    environment: dict[str, str] = field(default_factory=dict)


class Found(NamedTuple):
    """How a call ended, what it printed, and which of its outputs it left."""

    end: End
    status: int
    out: str
    said: str
    left: tuple[str, ...]


NEEDS = {
    "score": ("calib_metrics.report", "harness_tasks.stock_logs.reports", "calib_metrics.plots"),
    "logs": ("calib_metrics.report", "harness_tasks.stock_logs.reports"),
    "grade": ("calib_adapters.data.grade",),
    "prepare": ("calib_adapters.data.prepare.tasks",),
    "template": ("harness_tasks.templates.write",),
    "self-instruct": ("calib_adapters.self_instruct",),
    "gate": ("calib_leaderboards.gate.command",),
    "leaderboard": ("calib_leaderboards.pages.publish", "calib_leaderboards.store"),
    "recalibrate": ("calib_metrics.recalibrated_table", "harness_tasks.stock_logs.sources"),
    "combine": ("calib_leaderboards.combined",),
    "model": ("harness_tasks.embedded_models",),
    "recipes": ("calib_adapters.training.recipe",),
    "judge": ("calib_adapters.serving.evaluate",),
    "tune": ("calib_adapters.tune",),
    "eval": ("calib_adapters.serving.evaluate", "calib_adapters.serving.model"),
}


def load(command: str) -> None:
    """Import once what a command needs, so that a forked process starts at once."""
    for name in ("calibench.cli", *NEEDS[command]):
        importlib.import_module(name)
    calib_metrics.pipes.PATIENCE = 0.5
    gc.collect()
    gc.freeze()


def call(case: Case) -> Found:
    """Call the command; a process that does not end in time is killed."""
    out, said = case.folder / ".out", case.folder / ".said"
    sys.stdout.flush()
    child = os.fork()
    if not child:
        _call(case, out, said)
    status = _wait(child, 5 * case.seconds)
    printed = said.read_text(encoding="utf-8", errors="replace")
    shown = out.read_text(encoding="utf-8", errors="replace")
    left = tuple(name for name in case.outputs if os.path.lexists(case.folder / name))
    return Found(_end(status, printed, shown), status, shown, printed, left)


def _call(case: Case, out: Path, said: Path) -> None:
    """Be the child."""
    code = 1
    try:
        os.setpgid(0, 0)
        os.chdir(case.folder)
        os.environ.update(case.environment)
        with open(os.devnull) as nothing, open(out, "w") as first, open(said, "w") as second:
            for stream, number in ((nothing, 0), (first, 1), (second, 2)):
                os.dup2(stream.fileno(), number)
            sys.stdin, sys.stdout = open(0), open(1, "w")
            sys.stderr = open(2, "w", errors="backslashreplace")  # as Python's own
        if case.unprivileged:
            drop_privileges()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        used = time.process_time()
        soft = int(used + case.seconds) + 1  # SIGXCPU; at the hard limit it would be SIGKILL
        resource.setrlimit(resource.RLIMIT_CPU, (soft, soft + 5))
        sys.argv = ["calibench", *(os.fsdecode(each) for each in case.arguments)]

        from calibench.cli import main

        try:
            main()
            code = 0
        except SystemExit as ended:  # as Python itself ends
            if isinstance(ended.code, str):
                print(ended.code, file=sys.stderr)
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        code = 70
    finally:
        os._exit(code)


def _wait(child: int, seconds: float) -> int:
    """Return the exit status, or the negative signal; that of SIGALRM if it was killed here."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGALRM


def _end(status: int, said: str, out: str) -> End:
    if status in (-signal.SIGALRM, -signal.SIGXCPU):
        return "hang"
    if status < 0 or status == 70 or "Traceback (most recent call last)" in said:
        return "traceback"
    if status == 0:
        return "accepted"
    return "refused" if said.strip() or out.strip() else "unclear"
