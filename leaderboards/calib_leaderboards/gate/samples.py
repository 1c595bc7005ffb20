"""The samples of a task as the gate compares them, and their file beside a baseline."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calib_leaderboards.hashes import fingerprint
from calib_leaderboards.runs import Log

FORMAT = "calibench-gate-samples/1"
_SHORT = 16  # hex digits of a document's hash: enough to tell the questions of a task apart


@dataclass(frozen=True)
class Column:
    """What one filter logged for each question.

    confidence (NaN where missing) and correct (NaN where ungraded) are None for scores without
    confidences. values: other scores that are one number per question. elicitation: how the method
    elicits.
    """

    confidence: NDArray[np.float64] | None
    correct: NDArray[np.float64] | None
    values: dict[str, NDArray[np.float64]]
    elicitation: str = ""


@dataclass(frozen=True)
class Samples:
    """One task's questions and, by filter, what was logged for them, in the order of `keys`.

    A key is the question's id, if it has one, and its document's hash. prompts, answers:
    fingerprints of the model's prompts and answers; None where the log does not have them.
    """

    keys: tuple[str, ...]
    filters: dict[str, Column]
    prompts: str | None = None
    answers: str | None = None

    @property
    def questions(self) -> str:
        """The fingerprint of the questions."""
        return fingerprint(self.keys)


def samples_of_log(log: Log) -> Samples:
    """The samples in a log.

    Raises ValueError for a log without lm-eval's hashes of the documents.
    """
    if None in log.documents:
        raise ValueError(
            f"'{log.path}' has no 'doc_hash', which lm_eval logs since 0.4.3 and by which "
            "questions are paired; run the evaluation again."
        )
    documents = [document[:_SHORT] for document in log.documents]
    if log.answers is not None:
        keys = [f"{id} {document}" for id, document in zip(log.ids, documents, strict=True)]
        prompts = log.contexts
    else:
        keys = _distinguish(documents, log.ids)
        prompts = log.prompts
    order = sorted(range(len(keys)), key=keys.__getitem__)
    asked = [prompts[place] for place in order]
    return Samples(
        tuple(keys[place] for place in order),
        {name: _column(log, name, order) for name in log.filters}
        | {name: _of_options(log, name, order) for name in log.verdicts},
        None if None in asked else fingerprint(asked),
        None if log.answers is None else fingerprint(log.answers[place] for place in order),
    )


def _distinguish(documents: list[str], numbers: tuple[str, ...]) -> list[str]:
    """Distinguish equal documents without ids by their positions in the data."""
    keys, seen = [""] * len(documents), Counter()
    for place in sorted(range(len(documents)), key=lambda place: int(numbers[place])):
        seen[documents[place]] += 1
        count = seen[documents[place]]
        keys[place] = documents[place] if count == 1 else f"{documents[place]} {count}"
    return keys


def _column(log: Log, name: str, order: list[int]) -> Column:
    values = {metric: column[order] for metric, column in log.values[name].items()}
    values = {metric: column for metric, column in values.items() if np.isfinite(column).all()}
    if log.correct is None:
        return Column(None, None, values)
    return Column(
        log.confidence[name][order], log.correct[order], values, log.signatures.get(name, "")
    )


def _of_options(log: Log, name: str, order: list[int]) -> Column:
    """The softmax over the options of a task of lm-eval's own, as one of its accuracies chooses."""
    return Column(log.confidence[name][order], log.verdicts[name][order], {}, log.signatures[name])


def pack_baseline_samples(samples: Samples) -> bytes:
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


def read_baseline_samples(path: Path, sha256: str) -> Samples:
    """Read what `pack_baseline_samples` made.

    Raises ValueError if the file's hash differs, FileNotFoundError if there is no file.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"The baseline's samples '{path}' are missing; put them back or update the baseline."
        )
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(
            f"'{path}' is not the file that the baseline was made with (its sha256 differs); put "
            "the original back or update the baseline."
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
            raise ValueError("its columns differ in length")
        return Samples(tuple(document["keys"]), filters, document["prompts"], document["answers"])
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        zlib.error,
    ) as error:
        raise ValueError(
            f"'{path}' does not hold the samples of a baseline ({error!r}); update the baseline."
        ) from error


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
