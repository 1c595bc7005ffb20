"""lm-eval tasks that ask a model for an answer and then for its confidence in that answer."""

import re
from functools import cache
from pathlib import Path

_TASK = re.compile(r"^(?:task|group): *([\w-]+)", re.MULTILINE)


@cache
def shipped_tasks() -> frozenset[str]:
    """Return the names of the tasks and groups in this package."""
    files = Path(__file__).parent.glob("*/*.yaml")
    return frozenset(
        name for file in files for name in _TASK.findall(file.read_text(encoding="utf-8"))
    )
