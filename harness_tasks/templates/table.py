"""Tables of texts, and the checks that a task's data must pass.

`calib_metrics.tables` reads them: CSV, TSV, JSON Lines and Parquet.

Every error is a sentence that names the file, and the row and column where there is one. Rows are
counted from 1, without the header and without blank lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from calib_metrics.tables import open_table, text_rows

_SHOWN = 10


@dataclass(frozen=True)
class Column:
    """One column that a template reads.

    Attributes:
        role: the role of its content, and its default name in the file.
        kind: ``text``, or ``texts`` for one or several: a list, or in a CSV cell a JSON list.
        required: whether it must be there; an optional column may be absent, or empty in a row.
        separator: splits a CSV cell into several texts, as in TruthfulQA's own table.
    """

    role: str
    kind: Literal["text", "texts"] = "text"
    required: bool = True
    separator: str | None = None


def read_table(path: Path) -> list[dict[str, Any]]:
    """Read all rows of a table: text from CSV and TSV, any value from JSON Lines and Parquet.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, empty, or a log of lm-eval.
    """
    if path.is_dir() or not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file.")
    table = open_table(path)
    if table.kind == "lm-eval":
        raise ValueError(f"{path} is a log of lm-eval, not a table of prompts.")
    return text_rows(table)


def select(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    names: Mapping[str, str],
    path: Path,
) -> list[dict[str, Any]]:
    """Take the columns of a template out of a table, checked, with an ``id`` for each row.

    Args:
        rows: the rows of `read_table`.
        columns: what the template reads; the result uses their roles as keys.
        names: the file's column for each role that has another name there.
        path: the file, for errors.

    Returns:
        One dictionary per row: ``id`` (the file's own column ``id``, else the row's number), a
        text (None where an optional one is empty) or a list of texts per role.

    Raises:
        ValueError: a column is missing, a cell is empty or of the wrong type, two rows are the
            same, or two ids are; up to ten problems at once.
    """
    if unknown := names.keys() - {column.role for column in columns}:
        roles = ", ".join(column.role for column in columns)
        raise ValueError(f"there is no role {min(unknown)!r} to name a column for, only {roles}.")
    there = dict.fromkeys(name for row in rows for name in row)
    problems = []
    for column in columns:
        name = names.get(column.role, column.role)
        if name not in there and (column.required or column.role in names):
            problems.append(
                f"{path}: there is no column {name!r}, only {', '.join(map(repr, there))}; name "
                f"the one that holds the {column.role} with --column {column.role}=NAME."
            )
    if problems:
        raise ValueError("\n".join(problems))
    content = [name for name in there if name != "id"]
    selected, seen, ids = [], {}, {}
    for number, row in enumerate(rows, start=1):
        chosen: dict[str, Any] = {}
        for column in columns:
            name = names.get(column.role, column.role)
            try:
                chosen[column.role] = _value(row.get(name), column)
            except ValueError as error:
                problems.append(f"{path}, row {number}, column {name!r}: {error}")
        key = json.dumps([row.get(name) for name in content], sort_keys=True, default=str)
        if first := seen.get(key):
            problems.append(f"{path}, row {number}: it is the same as row {first}; delete one.")
        seen.setdefault(key, number)
        own = str(number)
        try:
            own = own if _is_empty(row.get("id")) else _text(str(row["id"]))
        except ValueError as error:
            problems.append(f"{path}, row {number}, column 'id': {error}")
        if not first and (other := ids.get(own)):
            problems.append(
                f"{path}, row {number}, column 'id': {own!r} is also the id of row {other}; "
                f"give every row its own."
            )
        ids.setdefault(own, number)
        selected.append({"id": own, **chosen})
    if problems:
        more = len(problems) - _SHOWN
        raise ValueError(
            "\n".join(problems[:_SHOWN]) + (f"\n… and {more} more problems." if more > 0 else "")
        )
    return selected


def _value(value: Any, column: Column) -> Any:
    if _is_empty(value):
        if column.required:
            raise ValueError("the cell is empty; fill it or delete the row.")
        return [] if column.kind == "texts" else None
    if column.kind == "text":
        return _text(value)
    values = _split(value, column.separator) if isinstance(value, str) else value
    if not isinstance(values, list):
        raise ValueError(f"{shown(value)} is not text, nor a list of texts.")
    if not values:
        raise ValueError(f"{shown(value)} holds no text between its separators.")
    texts = [_text(each) for each in values]
    if not all(text.strip() for text in texts):
        raise ValueError("one text of the list is empty; fill it or take it out.")
    return texts


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not text; put it in quotes, as a text of its own.")
    try:
        value.encode()
    except UnicodeEncodeError:  # JSON can write what UTF-8 cannot
        raise ValueError(
            "the text has half of a surrogate pair (\\ud800 to \\udfff); correct it."
        ) from None
    return value


def _split(cell: str, separator: str | None) -> list[Any]:
    """The texts in one cell: a JSON list, or parts between separators, or the cell itself."""
    if cell.lstrip().startswith("["):
        try:
            values = json.loads(cell)
        except (ValueError, RecursionError):  # the latter: nested too deeply, so no list of texts
            pass
        else:
            if all(isinstance(value, str) for value in values):  # "[1, 2]" is an answer itself
                return values
    if separator is None:
        return [cell]
    return [part.strip() for part in cell.split(separator) if part.strip()]


def _is_empty(value: Any) -> bool:
    if value is None or value != value or value == []:  # NaN differs from itself
        return True
    return isinstance(value, str) and not value.strip()


def shown(value: Any) -> str:
    """A value in an error: as Python writes it, and not more than 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
