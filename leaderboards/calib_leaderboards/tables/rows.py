"""The rows of all tables: every method of every entry, with its ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from calib_leaderboards.store.entry import Entry
from calib_leaderboards.store.paths import entry_key
from calib_leaderboards.store.samples import Samples
from calib_leaderboards.store.setting import preview_note
from calib_leaderboards.tables.of_entry import rows_of
from calib_leaderboards.tables.ranks import SamplesOf, ranks
from calib_leaderboards.tables.row import EntryRow, Group, TableRow
from calib_leaderboards.tables.settings import default_setting, is_default, options
from calib_leaderboards.tables.words import TITLES

Row = TypeVar("Row", bound=TableRow)


def no_samples(entry: Entry) -> Samples | None:
    """A stand-in for `table_rows` where there are no samples: ranks use standard errors."""
    return None


def table_rows(
    entries: Iterable[Entry], samples: Callable[[Entry], Samples | None] = no_samples
) -> list[EntryRow]:
    """Every method of every entry as a row with its rank, in the order of task, model, setting."""
    rows = [row for entry in entries for row in rows_of(entry, entry_key(entry))]
    rows.sort(key=lambda row: (row.group, row.key))
    entry_of = {row.key: row.entry for row in rows}
    for members in by_group(rows).values():
        choose_main(members)
        rank(members, lambda row: samples(entry_of[row.key]))
    return rows


def by_group(rows: Iterable[Row]) -> dict[Group, list[Row]]:
    """The rows of each group, in their order."""
    groups: dict[Group, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return groups


def rank(
    rows: Sequence[TableRow],
    samples: SamplesOf,
    known: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, float]:
    """Rank the main rows about the same questions by the first of their metrics, see `ranks`.

    Sanity rows, and those with fewer than ten right or wrong answers, have no rank. Returns the p
    of all paired tests that were needed.
    """
    made: dict[str, float] = {}
    name = metric_names(rows)[0]
    ranked = [row for row in best_first(rows, name) if _competes(row, name)]
    for row, place in zip(ranked, ranks(ranked, name, samples, known, made), strict=True):
        row.rank = place
    return made


def _competes(row: TableRow, name: str) -> bool:
    metric = row.metrics.get(name)
    known = metric is not None and metric.higher_is_better is not None
    return known and row.main and not row.sanity and not row.few


def choose_main(rows: Sequence[TableRow]) -> None:
    """Say which rows of a group are in its main table.

    Of the rows of one model, adapter and method, the one in the task's default setting is `main`,
    with the fewest options. Where an adapter judged the answers of another run, it is that one, so
    that rows side by side are about the same answers where possible.
    """
    entries = list({row.key: row for row in rows}.values())
    default = default_setting(entries)
    chosen: dict[tuple[str | None, ...], TableRow] = {}
    for row in rows:
        row.main = False
        if is_default(row, default, entries):
            other = chosen.setdefault(row.who, row)
            if _preference(row) < _preference(other):
                chosen[row.who] = row
    for row in chosen.values():
        row.main = True


def _preference(row: TableRow) -> tuple[bool, int]:
    """Order rows that share model, adapter, method and way of asking; the first represents them."""
    return row.frozen != bool(row.adapter), options(row)


def preview(rows: Iterable[TableRow]) -> str:
    """A sentence about rows on only some of the questions; "" if there are none."""
    notes = {preview_note(slug) for slug in {row.setting for row in rows}} - {""}
    return "; ".join(sorted(notes))


def metric_names(rows: Iterable[TableRow]) -> list[str]:
    """All metrics of the rows: those with a title first, the others by name."""
    names = {name for row in rows for name in row.metrics}
    return [*(name for name in TITLES if name in names), *sorted(names - TITLES.keys())]


def best_first(rows: Sequence[Row], name: str) -> list[Row]:
    """Rows ordered by a metric, those that do not compete and those without it last."""

    def place(row: Row) -> tuple[Any, ...]:
        metric = row.metrics.get(name)
        value = metric.value if metric else None
        signed = 0.0 if value is None else -value if metric.higher_is_better else value
        return row.sanity, value is None, signed, row.key, row.method

    return sorted(rows, key=place)


def direction(rows: Iterable[TableRow], name: str) -> bool | None:
    """Whether a higher value of a metric is better, as the rows say."""
    for row in rows:
        if name in row.metrics:
            return row.metrics[name].higher_is_better
    return None
