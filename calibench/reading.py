"""The tables and logs that `score` and `recalibrate` read, by the same rules."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from calib_metrics.files import Rows
    from harness_tasks.stock_logs.table import LogTable


def read_tables(
    file: Path,
    kind: str | None,
    method: str,
    columns: dict[str, str | None],
    by: str | None,
    scale: str,
) -> Iterator[LogTable]:
    """Yield the tables in a file, a folder or a pipe; `-` is standard input.

    kind: the format, if it was given. method: the only one, "" for all. columns: the names of
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
    from calib_metrics.files import read_rows
    from calib_metrics.tables import open_table
    from harness_tasks.stock_logs.table import Column, LogTable

    name = "standard input" if isinstance(source, bytes) else source.name
    table = open_table(source, kind)
    labels = dict.fromkeys(each for each in (columns["group"], by) if each is not None)
    logged: dict[str, dict[str | None, Rows]] = {}
    if table.kind != "lm-eval":
        logged[method] = {
            each: read_rows(table, **{**columns, "group": each}) for each in labels or (None,)
        }
    else:
        if table.packed or isinstance(source, bytes):
            raise ValueError(
                f"{table.name} is a log of lm_eval: give the path of the unpacked file."
            )
        if scale in ("percent", "ten"):
            raise ValueError(f"{source} holds probabilities: leave out --scale {scale}.")
        for each in labels or (None,):
            for found, rows in _read_log(source, each).items():
                logged.setdefault(found, {})[each] = rows
        if method and method not in logged:
            raise ValueError(f"{source}: there is no method '{method}', only {', '.join(logged)}.")
    for found, by_label in logged.items():
        if method in ("", found):
            rows = next(iter(by_label.values()))
            fields = {each: list(rows.groups) for each, rows in by_label.items() if each}
            yield LogTable(name, table.name, {found: Column(rows.confidence, rows.correct)}, fields)


def _read_log(file: Path, group: str | None) -> dict[str, Rows]:
    """Return the rows of each method that a log of lm_eval holds."""
    import numpy as np

    from calib_metrics.files import Rows
    from harness_tasks.elicitation.records import read_samples

    logged: dict[str, list[tuple]] = {}
    for row, record in read_samples(file):
        if record["correct"] is None:  # a judge's verdict that could not be read
            continue
        fields = {**(row["doc"] if isinstance(row.get("doc"), dict) else {}), **record}
        if group is not None and group not in fields:
            raise ValueError(f"{file}: there is no field '{group}', only {', '.join(fields)}.")
        values = record["confidence"], record["correct"], str(fields.get(group))
        logged.setdefault(record["method"], []).append(values)
    if not logged:
        raise ValueError(f"{file}: no answer in it is graded, so there is nothing to score.")
    columns = {}
    for method, values in logged.items():
        confidence, correct, groups = zip(*values, strict=True)
        labels = None if group is None else np.array(groups, object)
        columns[method] = Rows(np.array(confidence, float), np.array(correct, float), labels)
    return columns
