"""The rows of all tables: every method of every entry, with its ranks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calib_leaderboards.labels import SANITY
from calib_leaderboards.store.entry import Entry, Score
from calib_leaderboards.store.paths import entry_path
from calib_leaderboards.store.setting import preview_note
from calib_leaderboards.tables.words import TITLES

Group = tuple[str, str, str]  # task, version and questions


@dataclass(frozen=True)
class TableRow:
    """One method of one entry.

    key: where the entry lies in the store, without ".json". ranks: by metric, from 1; None for rows
    that do not compete.
    """

    entry: Entry
    score: Score
    key: str
    ranks: dict[str, int | None] = field(default_factory=dict, compare=False)

    @property
    def sanity(self) -> bool:
        """Whether the row is there to be beaten rather than to compete."""
        return self.score.method in SANITY

    @property
    def adapter(self) -> str:
        """The adapter's name, or "" without one."""
        adapter = self.entry.model.adapter
        return adapter.name if adapter else ""

    @property
    def group(self) -> Group:
        """What rows share that may be ranked against each other: task, version and questions.

        The questions of a stock task are those of its split: some of them shuffle their options, so
        that the fingerprint differs from run to run.
        """
        task = self.entry.task
        data = task.split if task.source == "lm_eval" else self.entry.provenance.data_fingerprint
        return task.name, task.version, data or ""


def table_rows(entries: Iterable[Entry]) -> list[TableRow]:
    """Every method of every entry as a row, with its ranks, in the order of task, model, setting.

    The rank of a row under a metric is 1 plus the number of rows whose whole 95 % interval is
    better than this row's interval. Rows whose intervals overlap are thus not put in an order that
    the data do not support; several rows can share a rank. Rows are ranked against those with the
    same task, task version and questions. Sanity rows, and rows without an interval, have no rank.
    """
    rows = [
        TableRow(entry, score, str(entry_path(entry).with_suffix("")))
        for entry in entries
        for score in entry.scores
    ]
    rows.sort(key=lambda row: (row.group, row.key))
    groups: dict[Group, list[TableRow]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    for members in groups.values():
        for name in {name for row in members for name in row.score.metrics}:
            _rank(members, name)
    return rows


def _rank(rows: Sequence[TableRow], name: str) -> None:
    ranked = []
    for row in rows:
        metric = row.score.metrics.get(name)
        row.ranks[name] = None
        if metric and not row.sanity and None not in (metric.low, metric.high):
            if metric.higher_is_better is not None:
                ranked.append((row, metric))
    if not ranked:
        return
    sign = 1 if ranked[0][1].higher_is_better else -1
    # With the sign, more is better for all metrics.
    bounds = np.sort(np.array([(sign * m.low, sign * m.high) for _, m in ranked]), axis=1)
    lows = np.sort(bounds[:, 0])
    places = 1 + len(lows) - np.searchsorted(lows, bounds[:, 1], side="right")
    for (row, _), place in zip(ranked, places.tolist(), strict=True):
        row.ranks[name] = place


def preview(rows: Iterable[TableRow]) -> str:
    """A sentence about those rows that are of a part of the questions; "" if none is."""
    notes = {preview_note(row.entry.setting) for row in rows} - {""}
    return "; ".join(sorted(notes))


def metric_names(rows: Iterable[TableRow]) -> list[str]:
    """All metrics of the rows: those with a title first, the others by name."""
    names = {name for row in rows for name in row.score.metrics}
    return [*(name for name in TITLES if name in names), *sorted(names - TITLES.keys())]


def best_first(rows: Sequence[TableRow], name: str) -> list[TableRow]:
    """Rows ordered by a metric, those that do not compete and those without it last."""

    def place(row: TableRow) -> tuple[Any, ...]:
        metric = row.score.metrics.get(name)
        value = metric.value if metric else None
        signed = 0.0 if value is None else -value if metric.higher_is_better else value
        return row.sanity, value is None, signed, row.key, row.score.method

    return sorted(rows, key=place)


def direction(rows: Iterable[TableRow], name: str) -> bool | None:
    """Whether a higher value of a metric is better, as the rows say."""
    for row in rows:
        if name in row.score.metrics:
            return row.score.metrics[name].higher_is_better
    return None
