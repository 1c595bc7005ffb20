"""Tables: the rows of one task, version and set of questions, with headings and notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from calib_leaderboards.tables.notes import notes
from calib_leaderboards.tables.row import Group
from calib_leaderboards.tables.rows import (
    Row,
    best_first,
    by_group,
    direction,
    metric_names,
    preview,
)
from calib_leaderboards.tables.settings import default_setting
from calib_leaderboards.tables.words import heading, how_to_read


@dataclass(frozen=True)
class Table(Generic[Row]):
    """The rows of a group, in the order of `table_rows`.

    Attributes:
        group: task, version and questions.
        title: the name shown for the task.
        rows: the methods.
        metrics: those of the rows, with a title first.
        preview: a sentence about rows on only some of the questions; "" if there are none.
        notes: those that were added with the rows' runs, and those on rows with equal confidences.
    """

    group: Group
    title: str
    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    preview: str
    notes: tuple[str, ...]

    @property
    def main_metric(self) -> str:
        """The metric that the table is ordered by."""
        return self.metrics[0]

    @property
    def best_first(self) -> list[Row]:
        """The rows of the main table, in the order of the main metric."""
        return best_first([row for row in self.rows if row.main], self.main_metric)

    @property
    def folded(self) -> list[Row]:
        """The rows in other settings, in the same order."""
        return best_first([row for row in self.rows if not row.main], self.main_metric)

    @property
    def setting(self) -> str:
        """The task's default setting, in which the main rows were asked."""
        main = [row for row in self.rows if row.main] or self.rows
        return default_setting(list({row.key: row for row in main}.values()))

    @property
    def how_to_read(self) -> str:
        """The text above the table."""
        return how_to_read(self.main_metric, self.setting)

    def head(self, names: Iterable[str]) -> list[str]:
        """The headings of columns of metrics."""
        return [heading(name, direction(self.rows, name)) for name in names]


def group_names(groups: Sequence[Group]) -> dict[Group, str]:
    """The titles of tasks in tables: the name, with version or questions where several share it."""
    named = {}
    for task, version, data in groups:
        versions = {other[1] for other in groups if other[0] == task}
        same = [other for other in groups if other[:2] == (task, version)]
        more = [f"version {version}"] if len(versions) > 1 else []
        more += [f"questions {data[:8]}"] if len(same) > 1 else []
        named[task, version, data] = f"{task} ({', '.join(more)})" if more else task
    return named


def tables_of(rows: Iterable[Row], titles: Mapping[Group, str] | None = None) -> list[Table[Row]]:
    """The rows as one table per group: tasks with confidences first, then those with many rows.

    titles: the title of each group, where more tables than these are on the pages.
    """
    groups = by_group(rows)

    def place(group: Group) -> tuple[bool, int]:
        members = groups[group]
        return not any("ece" in row.metrics for row in members), -len(members)

    ordered = sorted(groups, key=place)
    titles = group_names(ordered) if titles is None else titles
    return [
        Table(
            group=group,
            title=titles[group],
            rows=tuple(groups[group]),
            metrics=tuple(metric_names(groups[group])),
            preview=preview(groups[group]),
            notes=tuple(notes(groups[group])),
        )
        for group in ordered
    ]
