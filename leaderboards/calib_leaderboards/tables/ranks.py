"""Ranks: rows share a rank unless a paired test distinguishes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from calib_leaderboards.store.samples import Samples
from calib_leaderboards.tables.paired import Column, column_of, paired_p, unpaired_p
from calib_leaderboards.tables.row import TableRow

LEVEL = 0.05
SamplesOf = Callable[[TableRow], Samples | None]


def ranks(
    ordered: Sequence[TableRow],
    name: str,
    samples: SamplesOf,
    known: Mapping[str, float] = MappingProxyType({}),
    made: dict[str, float] | None = None,
) -> list[int | None]:
    """The rank of each row; rows are in the order of the metric `name`, best first.

    A row shares the rank of the row above it, unless a test finds it worse than that row or than
    the first row of that rank; then its rank is its place. Two tests are made at 2.5 % each, or one
    at 5 % where both rows are the same, so that a row that is no worse gets another rank in at most
    5 of 100 cases. Rows without a value, or that cannot be tested, have no rank.

    samples: those of a row's entry, or None; the test is paired where both rows have some, else it
    is by the standard errors.
    known: p of paired tests that were made before; their samples are not read again. made: takes
    the p of all that were needed.
    """
    columns: dict[int, Column | None] = {}

    def column(row: TableRow) -> Column | None:
        if id(row) not in columns:
            kept = samples(row)
            columns[id(row)] = None if kept is None else column_of(kept, row.method, name)
        return columns[id(row)]

    def compare(one: TableRow, other: TableRow) -> float | None:
        pair = _pair(one, other, name)
        p = known.get(pair) if pair else None
        if pair and p is None:
            first, second = column(one), column(other)
            p = None if first is None or second is None else paired_p(first, second)
        if p is None:
            return unpaired_p(one.metrics[name], other.metrics[name])
        if made is not None:
            made[pair] = p
        return p

    found: list[int | None] = []
    leader = above = None
    rank = 0
    for row in ordered:
        if (metric := row.metrics.get(name)) is None or metric.value is None:
            found.append(None)
            continue
        if leader is None or above is None:
            rank, leader = 1, row
        else:
            rivals = [above] if above is leader else [above, leader]
            tested = [compare(rival, row) for rival in rivals]
            if any(p is None for p in tested):
                found.append(None)
                continue
            if any(p is not None and p <= LEVEL / len(rivals) for p in tested):
                rank, leader = sum(each is not None for each in found) + 1, row
        columns = {id(each): columns[id(each)] for each in (row, leader) if id(each) in columns}
        above = row
        found.append(rank)
    return found


def _pair(one: TableRow, other: TableRow, name: str) -> str:
    """A name for a paired test: what its p depends on, and nothing else; "" without samples."""
    sides = [(row.samples, row.method) for row in (one, other)]
    if any(sha256 is None for sha256, _ in sides):
        return ""
    return f"{name} {' '.join(f'{sha256} {method}' for sha256, method in sides)}"
