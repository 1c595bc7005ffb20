"""The tables and logs that `score` and `recalibrate` read, by the same rules."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harness_tasks.stock_logs.table import LogTable

_COMPARED = 1_000_000  # rows, up to which ids are read and compared


def read_tables(
    file: Path,
    kind: str | None,
    method: str,
    columns: dict[str, str | None],
    by: str | None,
    scale: str,
) -> Iterator[LogTable]:
    """Yield the tables in a file, a folder or a pipe; `-` is standard input.

    kind: the format, if given. method: the only one to read, "" for all. columns: the names of
    "confidence", "correct" and "group", a column of labels or None. by: another column of labels,
    or None. scale: that of the numbers; those of logs are probabilities.
    Raises ValueError as the readers do.
    """
    from calib_metrics.pipes import read_source
    from harness_tasks.stock_logs.sources import find_tables

    source = sys.stdin.buffer.read() if str(file) == "-" else read_source(file)
    if kind is None:
        names = {"confidence": columns["confidence"], "correct": columns["correct"]}
        found = find_tables(source, left_out=_say, method=method, **names)
    else:
        found = iter([source])
    for each in found:
        if isinstance(each, (bytes, Path)):
            yield from _read(each, kind, method, columns, by, scale)
        else:
            if each.probabilities and scale in ("percent", "ten"):
                raise ValueError(f"{each.source} holds probabilities: leave out --scale {scale}.")
            yield each


def _say(sentence: str) -> None:
    click.echo(f"Left out: {sentence}", err=True)


def _read(
    source: Path | bytes,
    kind: str | None,
    method: str,
    columns: dict[str, str | None],
    by: str | None,
    scale: str,
) -> Iterator[LogTable]:
    """Yield a table, or each method in a log of a Calibench task."""
    from calib_metrics.files import read_rows, repeated_ids
    from calib_metrics.tables import open_table
    from harness_tasks.stock_logs import ours
    from harness_tasks.stock_logs.table import Column, LogTable

    name = "standard input" if isinstance(source, bytes) else source.name
    table = open_table(source, kind)
    labels = list(dict.fromkeys(each for each in (columns["group"], by) if each is not None))
    if table.kind == "lm-eval":
        if table.packed or isinstance(source, bytes):
            raise ValueError(
                f"{table.name} is a log of lm_eval: give the path of the unpacked file."
            )
        if scale in ("percent", "ten"):
            raise ValueError(f"{source} holds probabilities: leave out --scale {scale}.")
        yield from ours.read_tables(source, labels, method)
        return
    read = {each: read_rows(table, **{**columns, "group": each}) for each in labels or (None,)}
    rows = next(iter(read.values()))
    fields = {each: list(found.groups) for each, found in read.items() if each}
    few = not labels and rows.correct.size <= _COMPARED
    notes = tuple(filter(None, [repeated_ids(table) if few else ""]))
    column = Column(rows.confidence, rows.correct)
    yield LogTable(name, table.name, {method: column}, fields, notes)
