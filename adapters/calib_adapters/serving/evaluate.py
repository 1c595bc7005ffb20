"""``calibench eval``: ``lm_eval run`` that knows our model and our tasks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partialmethod
from pathlib import Path

from lm_eval._cli import HarnessCLI
from lm_eval.tasks import TaskManager
from lm_eval.utils import setup_logging

import calib_adapters.serving.model  # noqa: F401  (registers calib-hf)
import harness_tasks

OURS = str(Path(harness_tasks.__file__).parent)


def evaluate(arguments: Sequence[str]) -> None:
    """Run ``lm_eval run`` with these arguments; our tasks are known unless others are named."""
    if not any(argument.startswith(("--inc", "--conf", "-C")) for argument in arguments):
        arguments = [*arguments, "--include_path", OURS]
    sys.argv = ["lm_eval", "run", *arguments]
    setup_logging()
    parser = HarnessCLI()
    parsed = parser.parse_args()
    tasks = getattr(parsed, "tasks", None) or []
    names = [name for task in ([tasks] if isinstance(tasks, str) else tasks)
             for name in task.split(",")]  # fmt: skip
    with listed(names):
        parser.execute(parsed)


@contextmanager
def listed(names: Sequence[str]) -> Iterator[None]:
    """Inside, lm-eval lists its own thousands of task files only if one of them may be named.

    That takes it six seconds of processor time, as long as the rest of the start.
    """
    own = TaskManager(include_path=OURS, include_defaults=False)
    if not names or not _all_ours(names, own):
        yield
        return
    before = TaskManager.__init__
    TaskManager.__init__ = partialmethod(before, include_defaults=False)
    try:
        yield
    finally:
        TaskManager.__init__ = before


def _all_ours(names: Sequence[str], own: TaskManager) -> bool:
    """Whether these names, patterns and members of groups are tasks of ours alone.

    Of patterns only those that begin like our names are, which lm-eval's own never do.
    """
    for name in names:
        found = own.match_tasks([name]) if str(name).startswith("calib_") else [name]
        if not found or not set(found) <= set(own.all_tasks):
            return False
        groups = [own.task_index[each].cfg["task"] for each in found if each in own.all_groups]
        if not all(_all_ours(members, own) for members in groups):
            return False
    return True
