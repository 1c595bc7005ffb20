"""`calibench gate`: run the gate, write the requested reports, and return the exit status."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from calib_leaderboards.gate import report as reporting
from calib_leaderboards.gate.decide import decide
from calib_leaderboards.gate.update import make_baseline
from calib_metrics.outputs import write_output


def _two_on_error(function: Callable[..., int]) -> Callable[..., int]:
    """Exit with 2 if something cannot be read; 1 is for regressions only."""

    @wraps(function)
    def run(*args: Any, **options: Any) -> int:
        try:
            return function(*args, **options)
        except (ValueError, OSError, MemoryError) as error:
            reason = str(error) or "there is not enough memory"
            print(f"calibench: {reporting.plain(reason)}", file=sys.stderr)
            return 2

    return run


@_two_on_error
def run_gate(
    baseline: Path,
    results: Path,
    *,
    junit: Path | None = None,
    json_file: Path | None = None,
    summary: Path | None = None,
    **options: Any,
) -> int:
    """Print the report, write it in the forms asked for, and return its exit status.

    The report goes to standard error if standard output is wanted for another form ("-").
    """
    report = decide(baseline, results, **options)
    taken = "-" in (str(junit), str(json_file))
    print(reporting.to_text(report), file=sys.stderr if taken else sys.stdout)
    if junit:
        write_output(junit, reporting.to_junit(report))
    if json_file:
        write_output(json_file, reporting.to_json(report).encode())
    if summary:
        with summary.open("a", encoding="utf-8") as file:  # GitHub's file belongs to the whole step
            file.write(reporting.to_markdown(report))
    return report.exit_code


@_two_on_error
def update_baseline(baseline: Path, results: Path, samples: Path | None) -> int:
    """Write the baseline and print what it holds."""
    words = ["calibench", "gate", "--update", str(baseline), str(results)]
    words += [] if samples is None else ["--samples", str(samples)]
    made, notes = make_baseline(baseline, results, samples=samples, command=shlex.join(words))
    for note in notes:
        print(reporting.plain(note), file=sys.stderr)
    scores = sum(len(task.metrics) for task in made.tasks)
    kept = any(task.samples for task in made.tasks)
    how = "paired with its samples" if kept else "against its values; --samples FOLDER pairs them"
    print(reporting.plain(f"{baseline}: holds {scores} scores, tested {how}."))
    return 0
