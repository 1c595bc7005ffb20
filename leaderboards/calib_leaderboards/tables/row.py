"""One row of a table: a method of an entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from calib_leaderboards.labels import SANITY
from calib_leaderboards.store.entry import Entry, Score

FEWEST = 10  # right answers, and wrong ones, below which a ranking is meaningless
Group = tuple[str, str, str]  # task, version and questions


@dataclass(eq=False)
class TableRow:
    """One method of one entry.

    Attributes:
        key: the entry's path in the store, without ".json".
        main: whether it is in the main table, rather than folded under its model and method.
        rank: among the main rows of its table, from 1; None for rows that do not compete.
    """

    entry: Entry
    score: Score
    key: str
    main: bool = field(default=True, compare=False)
    rank: int | None = field(default=None, compare=False)

    @property
    def sanity(self) -> bool:
        """Whether the row is a baseline that does not compete."""
        return self.score.method in SANITY

    @property
    def adapter(self) -> str:
        """The adapter's name, or "" without one."""
        adapter = self.entry.model.adapter
        return adapter.name if adapter else ""

    @property
    def who(self) -> tuple[str | None, ...]:
        """Model, adapter and method: rows that share them differ only in their setting."""
        model = self.entry.model
        revision = model.adapter.revision if model.adapter else None
        return model.name, model.revision, self.adapter, revision, self.score.method

    @property
    def few(self) -> bool:
        """Whether fewer than ten of its answers are right, or fewer than ten wrong."""
        bins = self.score.reliability
        if bins is None:
            return False
        pairs = zip(bins.count, bins.accuracy, strict=True)
        right = sum(round(count * (accuracy or 0)) for count, accuracy in pairs)
        return min(right, sum(bins.count) - right) < FEWEST

    @cached_property
    def group(self) -> Group:
        """Task, version and questions: rows that share them can be ranked against each other.

        The questions of a stock task are those of its split: some of them shuffle their options, so
        that the fingerprint differs from run to run.
        """
        task = self.entry.task
        data = task.split if task.source == "lm_eval" else self.entry.provenance.data_fingerprint
        return task.name, task.version, data or ""
