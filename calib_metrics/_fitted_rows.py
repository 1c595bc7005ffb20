"""The ids of the rows that a fit has used, by which it recognises them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calib_metrics.outputs import write_output
from calib_metrics.pipes import read_source


def row_ids(rows: Iterable[str | int], n: int) -> list[str]:
    """Return the ids of `n` rows as text. Raises ValueError for other kinds or another number."""
    ids = list(rows)
    for each in ids:
        if isinstance(each, bool) or not isinstance(each, (str, Integral)):
            raise ValueError(f"rows holds {each!r}: give each row an id, text or a whole number.")
    if len(ids) != n:
        raise ValueError(f"rows has {len(ids)} ids and confidence {n} values: give one per row.")
    return [str(each) for each in ids]


def stored_fields(path: str | os.PathLike[str], format: str, kind: type[Any]) -> dict[str, Any]:
    """Return the fields of a fit, a dataclass, that `save_json` wrote with this format.

    Raises OSError, and ValueError, without the name of the file, for anything else.
    """
    source = read_source(Path(path))
    content = source if isinstance(source, bytes) else source.read_bytes()
    try:
        data = json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(data, dict) or data.pop("format", None) != format:
        raise ValueError(f'its "format" is not {format!r}')
    names = {field.name for field in fields(kind)}
    if set(data) != names:
        raise ValueError(f"it must have exactly the fields {', '.join(sorted(names))}")
    return data


def stored_ids(ids: object) -> tuple[str, ...]:
    """Return the ids in a saved fit. Raises ValueError for anything but a list of text."""
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise ValueError("fitted_rows must be null or a list of text")
    return tuple(ids)


def digest(values: NDArray[np.float64]) -> str:
    """Return the SHA-256 of sorted values, for which -0.0 and 0.0 are the same."""
    return hashlib.sha256((values + 0.0).astype("<f8").tobytes()).hexdigest()


def save_json(path: str | os.PathLike[str], data: Mapping[str, Any]) -> None:
    """Write a fit as JSON, atomically."""
    text = json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    write_output(Path(path), text.encode())
