"""All rows as a table of Arrow, and as a Parquet file.

Arrays are made of buffers: pyarrow imports pandas for every list that it converts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from numpy.typing import DTypeLike
from pyarrow import ipc, parquet

from calib_leaderboards.tables.formats import COLUMNS, MAIN_PLACE, RANK_PLACE

_NUMBERS: dict[str, tuple[Any, DTypeLike]] = {
    **dict.fromkeys(("value", "low", "high", "stderr"), (pyarrow.float64(), np.float64)),
    **dict.fromkeys(
        ("parameters", "num_fewshot", "rank", "n", "n_missing"), (pyarrow.int64(), np.int64)
    ),
}
_TRUTHS = "default_setting", "chat_template", "system_prompt", "sanity", "higher_is_better"


def to_table(lines: Sequence[Sequence[Any]]) -> pyarrow.Table:
    """Lines of `flat` as a table, in which each text of a column lies once."""
    columns = list(zip(*lines, strict=True)) or [()] * len(COLUMNS)
    arrays = [_array(name, column) for name, column in zip(COLUMNS, columns, strict=True)]
    return pyarrow.table(arrays, names=list(COLUMNS))


def with_ranks(
    table: pyarrow.Table, main: Sequence[bool], ranks: Sequence[int | None]
) -> pyarrow.Table:
    """The table with other values of the two columns that depend on other rows."""
    for place, values in ((MAIN_PLACE, main), (RANK_PLACE, ranks)):
        table = table.set_column(place, COLUMNS[place], _array(COLUMNS[place], values))
    return table


def spliced(pieces: Sequence[pyarrow.Table]) -> pyarrow.Table:
    """Pieces of tables one after the other, as `to_table` would have made them of all lines."""
    whole = pyarrow.concat_tables(pieces)
    arrays = [
        column.cast(pyarrow.string()).combine_chunks().dictionary_encode()
        if pyarrow.types.is_dictionary(column.type)
        else column.combine_chunks()
        for column in whole.columns
    ]
    return pyarrow.table(arrays, names=list(COLUMNS))


def write_table(table: pyarrow.Table) -> bytes:
    """The table as a file of Arrow."""
    buffer = pyarrow.BufferOutputStream()
    with ipc.new_file(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue().to_pybytes()


def read_table(file: Path) -> pyarrow.Table:
    """A table that `write_table` wrote."""
    return ipc.open_file(file.read_bytes()).read_all()


def to_parquet(tables: Iterable[pyarrow.Table]) -> bytes:
    """A Parquet file of tables, each a group of rows; types are kept."""
    buffer, writer = pyarrow.BufferOutputStream(), None
    for table in tables:
        if writer is None:  # without Arrow's own schema, by which readers would make categories
            writer = parquet.ParquetWriter(
                buffer, table.schema, compression="zstd", store_schema=False
            )
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return buffer.getvalue().to_pybytes()


def _array(name: str, values: Sequence[Any]) -> pyarrow.Array:
    size, missing = len(values), None in values
    valid = _bits([value is not None for value in values]) if missing else None
    if name in _TRUTHS:
        kind, data = pyarrow.bool_(), _bits([bool(value) for value in values])
        return pyarrow.Array.from_buffers(kind, size, [valid, data])
    if name in _NUMBERS:
        kind, dtype = _NUMBERS[name]
        numbers = np.array([0 if value is None else value for value in values], dtype)
        return pyarrow.Array.from_buffers(kind, size, [valid, pyarrow.py_buffer(numbers)])
    texts = [text for text in dict.fromkeys(values) if text is not None]
    places = {None: 0, **{text: place for place, text in enumerate(texts)}}
    codes = pyarrow.py_buffer(np.array([places[value] for value in values], np.int32))
    encoded = [text.encode("utf-8") for text in texts]
    ends = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    buffers = [None, pyarrow.py_buffer(ends), pyarrow.py_buffer(b"".join(encoded))]
    return pyarrow.DictionaryArray.from_arrays(
        pyarrow.Array.from_buffers(pyarrow.int32(), size, [valid, codes]),
        pyarrow.Array.from_buffers(pyarrow.string(), len(texts), buffers),
    )


def _bits(truths: Sequence[bool]) -> pyarrow.Buffer:
    return pyarrow.py_buffer(np.packbits(np.array(truths, bool), bitorder="little"))
