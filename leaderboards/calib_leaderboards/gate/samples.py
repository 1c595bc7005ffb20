"""The samples of a task as columns: read from lm-eval's log, kept beside a baseline, read back."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calib_leaderboards.hashes import fingerprint
from calib_leaderboards.store.log import log_rows
from calib_metrics.signature import HIGHER_IS_BETTER
from harness_tasks.elicitation.records import parse_record

FORMAT = "calibench-gate-samples/1"
_SHORT = 16  # hex digits of a document's hash: enough to tell the questions of a task apart


@dataclass(frozen=True)
class Column:
    """What one filter logged for each question.

    confidence (NaN where missing) and correct (NaN where ungraded) are None for tasks without
    confidences. values: other scores that are one number per question. elicitation: how the method
    asked.
    """

    confidence: NDArray[np.float64] | None
    correct: NDArray[np.float64] | None
    values: dict[str, NDArray[np.float64]]
    elicitation: str = ""


@dataclass(frozen=True)
class Samples:
    """One task's questions and, by filter, what was logged for them, in the order of `keys`.

    A key is the question's id, if it has one, and its document's hash. prompts, answers:
    fingerprints of what the model was asked and said; None where the log does not show it.
    """

    keys: tuple[str, ...]
    filters: dict[str, Column]
    prompts: str | None = None
    answers: str | None = None

    @property
    def questions(self) -> str:
        """The fingerprint of the questions."""
        return fingerprint(self.keys)


def read_log(path: Path) -> Samples:
    """Read a samples_*.jsonl, of a confidence task or of any other whose scores are numbers.

    Raises ValueError, naming file and line, for a log that is damaged or says a thing twice.
    """
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    contexts: dict[str, str] = {}
    for where, row in log_rows(path):
        record = parse_record(row)
        try:
            name, document = str(row["filter"]), str(row["doc_hash"])[:_SHORT]
            read = _confidence_row(row, record) if record else _plain_row(row)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{where}: not a sample that can be used ({error!r}).") from error
        of_filter = rows.setdefault(name, {})
        if record:
            key = f"{record['id']} {document}"
            if key in of_filter:
                raise ValueError(f"{where}: id '{record['id']}' appears twice under one filter.")
            if isinstance(record.get("context"), str):
                contexts[key] = record["context"]
        else:  # questions of other tasks have no id: equal documents are told apart by their place
            key, same = document, 1
            while key in of_filter:
                same += 1
                key = f"{document} {same}"
            contexts[key] = str(row.get("prompt_hash"))
        of_filter[key] = read
    if not rows:
        raise ValueError(f"'{path}' holds no samples; run the evaluation again.")
    kinds = {"confidence" in read for of_filter in rows.values() for read in of_filter.values()}
    if len(kinds) > 1:
        raise ValueError(f"'{path}' mixes samples of confidence tasks with others; was it edited?")
    first, *others = rows.values()
    for other in others:
        if other.keys() != first.keys():
            raise ValueError(
                f"'{path}': its filters are not about the same questions; is the file cut off?"
            )
    keys = tuple(sorted(first))
    prompts = [contexts[key] for key in keys if key in contexts]
    answers = [str(first[key]["answer"]) for key in keys if "answer" in first[key]]
    return Samples(
        keys,
        {name: _column([of_filter[key] for key in keys]) for name, of_filter in rows.items()},
        fingerprint(prompts) if len(prompts) == len(keys) else None,
        fingerprint(answers) if len(answers) == len(keys) else None,
    )


def write_samples(samples: Samples) -> bytes:
    """The questions and numbers as gzipped JSON, the same bytes for the same samples."""
    filters = {
        name: {
            "confidence": _to_json(column.confidence),
            "correct": _to_json(column.correct),
            "values": {metric: _to_json(values) for metric, values in column.values.items()},
            "elicitation": column.elicitation,
        }
        for name, column in samples.filters.items()
    }
    document = {
        "format": FORMAT,
        "keys": samples.keys,
        "prompts": samples.prompts,
        "answers": samples.answers,
        "filters": filters,
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return gzip.compress(text.encode("utf-8"), mtime=0)


def read_samples(path: Path, sha256: str) -> Samples:
    """Read what `write_samples` made.

    Raises ValueError if the file's hash is another one, FileNotFoundError if it is not there.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"The baseline's samples '{path}' are not there; put them back or update the baseline."
        )
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(
            f"'{path}' is not the file that the baseline was made with (its sha256 differs); "
            "put that one back or update the baseline."
        )
    try:
        document = json.loads(gzip.decompress(content))
        filters = {
            name: Column(
                _from_json(column["confidence"]),
                _from_json(column["correct"]),
                {metric: _from_json(values) for metric, values in column["values"].items()},
                column["elicitation"],
            )
            for name, column in document["filters"].items()
        }
        columns = [column for of in filters.values() for column in _arrays(of)]
        if any(column.shape != (len(document["keys"]),) for column in columns):
            raise ValueError("its columns are not of one length")
        return Samples(
            tuple(document["keys"]), filters, document["prompts"], document["answers"]
        )
    except (
        OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, RecursionError,
        zlib.error,
    ) as error:
        raise ValueError(
            f"'{path}' does not hold samples of a baseline ({error!r}); update the baseline."
        ) from error


def _confidence_row(row: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    confidence, correct = record["confidence"], record["correct"]
    if confidence is not None and not (_is_number(confidence) and 0 <= confidence <= 1):
        raise ValueError(f"confidence {confidence!r} is neither null nor a number from 0 to 1")
    if correct is not None and correct not in (0, 1):
        raise ValueError(f"correct is {correct!r}, neither 0 nor 1")
    return {
        "confidence": math.nan if confidence is None else float(confidence),
        "correct": math.nan if correct is None else float(correct),
        "answer": record["answer"],
        "elicitation": str(record.get("signature") or ""),
        "values": {
            name: value for name, value in _numbers(row).items() if name not in HIGHER_IS_BETTER
        },
    }


def _plain_row(row: dict[str, Any]) -> dict[str, Any]:
    return {"values": _numbers(row)}


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    """The scores of a row that are a number; those of a corpus metric are texts or lists."""
    names = [name for name in row.get("metrics") or [] if isinstance(name, str)]
    return {name: float(row[name]) for name in names if _is_number(row.get(name), flags=True)}


def _is_number(value: Any, flags: bool = False) -> bool:
    return isinstance(value, (int, float)) and (flags or not isinstance(value, bool))


def _column(rows: list[dict[str, Any]]) -> Column:
    names = [name for name in rows[0]["values"] if all(name in row["values"] for row in rows)]
    values = {name: np.array([row["values"][name] for row in rows]) for name in names}
    values = {name: column for name, column in values.items() if np.isfinite(column).all()}
    if "confidence" not in rows[0]:
        return Column(None, None, values)
    return Column(
        np.array([row["confidence"] for row in rows]),
        np.array([row["correct"] for row in rows]),
        values,
        rows[0]["elicitation"],
    )


def _to_json(values: NDArray[np.float64] | None) -> list[float | None] | None:
    """NaN becomes null, and 1.0 becomes 1: most columns are zeros and ones."""
    if values is None:
        return None
    plain = (None if math.isnan(value) else value for value in values.tolist())
    return [int(v) if v is not None and v.is_integer() else v for v in plain]


def _arrays(column: Column) -> list[NDArray[np.float64]]:
    both = [part for part in (column.confidence, column.correct) if part is not None]
    return [*both, *column.values.values()]


def _from_json(values: list[float | None] | None) -> NDArray[np.float64] | None:
    return None if values is None else np.array(values, dtype=np.float64)
