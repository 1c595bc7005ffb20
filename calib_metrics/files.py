"""Read confidences and grades from tables of any size.

Needs pyarrow; `calib_metrics.tables` detects the format. A cell is a number or empty; text is never
turned into a confidence. Every error names the file and, if possible, the column and the row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calib_metrics._file_columns import to_confidence, to_correct, to_groups
from calib_metrics._quotes import check_quotes
from calib_metrics.tables import Source, Table, json_rows, naming, open_parquet, open_table

if TYPE_CHECKING:
    import pyarrow as pa

# Bytes parsed at once. A single row must fit, and rows may hold whole conversations.
_BLOCK = 1 << 24
_IDS = ("id", "doc_id", "question_id")


class Rows(NamedTuple):
    """The columns of one file: confidence (NaN where empty), correct, and groups if asked for.

    groups holds each row's label, as text.
    """

    confidence: NDArray[np.float64]
    correct: NDArray[np.float64]
    groups: NDArray[np.object_] | None = None


def find_format(source: Source) -> str:
    """Return "csv", "tsv", "jsonl", "parquet", or "lm-eval" for a log of lm-eval.

    Raises ValueError for an empty file and for any other content.
    """
    return open_table(source).kind


def read_rows(
    source: Source | Table,
    *,
    confidence: str = "confidence",
    correct: str = "correct",
    group: str | None = None,
    format: str | None = None,
) -> Rows:
    """Read the named columns of a table.

    source: a file, a pipe or its content, or the result of `open_table`.
    confidence: numbers; empty, null or NaN if missing. correct: 0 and 1, or true and false. group:
    any values; rows with the same value belong together, as in `score(groups=...)`.
    format: "csv", "tsv", "jsonl" or "parquet"; None detects it.

    This function does not check ranges; `score` does.
    Raises ValueError if the file is damaged or empty, lacks a column, or has other kinds of cells.
    """
    table = open_table(source, format)
    with naming(table.name):
        names = [confidence, correct] + ([] if group is None else [group])
        if len(set(names)) < len(names):
            raise ValueError(f"the columns {', '.join(map(repr, names))} must differ.")
        # Of Parquet one column after the other, which takes less memory.
        columns = None if table.kind == "parquet" else _read(table, names)

        def column(name: str) -> pa.ChunkedArray:
            return (_read(table, [name]) if columns is None else columns).column(name)

        return Rows(
            to_confidence(column(confidence), f"column '{confidence}'"),
            to_correct(column(correct), f"column '{correct}'"),
            None if group is None else to_groups(column(group), f"column '{group}'"),
        )


def repeated_ids(source: Source | Table) -> str:
    """Return a sentence if rows of a table repeat the id of another row, else "".

    The ids are in the first column called "id", "doc_id" or "question_id"; empty cells are no ids.
    Raises ValueError if the file is damaged or empty.
    """
    import pyarrow.compute as compute

    table = open_table(source)
    with naming(table.name):
        there = _names(table)
        name = next((name for name in _IDS if there.count(name) == 1), None)
        if name is None:
            return ""
        found = compute.value_counts(_read(table, [name]).column(name).drop_null())
    counts = found.field("counts")
    repeated = (compute.sum(counts).as_py() or 0) - len(counts)
    if not repeated:
        return ""
    first = found.field("values")[compute.index(compute.greater(counts, 1), True).as_py()].as_py()
    if isinstance(first, float) and first.is_integer():
        first = int(first)  # JSON's numbers are read as floats
    rows = "row repeats" if repeated == 1 else "rows repeat"
    return (
        f"{repeated:,} {rows} the '{name}' of another, such as {first!r}. If questions were asked "
        f"several times, give --group {name}; if several methods or tasks share the table, --by "
        "with their column; if rows were doubled, remove the copies."
    )


def _names(table: Table) -> list[str]:
    if table.kind == "parquet":
        return list(open_parquet(table).schema_arrow.names)
    if table.kind in ("csv", "tsv"):
        return table.header()
    return list(next(json_rows(table), (0, {}))[1])


def _read(table: Table, names: list[str]) -> pa.Table:
    if table.kind == "parquet":
        columns = _read_parquet(table, names)
    elif table.kind in ("csv", "tsv"):
        columns = _read_delimited(table, names)
    else:
        columns = _read_jsonl(table, names)
    if columns.num_rows == 0:
        raise ValueError("the file has column names but no rows: give at least one answer.")
    return columns


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


def _read_delimited(table: Table, names: list[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    _check_names(names, table.header())
    empty = [*arrow_csv.ConvertOptions().null_values, "None"]
    with table.open() as content, table.open() as again:
        check_quotes(content, again, table.separator)
    try:
        with table.open() as stream:
            return arrow_csv.read_csv(
                stream,
                arrow_csv.ReadOptions(block_size=_BLOCK),
                # Questions and answers in other columns may well hold line breaks, in quotes.
                arrow_csv.ParseOptions(delimiter=table.separator, newlines_in_values=True),
                arrow_csv.ConvertOptions(
                    include_columns=names, null_values=empty, strings_can_be_null=True
                ),
            )
    except pa.ArrowInvalid as error:
        raise ValueError(f"the rows cannot be read: {error}") from None


def _read_parquet(table: Table, names: list[str]) -> pa.Table:
    import pyarrow as pa

    file = open_parquet(table)
    _check_names(names, file.schema_arrow.names)
    try:
        return file.read(columns=names)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"this is no Parquet file, or a damaged one: {error}") from None


def _read_jsonl(table: Table, names: list[str]) -> pa.Table:
    """Read with pyarrow if all rows look like the first, else line by line to find the error.

    pyarrow must know the types of the columns; otherwise it parses all other columns too, and stops
    if one of those is irregular.
    """
    import pyarrow as pa
    import pyarrow.json as arrow_json

    first = next(json_rows(table), (0, {}))[1]
    types = {bool: pa.bool_(), int: pa.float64(), float: pa.float64(), str: pa.string()}
    kinds = [types.get(type(first.get(name))) for name in names]
    if None not in kinds:
        try:
            with table.open() as stream:
                return arrow_json.read_json(
                    stream,
                    arrow_json.ReadOptions(block_size=_BLOCK),
                    arrow_json.ParseOptions(
                        explicit_schema=pa.schema(list(zip(names, kinds, strict=True))),
                        unexpected_field_behavior="ignore",
                    ),
                )
        except pa.ArrowInvalid:
            pass
    columns: dict[str, list[Any]] = {name: [] for name in names}
    seen: dict[str, None] = {}
    for _, row in json_rows(table):
        seen.update(dict.fromkeys(row))
        for name in names:
            columns[name].append(row.get(name))
    for name in names[1:2]:  # correct, where true beside 1 is 1
        if not all(isinstance(value, bool) for value in columns[name]):
            columns[name] = [int(v) if isinstance(v, bool) else v for v in columns[name]]
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
