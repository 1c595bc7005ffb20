"""The tasks that the gate tests: those of all runs below a folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from calib_leaderboards.runs import Run, Task, find_runs
from calib_leaderboards.runs.run import agree


class CannotDecide(ValueError):
    """Why a score cannot be compared with its baseline, as a sentence."""


class TaskRun(NamedTuple):
    """One task, and the run that it was part of."""

    run: Run
    task: Task


def tasks_below(folder: Path) -> dict[str, list[TaskRun]]:
    """Every task of the runs at any depth below `folder`; a task of two runs is there twice.

    Raises as `find_runs` does.
    """
    found: dict[str, list[TaskRun]] = {}
    for run in find_runs([folder]):
        for task in run.tasks:
            found.setdefault(task.name, []).append(TaskRun(run, task))
    return found


def check_printed(tested: TaskRun, name: str, filter_: str, value: float) -> None:
    """Raise CannotDecide if lm-eval printed another value than the samples give."""
    printed = tested.task.printed.get(f"{name},{filter_}")
    if printed is not None and not agree(printed, value):
        raise CannotDecide(
            f"'{tested.run.path.name}' gives {name},{filter_} = {printed!r}, but its samples "
            f"give {value!r}: either the score is not a mean over questions and cannot be "
            "tested, or one of the files was changed."
        )
