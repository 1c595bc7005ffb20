"""The compact samples of an entry: what a paired comparison needs, without any text."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from calib_leaderboards.hashes import short_sha256
from calib_leaderboards.runs import Log
from calib_leaderboards.store.entry import Entry

Floats = NDArray[np.float64]
_LARGEST_UNPACKED = 2**30  # bytes


@dataclass(frozen=True)
class Samples:
    """One number per question and method, in the order of `ids`, which are sorted.

    questions, answers: the first 16 hex digits of their sha256. Tasks with confidences have
    answers, correct (0 or 1, NaN where ungraded) and confidence by method (NaN where missing).
    Those of lm-eval's own have values by "metric,filter" and, where options were scored, confidence
    by method with verdicts, since each method chooses an answer of its own.
    """

    ids: tuple[str, ...]
    questions: tuple[str, ...]
    answers: tuple[str, ...] | None
    correct: Floats | None
    confidence: dict[str, Floats]
    values: dict[str, Floats]
    verdicts: dict[str, Floats] = field(default_factory=dict)

    def column(self, method: str) -> tuple[Floats, Floats] | None:
        """The confidences of a method and whether its answers are correct; None if it has none."""
        correct = self.verdicts.get(method) if self.correct is None else self.correct
        if correct is None or method not in self.confidence:
            return None
        return self.confidence[method], correct


def samples_of(log: Log, published: list[tuple[str, str]]) -> Samples:
    """A log's compact samples. published: metric and filter of a stock task's scores."""
    values = {}
    if log.correct is None:
        of_values = [(metric, name) for metric, name in published if name in log.values]
        values = {f"{metric},{name}": log.values[name][metric] for metric, name in of_values}
    answers = None if log.answers is None else tuple(map(short_sha256, log.answers))
    return Samples(
        log.ids, log.questions, answers, log.correct, log.confidence, values, log.verdicts
    )


def pack_samples(samples: Samples) -> bytes:
    """One JSON object per line, gzipped: the same bytes for the same samples."""
    lines = []
    for i, key in enumerate(samples.ids):
        row: dict[str, Any] = {"id": key, "question_sha256": samples.questions[i]}
        if samples.correct is None:
            row["values"] = _row(samples.values, i)
            if samples.confidence:
                row["correct"] = _row(samples.verdicts, i)
        else:
            row["answer_sha256"] = samples.answers[i]
            row["correct"] = _plain(samples.correct[i])
        if samples.confidence:
            row["confidence"] = _row(samples.confidence, i)
        lines.append(json.dumps(row, separators=(",", ":"), allow_nan=False) + "\n")
    return gzip.compress("".join(lines).encode("ascii"), compresslevel=9, mtime=0)


def unpack_samples(entry: Entry, file: Path) -> Samples:
    """Read the compact samples of an entry, and check them against it.

    Raises FileNotFoundError if they are not there or were not kept, ValueError if they are not the
    entry's.
    """
    if entry.samples.sha256 is None:
        raise FileNotFoundError(f"The samples of '{file}' were too large to be kept.")
    if not file.is_file() or file.is_symlink():
        raise FileNotFoundError(
            f"The file '{file}', which an entry names, is missing; add the entry again with "
            "--replace."
        )
    content = file.read_bytes()
    check_hash(content, entry.samples.sha256, f"'{file}'")
    return samples_from_bytes(content, f"'{file}'")


def check_hash(content: bytes, sha256: str, where: str) -> None:
    """Raise ValueError, which begins with `where`, unless packed samples are those of an entry."""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(
            f"{where} is not the file that its entry was made with (its sha256 differs); "
            "add the entry again with --replace."
        )


def samples_from_bytes(content: bytes, where: str) -> Samples:
    """Read packed samples; a ValueError begins with `where`."""
    try:
        # One text is parsed in half the time of a text per line.
        text = b",".join(_unpack(content).splitlines())
        return _columns(from_json(b"[" + text + b"]", cache_strings="keys"))
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, zlib.error) as error:
        raise ValueError(
            f"{where} does not hold the samples of an entry ({error!r}); add the entry again "
            "with --replace."
        ) from error


def _unpack(content: bytes) -> bytes:
    """At most `_LARGEST_UNPACKED` bytes: a small file can unpack to any size."""
    unpacker = zlib.decompressobj(wbits=31)
    text = unpacker.decompress(content, _LARGEST_UNPACKED)
    if not unpacker.eof:
        raise ValueError("it is cut off, or unpacks to more than 1 GiB")
    return text


def _columns(rows: list[dict[str, Any]]) -> Samples:
    ids = tuple(row["id"] for row in rows)
    questions = tuple(row["question_sha256"] for row in rows)
    if "values" in rows[0]:
        of_options = [
            _by_name(rows, key) if key in rows[0] else {} for key in ("confidence", "correct")
        ]
        confidence, verdicts = of_options
        values = _by_name(rows, "values")
        return Samples(ids, questions, None, None, confidence, values, verdicts)
    return Samples(
        ids,
        questions,
        tuple(row["answer_sha256"] for row in rows),
        _array([row["correct"] for row in rows]),
        _by_name(rows, "confidence"),
        {},
    )


def _row(columns: dict[str, Floats], place: int) -> dict[str, float | None]:
    return {name: _plain(column[place]) for name, column in columns.items()}


def _by_name(rows: list[dict[str, Any]], key: str) -> dict[str, Floats]:
    return {name: _array([row[key][name] for row in rows]) for name in rows[0][key]}


def _plain(value: float) -> float | None:
    """Return None for NaN and 1 for 1.0, since most columns are zeros and ones."""
    if math.isnan(value):
        return None
    return int(value) if float(value).is_integer() else float(value)


def _array(values: list[float | None]) -> Floats:
    return np.array(values, dtype=np.float64)
