"""Rows of a user's own table or of a data set on the Hub, for tasks that take either."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import datasets
from datasets.exceptions import DatasetsError

from harness_tasks.templates.table import read_table

FILES = (".csv", ".tsv", ".jsonl", ".parquet", ".gz")
_DATA = (*FILES, ".json", ".arrow", ".txt", ".zst")
_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")  # ORGANISATION/NAME


def load_rows(source: str) -> list[dict[str, Any]]:
    """All rows of `source`: a file by its ending, else a data set's path (its only split, or test).

    Raises:
        FileNotFoundError, ValueError: the file is missing or damaged (see `read_table`).
        ValueError: the data set has several splits and none is called test.
    """
    if Path(source).suffix.lower() in FILES:
        return read_table(Path(source))
    splits = load_dataset(source)
    if len(splits) > 1 and "test" not in splits:
        raise ValueError(
            f"{source} has the splits {', '.join(splits)}, and none is called test: save the "
            "rows you want as a file and give that."
        )
    return splits["test" if "test" in splits else next(iter(splits))].to_list()


def load_dataset(name: str, configuration: str | None = None) -> datasets.DatasetDict:
    """A data set on the Hub, or a copy of one: the folder ORGANISATION/NAME where this runs.

    Raises:
        ValueError: `name` is another folder, which `datasets` would search to its last file, or
            the data set is damaged.
        OSError: there is no such data set, or the Hub cannot be reached.
    """
    if Path(name).exists() and not (_ID.fullmatch(name) and _holds_data(Path(name))):
        what = "a folder" if Path(name).is_dir() else "neither a table nor a data set"
        raise ValueError(f"{name} is {what}: give a file, {', '.join(FILES[:-1])}.")
    try:
        return datasets.load_dataset(name, configuration)
    except OSError:
        raise
    except (ValueError, DatasetsError) as error:
        reason = error.__cause__ or error
        raise ValueError(f"{name} cannot be read as a data set: {reason}") from error


def _holds_data(folder: Path) -> bool:
    """Whether there is data in a folder or in those in it."""
    files = (*folder.glob("*"), *folder.glob("*/*"))
    return folder.is_dir() and any(file.suffix.lower() in _DATA for file in files)


def texts(rows: list[dict[str, Any]], names: tuple[str, ...], source: str) -> list[Any]:
    """The column of `rows` with the first of `names` that exists.

    Raises:
        ValueError: there is none, or a row has an empty cell there.
    """
    name = next((name for name in names if name in rows[0]), None)
    if name is None:
        raise ValueError(
            f"{source} has the columns {', '.join(rows[0])}; one called "
            f"{' or '.join(map(repr, names))} is needed."
        )
    found = [row.get(name) for row in rows]
    for number, value in enumerate(found, start=1):
        if not value or isinstance(value, str) and not value.strip():
            raise ValueError(f"{source}, row {number}, column {name!r}: the cell is empty.")
    return found
