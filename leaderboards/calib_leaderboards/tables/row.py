"""One row of a table: a method of an entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from calib_leaderboards.labels import SANITY
from calib_leaderboards.store.entry import Entry, Score

Group = tuple[str, str, str]  # task, version and questions


def group_from(parts: Sequence[str]) -> Group:
    """A group from JSON, which has no tuples."""
    task, version, questions = parts
    return task, version, questions


class Cell(NamedTuple):
    """What tables show of a metric, see `store.entry.Metric`."""

    value: float | None
    low: float | None
    high: float | None
    stderr: float | None
    higher_is_better: bool | None


@dataclass(eq=False, slots=True)
class TableRow:
    """What tables show of one method of one entry; made by `of_entry.rows_of`.

    Attributes:
        key: the entry's path in the store, without ".json".
        group: task, version and questions: rows that share them can be ranked against each other.
        model, revision, parameters: of the base model.
        adapter, adapter_revision: its name, or "" without one.
        setting: the slug of all that is not the task's default.
        frozen: whether the answers are those of an earlier run.
        answers: their fingerprint.
        note: what was added with the run.
        samples: sha256 of the entry's packed samples, None without.
        method, label, n: as in the entry.
        few: whether fewer than ten of its answers are right, or fewer than ten wrong.
        alike: the same for rows with equal confidences; "" where that is not asked.
        rate: of the constant that the skill is measured against, where its signature states one.
        metrics: by their names.
        main: whether it is in the main table, rather than folded under its model and method.
        rank: among the main rows of its table, from 1; None for rows that do not compete.
    """

    key: str
    group: Group
    model: str
    revision: str | None
    parameters: int | None
    adapter: str
    adapter_revision: str | None
    setting: str
    frozen: bool
    answers: str | None
    note: str | None
    samples: str | None
    method: str
    label: str
    n: int
    few: bool
    alike: str
    rate: float | None
    metrics: dict[str, Cell]
    main: bool = True
    rank: int | None = None

    @property
    def sanity(self) -> bool:
        """Whether the row is a baseline that does not compete."""
        return self.method in SANITY

    @property
    def who(self) -> tuple[str | None, ...]:
        """Model, adapter and method: rows that share them differ only in their setting."""
        return self.model, self.revision, self.adapter, self.adapter_revision, self.method


@dataclass(eq=False, slots=True)
class EntryRow(TableRow):
    """A row with all that its entry says."""

    entry: Entry = field(kw_only=True)
    score: Score = field(kw_only=True)
