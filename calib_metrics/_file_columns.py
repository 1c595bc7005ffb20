"""Turn the columns of a file into arrays, or say which cell is wrong.

`where` names the column in error messages. All errors are ValueErrors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"


def to_confidence(column: pa.ChunkedArray, where: str) -> NDArray[np.float64]:
    """Return numbers, with NaN for empty cells."""
    import pyarrow as pa

    column = _decode(column)
    if pa.types.is_boolean(column.type) and column.null_count < len(column):
        raise ValueError(
            f"{where} holds true and false, not confidences: are the two columns swapped?"
        )
    return _to_numbers(column, where, "leave the cell empty where there is no confidence")


def to_correct(column: pa.ChunkedArray, where: str) -> NDArray[np.float64]:
    """Return numbers, with 1 and 0 for true and false; no cell may be empty."""
    import pyarrow.compute as compute

    column = _decode(column)
    if column.null_count:
        row = compute.index(compute.is_null(column), True).as_py() + 1
        raise ValueError(
            f"{where} is empty in {column.null_count} of {len(column)} rows, first in row {row}: "
            "grade every answer with 0 or 1."
        )
    if _is_text(column.type):
        lower = compute.utf8_lower(compute.utf8_trim_whitespace(column))
        truth = compute.equal(lower, "true")
        if compute.all(compute.or_(truth, compute.equal(lower, "false"))).as_py():
            column = truth
    return _to_numbers(column, where, "write 0 and 1, or true and false")


def _to_numbers(column: pa.ChunkedArray, where: str, advice: str) -> NDArray[np.float64]:
    import pyarrow as pa
    import pyarrow.compute as compute

    kind = column.type
    if column.null_count == len(column):
        return np.full(len(column), np.nan)
    if _is_text(kind):
        text = compute.invert(compute.match_substring_regex(column, _NUMBER))
        row = compute.index(text, True).as_py()
        if row < 0:  # they are numbers, but written as text
            row = compute.index(compute.is_valid(column), True).as_py()
        value = column[row].as_py()
        if value.strip().endswith("%"):
            advice = "write 0.95 for 95%"
        elif re.fullmatch(r"\s*[-+]?\d+,\d+\s*", value):
            advice = "write 0.95 with a point, not a comma"
        raise ValueError(f"{where} holds text, such as {value!r} in row {row + 1}: {advice}.")
    if not (
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    ):
        raise ValueError(f"{where} holds values of the type {kind}, not numbers: {advice}.")
    numbers = np.empty(len(column))
    begin = 0
    for chunk in column.chunks:  # one after the other, which takes half of the memory
        end = begin + len(chunk)
        numbers[begin:end] = chunk.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        begin = end
        pa.default_memory_pool().release_unused()  # else it keeps as much memory again
    return numbers  # null has become NaN


def to_groups(column: pa.ChunkedArray, where: str) -> NDArray[np.object_]:
    """Return labels as text; no cell may be empty."""
    import pyarrow as pa

    if column.null_count:
        raise ValueError(
            f"{where} is empty in {column.null_count} of {len(column)} rows: "
            "every row needs a group."
        )
    return _decode(column).cast(pa.string()).to_numpy()


def _decode(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):  # pandas' categories
        return column.cast(column.type.value_type)
    return column


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
