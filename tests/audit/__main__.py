"""Runs the cases and prints how they ended; the exit status is 1 if one ended as it must not."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from audit import inputs, of_files, of_fits, of_logs, of_models, of_tables
from audit.trial import Case, Found, call, load

TABLES = {
    "score": of_tables.score,
    "template": of_tables.template,
    "grade": of_logs.grade,
    "prepare": of_tables.prepare,
    "self-instruct": of_tables.self_instruct,
    "recalibrate": of_fits.recalibrate,
    "model": of_files.model,
    "recipes": of_files.others,
    "judge": of_models.judge,
}
LOGS = {
    "logs": of_logs.score,
    "combine": of_fits.combine,
    "gate": of_logs.gate,
    "leaderboard": of_logs.leaderboard,
}
# Those first that need the fewest imports: processes are forked from this one.
COMMANDS = (
    "logs", "score", "recalibrate", "combine", "model", "recipes", "template", "gate",
    "leaderboard", "grade", "prepare", "self-instruct", "judge", "tune", "eval",
)  # fmt: skip
WRONG = ("traceback", "hang", "let in", "refused", "unclear", "left behind")


def cases(command: str, root: Path) -> Iterator[Case]:
    """Yield the cases of a command; each is written to disk when it is yielded."""
    if command in TABLES:
        yield from TABLES[command](root)
    elif command in LOGS:
        made = inputs.runs(root / "run")
        yield from LOGS[command](root, made)
    else:
        yield from _with_model(command, root)


def _with_model(command: str, root: Path) -> Iterator[Case]:
    import torch

    from calib_adapters.training.base_model import add_lora, load_base, save_adapter
    from calib_adapters.training.schema import Lora
    from harness_tasks.embedded_models import ensure_model
    from helpers.adapters_common import graded_answers, tiny_model

    model = root / "tiny"
    if not model.exists():
        tiny_model(model, ensure_model(), line_ends=5.0)
    if command == "tune":
        if not (root / "graded").exists():
            graded_answers(root)
        yield from of_models.tune(root, str(model), root / "graded")
        return
    base = load_base(str(model), "float32", torch.device("cpu"))
    save_adapter(add_lora(base, Lora(r=2), str(model)), str(model), root / "adapter")
    yield from of_models.evaluate(root, str(model), root / "adapter")


def verdict(case: Case, found: Found, valid: Found | None) -> list[str]:
    """Return what is wrong with how a case ended."""
    wrong = []
    if found.end in ("traceback", "hang", "unclear"):
        wrong.append(found.end)
    elif case.expected == "refused" and found.end == "accepted":
        wrong.append("let in")
    elif case.expected in ("same", "valid") and found.end == "refused":
        wrong.append("refused")
    elif case.expected == "same" and valid is not None and found.out != valid.out:
        wrong.append("let in")  # taken, but as something else
    if found.end != "accepted" and found.left:
        wrong.append("left behind")
    return wrong


def run(
    chosen: Iterator[Case],
    every: int = 1,
    show: bool = True,
    tried: Counter[str] | None = None,
    wrong: dict[str, Counter[str]] | None = None,
) -> tuple[Counter[str], dict[str, Counter[str]]]:
    """Call the cases, or one of `every`; return how many were tried, and what was wrong.

    tried, wrong: are added to, so that they are there after an interruption too.
    """
    tried = Counter() if tried is None else tried
    wrong = {} if wrong is None else wrong
    valid: dict[str, Found] = {}
    for number, case in enumerate(chosen):
        if number % every and case.expected != "valid":
            shutil.rmtree(case.folder, ignore_errors=True)
            continue
        found = call(case)
        if case.expected == "valid":
            valid[case.suite] = found
        bad = verdict(case, found, valid.get(case.suite))
        tried[case.suite] += 1
        wrong.setdefault(case.suite, Counter()).update(bad)
        if bad and show:
            said = (found.said.strip() or found.out.strip()).splitlines()
            place = [line.strip() for line in said if line.lstrip().startswith("File ")]
            tail = (
                " | ".join([*place[-1:], *said[-3:]])
                if found.end == "traceback"
                else "".join(said[-1:])
            )
            print(f"{', '.join(bad)}: {case.suite}: {case.what}: {tail[:400]}", flush=True)
        shutil.rmtree(case.folder, ignore_errors=True)
    return tried, wrong


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m audit", description=__doc__)
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join(COMMANDS))
    parser.add_argument("--every", type=int, default=1, help="only one case of so many")
    given = parser.parse_args()
    if unknown := set(given.commands) - set(COMMANDS):
        parser.error(f"there is no {min(unknown)!r}, only {', '.join(COMMANDS)}")
    root = Path(tempfile.mkdtemp(prefix="audit-"))
    root.chmod(0o755)
    try:
        tried, wrong = Counter(), {}
        for command in [each for each in COMMANDS if each in (given.commands or COMMANDS)]:
            if command in LOGS:
                inputs.runs(root / "run")
            load(command)
            run(cases(command, root), given.every, tried=tried, wrong=wrong)
    except KeyboardInterrupt:
        print("Interrupted; so far:")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(f"\n{'':28}{'tried':>8}" + "".join(f"{name:>12}" for name in WRONG))
    for suite in [*tried, "all"]:
        count = tried[suite] if suite != "all" else tried.total()
        found = wrong[suite] if suite != "all" else sum(wrong.values(), Counter())
        print(f"{suite:28}{count:8}" + "".join(f"{found[name]:12}" for name in WRONG))
    times = os.times()
    print(f"{sum(times[:4]):.0f} seconds of the processor")
    return int(any(found.total() for found in wrong.values()))


if __name__ == "__main__":
    sys.exit(main())
