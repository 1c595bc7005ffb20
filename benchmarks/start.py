"""How long does an evaluation take to start: imports, task files, data, requests?

    python benchmarks/start.py --repeats 5

`calibench eval` beside stock lm-eval with our tasks (`lm_eval run --include_path`), on all
questions of a task with all its methods, each time in a process of its own, alternating; medians of
seconds of the wall. The model is not loaded: its size decides how long that takes. `calibench
--help` likewise.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from calibench.options import starting

FORMS = ("calibench eval", "lm_eval run")
STEPS = ("libraries", "our modules", "task files", "task and data", "requests")


def start(form: str, task: str) -> dict[str, float]:
    """Seconds of each step of the start, in this process."""
    seconds: dict[str, float] = {}
    before = time.perf_counter()

    def done(step: str) -> None:
        nonlocal before
        seconds[step] = (now := time.perf_counter()) - before
        before = now

    ours = form == "calibench eval"
    with starting() if ours else nullcontext():
        libraries()
        done("libraries")
        if ours:
            from calib_adapters.serving.evaluate import listed
        import harness_tasks
    done("our modules")
    from lm_eval.tasks import TaskManager

    with listed([task]) if ours else nullcontext():
        tasks = TaskManager(include_path=str(Path(harness_tasks.__file__).parent))
    done("task files")
    loaded = tasks.load([task])["tasks"]
    done("task and data")
    for each in loaded.values():
        each.build_all_requests(rank=0, world_size=1)
    done("requests")
    return seconds


def libraries() -> None:
    """What lm-eval with its `hf` model and an adapter imports, with none of our modules."""
    import lm_eval._cli
    import lm_eval.evaluator
    import lm_eval.models.huggingface  # noqa: F401
    import peft  # noqa: F401


def timed(*command: str) -> tuple[float, str]:
    """Seconds that a process takes in all, and what it printed."""
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)
    return time.perf_counter() - begin, done.stdout


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--task", default="calib_worldfacts", help="task or group")
    parser.add_argument("--one", choices=FORMS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(start(given.one, given.task)))
        return
    found: dict[str, list[dict]] = {form: [] for form in FORMS}
    helps = []
    for _ in range(given.repeats):
        for form, runs in found.items():
            whole, printed = timed(__file__, "--one", form, "--task", given.task)
            steps = json.loads(printed.splitlines()[-1])
            runs.append({**steps, "until the model": sum(steps.values()), "whole process": whole})
        helps.append(timed("-m", "calibench", "--help")[0])
    print("| step | " + " | ".join(FORMS) + " |\n|---|" + "--:|" * len(FORMS))
    for step in (*STEPS, "until the model", "whole process"):
        middle = [statistics.median(run[step] for run in found[form]) for form in FORMS]
        print(f"| {step} | " + " | ".join(f"{seconds:.2f}" for seconds in middle) + " |")
    print(f"\n`calibench --help`: {statistics.median(helps):.2f} s. Median of {given.repeats}.")


if __name__ == "__main__":
    main()
