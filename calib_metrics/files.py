"""Reads confidences and grades from CSV, TSV, JSON Lines and Parquet files of any size.

Needs pyarrow. A cell is a number or empty; text is never turned into a confidence, and every error
names the file and, where there is one, the column and the row.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calib_metrics._checks import check_choice
from calib_metrics._file_columns import to_confidence, to_correct, to_groups

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("csv", "tsv", "jsonl", "parquet")
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
# Bytes parsed at once. A single row must fit, and rows may hold whole conversations.
_BLOCK = 1 << 24

Source = str | os.PathLike[str] | bytes  # a file, or its content as it came through a pipe


class Rows(NamedTuple):
    """The columns of one file: confidence (NaN where empty), correct, and groups if asked for.

    groups holds each row's label, as text.
    """

    confidence: NDArray[np.float64]
    correct: NDArray[np.float64]
    groups: NDArray[np.object_] | None = None


def find_format(source: Source) -> str:
    """Return the file's format: by its suffix (.gz aside), else by its content.

    One of `FORMATS`, or "lm-eval" for JSON Lines that lm-eval logged (samples_*.jsonl).
    Raises ValueError for an empty file, and for content that is none of them.
    """
    with _named(source):
        return _find_format(source)


def _find_format(source: Source) -> str:
    suffixes = [] if isinstance(source, bytes) else Path(str(source).lower()).suffixes
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    with _open(source) as stream:
        head = stream.read(1 << 16)
    if not head.strip():
        raise ValueError("the file is empty: it needs column names and rows.")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ValueError("the file is UTF-16 text: save it as UTF-8.")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if suffixes and suffixes[-1] in _SUFFIXES:
        found = _SUFFIXES[suffixes[-1]]
    elif start.startswith(b"PAR1"):
        found = "parquet"
    elif start.startswith((b"{", b"[")):
        found = "jsonl"
    else:
        found = "tsv" if b"\t" in start.partition(b"\n")[0] else "csv"
    if found == "jsonl":
        if start.startswith(b"["):
            raise ValueError("the file is one JSON array: write one object per line (JSON Lines).")
        first = next(_json_lines(source), (0, {}))[1]
        if first.keys() >= {"doc", "resps", "filtered_resps"}:
            return "lm-eval"
    return found


def read_rows(
    source: Source,
    *,
    confidence: str = "confidence",
    correct: str = "correct",
    group: str | None = None,
    format: str | None = None,
) -> Rows:
    """Read the named columns of a file, or of a file's content.

    confidence: numbers; empty, null or NaN where there is none. correct: 0 and 1, or true and
    false. group: any values; rows that share one belong together, as in `score(groups=...)`.
    format: one of `FORMATS`, found by `find_format` when it is None. A file named .gz is unpacked.

    Ranges are not checked here: `score` does that.
    Raises ValueError for a file that is damaged, empty or lacks a column, and for cells that are
    not of these kinds.
    """
    with _named(source):
        format = format or _find_format(source)
        check_choice(format, "format", FORMATS)
        names = [confidence, correct] + ([] if group is None else [group])
        if len(set(names)) < len(names):
            raise ValueError(f"the columns {', '.join(map(repr, names))} must differ.")
        table = _read(source, names, format)
        return Rows(
            to_confidence(table.column(confidence), f"column '{confidence}'"),
            to_correct(table.column(correct), f"column '{correct}'"),
            None if group is None else to_groups(table.column(group), f"column '{group}'"),
        )


def _read(source: Source, names: list[str], format: str) -> pa.Table:
    if format == "parquet":
        table = _read_parquet(source, names)
    elif format == "jsonl":
        table = _read_jsonl(source, names)
    else:
        table = _read_delimited(source, names, "\t" if format == "tsv" else ",")
    if table.num_rows == 0:
        raise ValueError("the file has column names but no rows: give at least one answer.")
    return table


@contextmanager
def _named(source: Source) -> Iterator[None]:
    """Let every error begin with the file's name."""
    name = "standard input" if isinstance(source, bytes) else source
    try:
        yield
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{name}: {error}") from None
    except OSError as error:
        if error.errno is not None:  # the system's own errors name the file
            raise
        raise ValueError(f"{name}: the file is damaged ({error}).") from None


def _json_lines(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line that is not blank.

    Raises ValueError for a line that is not a JSON object.
    """
    with _open(source) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="replace")
        for number, line in enumerate(text, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                raise ValueError(
                    f"line {number} is not JSON: the file is damaged or was cut off."
                ) from None
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not a JSON object ({{...}}).")
            yield number, row


def _open(source: Source) -> pa.NativeFile:
    import pyarrow as pa

    if isinstance(source, bytes):
        return pa.BufferReader(source)
    path = os.fspath(source)
    return pa.input_stream(path, compression="gzip" if path.endswith(".gz") else None)


def _check_names(names: list[str], there: list[str]) -> None:
    for name in names:
        if name not in there:
            raise ValueError(
                f"there is no column '{name}', only {', '.join(map(repr, there))}: "
                "name the right one (--confidence, --correct or --group)."
            )
        if there.count(name) > 1:
            count = there.count(name)
            raise ValueError(f"{count} columns are called '{name}': rename all but one.")


def _read_delimited(source: Source, names: list[str], delimiter: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    with _open(source) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="")
        _check_names(names, next(csv.reader(text, delimiter=delimiter), []))
    empty = [*arrow_csv.ConvertOptions().null_values, "None"]
    try:
        with _open(source) as stream:
            return arrow_csv.read_csv(
                stream,
                arrow_csv.ReadOptions(block_size=_BLOCK),
                # Questions and answers in other columns may well hold line breaks, in quotes.
                arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                arrow_csv.ConvertOptions(
                    include_columns=names, null_values=empty, strings_can_be_null=True
                ),
            )
    except pa.ArrowInvalid as error:
        raise ValueError(f"the rows cannot be read: {error}") from None


def _read_parquet(source: Source, names: list[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as arrow_parquet

    try:
        file = arrow_parquet.ParquetFile(_open(source) if isinstance(source, bytes) else source)
        _check_names(names, file.schema_arrow.names)
        return file.read(columns=names)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"this is no Parquet file, or a damaged one: {error}") from None


def _read_jsonl(source: Source, names: list[str]) -> pa.Table:
    """Read by pyarrow if all rows look like the first, else line by line, which finds the fault.

    pyarrow must be told the types of the columns, or it would parse all the others too and stop
    where one of those is irregular.
    """
    import pyarrow as pa
    import pyarrow.json as arrow_json

    first = next(_json_lines(source), (0, {}))[1]
    types = {bool: pa.bool_(), int: pa.float64(), float: pa.float64(), str: pa.string()}
    kinds = [types.get(type(first.get(name))) for name in names]
    if None not in kinds:
        try:
            with _open(source) as stream:
                return arrow_json.read_json(
                    stream,
                    arrow_json.ReadOptions(block_size=_BLOCK),
                    arrow_json.ParseOptions(
                        explicit_schema=pa.schema(list(zip(names, kinds))),
                        unexpected_field_behavior="ignore",
                    ),
                )
        except pa.ArrowInvalid:
            pass
    columns: dict[str, list] = {name: [] for name in names}
    seen: dict[str, None] = {}
    for _, row in _json_lines(source):
        seen.update(dict.fromkeys(row))
        for name in names:
            columns[name].append(row.get(name))
    correct = columns[names[1]]
    if not all(isinstance(value, bool) for value in correct):  # true beside 1 is 1
        columns[names[1]] = [int(v) if isinstance(v, bool) else v for v in correct]
    _check_names(names, list(seen))
    return pa.table({name: _to_array(values) for name, values in columns.items()})


def _to_array(values: list[Any]) -> pa.Array:
    """Return a column of booleans, of numbers, or of text if any value is something else."""
    import pyarrow as pa

    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {bool}:
        return pa.array(values, pa.bool_())
    if kinds <= {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    return pa.array([None if v is None else str(v) for v in values], pa.string())
