"""Quotes in CSV: a quote that is never closed silently swallows rows.

pyarrow reads such a cell to the next quote, or to the end of the file, with all rows in between.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

_BLOCK = 1 << 24  # bytes
# Characters of a cell; the largest limit that the csv module takes everywhere.
_LONGEST = (1 << 31) - 1
_QUOTE = ord('"')


def strict_rows(lines: Iterator[str] | io.TextIOBase, separator: str) -> Iterator[list[str]]:
    """Yield the rows of CSV, the column names first, without blank lines.

    Raises ValueError for a quote that is not closed, or is closed within a cell.
    """
    # A cell may hold a whole conversation; the limit is the process's, so it is put back.
    limit = csv.field_size_limit(_LONGEST)
    number = 0
    try:
        for row in csv.reader(lines, delimiter=separator, strict=True):
            if row:  # a blank line has no cells
                yield row
                number += 1
    except csv.Error as error:
        where = f"row {number}" if number else "the column names"
        raise ValueError(
            f"{where}: {error}; put a text with quotes in it between quotes, and write those twice."
        ) from None
    finally:
        csv.field_size_limit(limit)


def check_quotes(content: BinaryIO, again: BinaryIO, separator: str) -> None:
    """Raise ValueError if a quoted cell of a CSV file is not closed where it should be.

    content: the bytes. again: the same from the beginning; read only if a quote stands elsewhere
    than at the beginning or end of a cell, which may be right: 5" is a text.
    """
    if not _all_at_borders(content, separator):
        for _ in strict_rows(
            io.TextIOWrapper(again, "utf-8-sig", "replace", newline=""), separator
        ):
            pass


def _all_at_borders(content: BinaryIO, separator: str) -> bool:
    """Return whether quotes alternately open before a cell and close after one."""
    borders = np.zeros(256, bool)
    borders[[ord(each) for each in f'{separator}\n\r"']] = True
    # Each byte is looked at with the one before and the one after it.
    carried, opened = b"\n", False
    block = content.read(_BLOCK).removeprefix(b"\xef\xbb\xbf")
    while carried:
        data = carried + (block or b"\n")
        carried = data[-2:] if block else b""
        if b'"' in data:
            codes = np.frombuffer(data, np.uint8)
            quotes = np.flatnonzero(codes[1:-1] == _QUOTE) + 1
            opening = np.arange(len(quotes)) % 2 == int(opened)
            beside = np.where(opening, codes[quotes - 1], codes[quotes + 1])
            if not borders[beside].all():
                return False
            opened ^= len(quotes) % 2 == 1
        block = content.read(_BLOCK)
    return not opened
