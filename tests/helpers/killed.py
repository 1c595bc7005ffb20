"""`calibench eval` in a process of its own, which may be killed as by `kill -9`.

As a file, ``python -m helpers.killed``, it is run for vLLM, which starts processes that import what
started them.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from helpers import processes

TESTS = Path(__file__).parents[1]
# What differs between two runs of a command: when, for how long, and where.
OF_THE_TIME = ("date", "start_time", "end_time", "total_evaluation_time_seconds")

processes.preload("calib_adapters.serving.evaluate", "calib_adapters.serving.model")


def evaluate(cache, output, model, model_args, *options, entries=None, forked=True):
    """Run `calibench eval` with this model; its exit status, what it wrote, its log.

    Args:
        cache: the user's cache, where the journal is.
        output: folder of the results.
        options: further arguments, the task among them.
        entries: of the journal, after which it is killed; 0 for a run that ends, but whose journal
            stays.
        forked: from a process that has imported everything.
    """
    given = ",".join(f"{name}={value}" for name, value in model_args.items())
    arguments = ["eval", "--model", model, "--model_args", given, "--output_path", str(output),
                 "--log_samples", *options]  # fmt: skip
    log = output.parent / f"{output.name}.log"
    call = (str(log), str(cache), json.dumps(entries), *arguments)
    if forked:
        process = processes.start(calibench, *call)
        process.join()
        code = process.exitcode
    else:
        paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": paths}
        command = [sys.executable, "-m", "helpers.killed", *call]
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        code = process.wait()
        with suppress(ProcessLookupError):  # vLLM's engine lives on
            os.killpg(process.pid, signal.SIGKILL)
    return code, _written(output), log.read_text()


def journals(cache):
    """The journals in a cache, as lists of lines."""
    return [path.read_text().splitlines() for path in (cache / "responses").glob("*.jsonl")]


def _written(output):
    """The samples as bytes and the results without times, by file; ``{}`` if there are none."""
    found = {}
    for path in sorted(output.rglob("*.json*")):
        name, content = path.name.split("_202")[0], path.read_bytes()
        if path.suffix == ".json":
            results = json.loads(content)
            content = {key: results[key] for key in results if key not in OF_THE_TIME}
        found[name] = content
    return found


def calibench(log, cache, entries, *arguments):
    """The command, with its output in `log`; see `evaluate`."""
    from calib_adapters.serving.journal import Journal

    with open(log, "wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ["CALIBENCH_CACHE"] = cache
    most, add = json.loads(entries), Journal.add

    def add_and_die(journal, new):
        add(journal, new)
        if journal.size >= most:
            os.kill(os.getpid(), signal.SIGKILL)

    if most:
        Journal.add = add_and_die
    elif most == 0:
        Journal.remove = Journal.close
    processes.calibench_command(arguments)


if __name__ == "__main__":
    calibench(*sys.argv[1:])
