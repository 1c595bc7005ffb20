"""The table that every log becomes: a row for each question, a column for each method."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calib_metrics.files import Rows


@dataclass(frozen=True)
class Column:
    """One method's values for every question of a table.

    confidence: NaN where there is none. correct: 0 or 1. probabilities: of all options of each
    question, and gold the place of the right one; both None where the log does not hold them.
    """

    confidence: NDArray[np.float64]
    correct: NDArray[np.float64]
    probabilities: tuple[NDArray[np.float64], ...] | None = None
    gold: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class LogTable:
    """A log as a table.

    name: for headings. source: the file, for errors. columns: by method. fields: what rows can be
    grouped by, such as the fields of their documents, each with the values of all rows; "task" is
    one. notes: sentences for the reader. group: the group that the task was run in, if any.
    probabilities: whether the confidences are known to be some. pooled: whether it is several
    tasks' rows. keys: what tells the rows' questions apart, also from those of other logs; empty
    where nothing is known of them.
    """

    name: str
    source: str
    columns: dict[str, Column]
    fields: dict[str, list[Any]] = field(repr=False)
    notes: tuple[str, ...] = ()
    group: str | None = None
    probabilities: bool = False
    pooled: bool = False
    keys: tuple[str, ...] = field(default=(), repr=False)

    def labels(self, name: str) -> list[str]:
        """Return a field of all rows as text. Raises ValueError if a row lacks it."""
        values = self.fields.get(name, [None])
        if any(value is None for value in values):
            there = [key for key, each in self.fields.items() if None not in each]
            which = " in all rows" if name in self.fields else ""
            raise ValueError(
                f"{self.source}: there is no field '{name}'{which}, only {', '.join(there)}."
            )
        return [str(value) for value in values]

    def rows(self, method: str, group: str | None = None) -> Rows:
        """Return a method's column as `calib_metrics.report` takes it."""
        column = self.columns[method]
        labels = None if group is None else np.array(self.labels(group), object)
        return Rows(column.confidence, column.correct, labels)

    def parts(self, name: str) -> dict[str, LogTable]:
        """Return the rows of each value of a field, in the order of the values."""
        labels = np.array(self.labels(name), object)
        found = {}
        for label in sorted(set(labels)):
            places = np.flatnonzero(labels == label)
            found[label] = replace(self.rows_at(places), name=label, notes=())
        return found

    def rows_at(self, places: NDArray[np.int64]) -> LogTable:
        """Return the table of these rows alone."""
        return replace(
            self,
            columns={key: _take(column, places) for key, column in self.columns.items()},
            fields={
                key: [values[place] for place in places] for key, values in self.fields.items()
            },
            keys=tuple(self.keys[place] for place in places) if self.keys else (),
        )


def _take(column: Column, places: NDArray[np.int64]) -> Column:
    options = column.probabilities
    return Column(
        column.confidence[places],
        column.correct[places],
        None if options is None else tuple(options[place] for place in places),
        None if column.gold is None else column.gold[places],
    )


def pool(name: str, tables: Sequence[LogTable]) -> LogTable:
    """Return all rows of several tables as one, with the methods that all of them have.

    Raises ValueError if they have none in common.
    """
    methods = [key for key in tables[0].columns if all(key in table.columns for table in tables)]
    if not methods:
        raise ValueError(f"{name}: its tasks have no method in common; score them one by one.")
    columns = {key: _join([table.columns[key] for table in tables]) for key in methods}
    notes = dict.fromkeys(note for table in tables for note in table.notes)
    names = dict.fromkeys(key for table in tables for key in table.fields)
    fields = {key: [value for table in tables for value in _field(table, key)] for key in names}
    probabilities = all(table.probabilities for table in tables)
    return LogTable(
        name,
        tables[0].source,
        columns,
        fields,
        tuple(notes),
        probabilities=probabilities,
        pooled=True,
        keys=tuple(key for table in tables for key in table.keys)
        if all(table.keys for table in tables)
        else (),
    )


def _field(table: LogTable, name: str) -> list[Any]:
    rows = next(iter(table.columns.values())).correct.size
    return table.fields.get(name, [None] * rows)


def key_of(document: object) -> str:
    """Return the identifier of a question: the beginning of the SHA-256 of its document."""
    text = json.dumps(document, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def columns_of(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return fields of rows as columns, None where a row lacks one."""
    names = dict.fromkeys(key for row in rows for key in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _join(columns: Sequence[Column]) -> Column:
    confidence = np.concatenate([column.confidence for column in columns])
    correct = np.concatenate([column.correct for column in columns])
    if any(column.probabilities is None or column.gold is None for column in columns):
        return Column(confidence, correct)
    options = tuple(row for column in columns for row in column.probabilities or ())
    gold = np.concatenate([column.gold for column in columns if column.gold is not None])
    return Column(confidence, correct, options, gold)
