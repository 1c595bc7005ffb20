"""Which row of a model and method is in the main table: that of the task's default setting."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache

from calib_leaderboards.tables.row import TableRow

# The parts of a setting's slug that describe the way of asking, and those that tell which questions
# and whose answers. All others are options, of a method for instance.
_WAY = re.compile(r"(?:default|\d+)-shot|chat|one-turn|system-[0-9a-f]+")
_NEUTRAL = re.compile(r"preview-\d+-of-\d+|frozen-[0-9a-f]{8}")


def default_setting(entries: Sequence[TableRow]) -> str:
    """The slug of the default setting of a task, such as "3-shot".

    entries: a row of each entry.

    The number of examples is the one that the task's file declares, for tasks of this package. For
    others, and where no entry has it, it is that of most entries with the plainest way of asking. A
    chat template or a system prompt is the default only where all entries use one; options of the
    task do not matter here, see `options`.
    """
    from harness_tasks.default_shots import declared_shots

    shots = declared_shots(entries[0].group[0])
    ways = Counter(_way(entry.setting) for entry in entries)
    if shots is not None and f"{shots:d}-shot" in ways:
        return f"{shots:d}-shot"
    plain = {way: count for way, count in ways.items() if way.endswith("-shot")}
    return min(plain or ways, key=lambda way: (-ways[way], way))


def is_default(entry: TableRow, default: str, entries: Sequence[TableRow]) -> bool:
    """Whether an entry was made in the default setting, about answers given in that setting.

    entries: a row of each entry of the task. One of frozen answers says whose they are by their
    fingerprint.
    """
    if _way(entry.setting) != default:
        return False
    if not entry.frozen:
        return True
    givers = [other for other in entries if not other.frozen and other.answers == entry.answers]
    return not givers or any(_way(giver.setting) == default for giver in givers)


def options(entry: TableRow) -> int:
    """Count the options that an entry was asked with, such as ``k``."""
    parts = entry.setting.split("_")
    return sum(not (_WAY.fullmatch(part) or _NEUTRAL.fullmatch(part)) for part in parts)


@cache  # a task has few settings
def _way(setting: str) -> str:
    return "_".join(part for part in setting.split("_") if _WAY.fullmatch(part))
