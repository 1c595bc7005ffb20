"""Reader of users' tables: CSV, TSV, JSON Lines and Parquet, compressed or from a pipe.

The content of a file determines its format and separator. Needs pyarrow. Every error is a
ValueError of one sentence that names the file.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calib_metrics._checks import check_choice
from calib_metrics._quotes import strict_rows
from calib_metrics.pipes import read_source

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet

FORMATS = ("csv", "tsv", "jsonl", "parquet")
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_SEPARATORS = (",", ";", "\t")  # the first wins at equal counts
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
_PACKED_SUFFIXES = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
_AS_CSV = "save the table as CSV"
_NO_TABLES = {
    b"PK\x03\x04": ("a workbook or an archive (ZIP)", "save the sheet as CSV, or unpack it"),
    b"PK\x05\x06": ("an empty archive (ZIP)", _AS_CSV),
    b"\xd0\xcf\x11\xe0": ("a workbook of an old version of Excel", "save the sheet as CSV"),
    b"\xfd7zXZ": ("packed with xz", "unpack it first"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it first"),
    b"Rar!": ("a RAR archive", "unpack it first"),
    b"%PDF": ("a PDF", _AS_CSV),
    b"SQLite format 3": ("an SQLite database", _AS_CSV),
    b"\x93NUMPY": ("a NumPy array", _AS_CSV),
    b"\x89HDF": ("an HDF5 file", _AS_CSV),
    b"ARROW1": ("an Arrow (Feather) file", "save it as Parquet"),
    b"version https://git-lfs": ("a pointer of Git LFS, not the file itself", "run `git lfs pull`"),
    b"\xff\xfe": ("UTF-16 text", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16 text", "save it as UTF-8"),
}
_HEAD = 1 << 16
_WHOLE = 1 << 26  # bytes of a file that is examined as a whole to explain why it cannot be read

Source = str | os.PathLike[str] | bytes  # a file or a pipe, or its content


@dataclass(frozen=True)
class Table:
    """A table whose format is known but whose rows are not read yet.

    name: for errors. kind: one of `FORMATS`, or "lm-eval" for JSON Lines that lm-eval logged.
    separator: between the cells of CSV and TSV. packed: the compression, if any. source: its path,
    or its bytes if it came through a pipe.
    """

    name: str
    kind: str
    separator: str
    packed: str | None
    source: str | bytes

    def open(self) -> pa.NativeFile:
        """Return a stream of its uncompressed bytes."""
        return _stream(self.source, self.packed)

    def header(self) -> list[str]:
        """Return the names of the columns of a CSV or TSV table."""
        with self.open() as stream:
            text = io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="")
            return _first_row(text, self.separator)


def open_table(source: Source | Table, format: str | None = None) -> Table:
    """Detect a table's format from its content, or for kinds of text from its suffix (without .gz).

    source: a file, a pipe (read to its end) or content. format: one of `FORMATS`, to require it.
    Raises ValueError if it is empty or not a table, OSError if the file cannot be read.
    """
    if isinstance(source, Table):
        return source
    name = "standard input" if isinstance(source, bytes) else os.fspath(source)
    with naming(name):
        if format is not None:
            check_choice(format, "format", FORMATS)
        content = source if isinstance(source, bytes) else _path_or_content(os.fspath(source))
        suffixes = [] if isinstance(source, bytes) else Path(name.lower()).suffixes
        with _stream(content, None) as stream:
            start = stream.read(8)
        packed = next((how for magic, how in _PACKED.items() if start.startswith(magic)), None)
        if suffixes and suffixes[-1] in _PACKED_SUFFIXES:
            how = _PACKED_SUFFIXES[suffixes.pop()]
            if how != packed:
                raise ValueError(f"the file is damaged (its name says {how}, which it is not).")
        with _stream(content, packed) as stream:
            head = stream.read(_HEAD)
        kind = _kind(head, suffixes[-1] if suffixes else "", format)
        separator = "\t" if kind == "tsv" else ","
        if kind == "csv":
            text = head.decode("utf-8-sig", errors="replace")
            cells = {each: len(_first_row(io.StringIO(text), each)) for each in _SEPARATORS}
            separator = max(_SEPARATORS, key=lambda each: cells[each])
        table = Table(name, kind, separator, packed, content)
        if kind == "jsonl" and format is None:
            first = next(json_rows(table), (0, {}))[1]
            if first.keys() >= {"doc", "resps", "filtered_resps"}:
                return Table(name, "lm-eval", separator, packed, content)
        return table


def _kind(head: bytes, suffix: str, format: str | None) -> str:
    """Return the format of a file that begins with `head`."""
    if not head.strip():
        raise ValueError("the file is empty: it needs column names and rows.")
    for magic, (what, advice) in _NO_TABLES.items():
        if head.startswith(magic):
            raise ValueError(f"the file is {what}: {advice}.")
    if head.startswith(b"PAR1"):
        found = "parquet"
    else:
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        found = format or _SUFFIXES.get(suffix, "")
        if not found:
            found = "jsonl" if start.startswith((b"{", b"[")) else "csv"
        if found != "parquet" and b"\0" in head:
            raise ValueError(f"the file is binary data, not text: {_AS_CSV}.")
        if found != "parquet" and start[:14].lower().startswith((b"<!doctype html", b"<html")):
            raise ValueError("the file is a web page, as a failed download leaves: download again.")
        if found == "jsonl" and start.startswith(b"["):
            raise ValueError("the file is one JSON array: write one object per line (JSON Lines).")
    if format not in (None, found):
        raise ValueError(f"the file is {found}, not {format}.")
    return found


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Make every error begin with the file's name."""
    try:
        yield
    except (ValueError, csv.Error, NotImplementedError) as error:  # the last is pyarrow's
        raise ValueError(f"{name}: {error}") from None
    except OSError as error:
        if error.errno is not None:  # the system's own errors name the file
            raise
        raise ValueError(f"{name}: the file is damaged ({error}).") from None


def json_rows(table: Table) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line that is not blank.

    Bytes that are not UTF-8 are replaced. Raises ValueError for a line that is not a JSON object.
    """
    with table.open() as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="replace")
        yield from _json_objects(table, text)


def text_rows(table: Table) -> list[dict[str, Any]]:
    """Read all columns: text from CSV and TSV, any value from JSON Lines and Parquet.

    Raises ValueError if the text is not UTF-8, a row is damaged, or there are no rows.
    """
    with naming(table.name):
        if table.kind == "parquet":
            file = open_parquet(table)
            check_unique(file.schema_arrow.names)
            rows = file.read().to_pylist()
        elif table.kind == "csv" or table.kind == "tsv":
            rows = _delimited_rows(_utf8(table), table.separator)
        else:
            rows = [row for _, row in _json_objects(table, io.StringIO(_utf8(table), "\n"))]
        if not rows:
            raise ValueError("the file has column names but no rows.")
        return rows


def open_parquet(table: Table) -> pyarrow.parquet.ParquetFile:
    """Return a Parquet file to read columns from; ValueError if it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        if table.packed is None and isinstance(table.source, str):
            return parquet.ParquetFile(_file(table.source))
        with table.open() as stream:
            return parquet.ParquetFile(pa.BufferReader(stream.read()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"this is no Parquet file, or a damaged one: {error}") from None


def check_unique(names: Sequence[str]) -> None:
    """Raise ValueError if two columns have the same name."""
    for name in names:
        if (count := list(names).count(name)) > 1:
            many = "two" if count == 2 else str(count)
            raise ValueError(f"{many} columns are called {name!r}: rename all but one.")


def _path_or_content(path: str) -> str | bytes:
    """Read a pipe to its end, because it can be read only once and from its beginning."""
    content = read_source(Path(path))
    return content if isinstance(content, bytes) else path


def _stream(source: str | bytes, packed: str | None) -> pa.NativeFile:
    import pyarrow as pa

    if isinstance(source, bytes):
        return pa.input_stream(pa.BufferReader(source), compression=packed)
    return pa.input_stream(_file(source), compression=packed)


def _file(path: str) -> pa.NativeFile:
    import pyarrow as pa

    return pa.OSFile(os.fsencode(path))  # text would have to be UTF-8


def _first_row(text: io.TextIOBase, separator: str) -> list[str]:
    return next((row for row in csv.reader(text, delimiter=separator) if row), [])


def _json_objects(
    table: Table, lines: Iterator[str] | io.TextIOBase
) -> Iterator[tuple[int, dict[str, Any]]]:
    first = True
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            if first and _is_one_document(table):
                raise ValueError(
                    "the file is one JSON document over several lines: write one object per line "
                    "(JSON Lines)."
                ) from None
            raise ValueError(
                f"line {number} is not JSON: the file is damaged or was cut off."
            ) from None
        except RecursionError:
            raise ValueError(f"line {number} is nested too deeply.") from None
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is not a JSON object ({{...}}).")
        first = False
        yield number, row


def _is_one_document(table: Table) -> bool:
    with table.open() as stream:
        content = stream.read(_WHOLE)
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


def _utf8(table: Table) -> str:
    with table.open() as stream:
        content = stream.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8 text: save the file as UTF-8.") from None


def _delimited_rows(content: str, separator: str) -> list[dict[str, str]]:
    cells = list(strict_rows(io.StringIO(content, newline=""), separator))
    names, *rows = cells
    check_unique(names)
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise ValueError(
                f"row {number}: the number of cells is {len(row)}, that of column names "
                f"{len(names)}; put a text with {separator!r} in it between quotes."
            )
    return [dict(zip(names, row, strict=True)) for row in rows]
