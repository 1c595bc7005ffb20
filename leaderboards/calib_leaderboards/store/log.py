"""Reads one sample log, line by line, into columns; the rest of it is kept as hashes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calib_leaderboards.hashes import fingerprint, sha256, short_sha256
from calib_leaderboards.store.results import decode, parse_object
from calib_metrics.signature import HIGHER_IS_BETTER
from harness_tasks.elicitation.records import parse_record

Floats = NDArray[np.float64]
LONGEST_LINE = 64 * 2**20  # bytes; a question with all that was asked about it


@dataclass(frozen=True)
class Log:
    """A samples_*.jsonl as columns, in the order of `ids`, which are sorted.

    questions, answers: hashes; answers and correct (NaN where ungraded) are None for tasks without
    confidences. confidence: by method, NaN where missing. signatures: how each method asked.
    values: the other scores that are one number for each question, by filter and metric.
    task_hash: what lm-eval calls so, recomputed from the rows; None for logs without hashes.
    data, prompts, said: fingerprints of documents, model inputs and answers.
    """

    path: Path
    sha256: str
    rows: int
    ids: tuple[str, ...]
    questions: tuple[str, ...]
    answers: tuple[str, ...] | None
    correct: Floats | None
    confidence: dict[str, Floats]
    signatures: dict[str, str]
    values: dict[str, dict[str, Floats]]
    task_hash: str | None
    data: str
    prompts: str | None
    said: str | None

    @property
    def filters(self) -> list[str]:
        """The filters, which for confidence tasks are the methods, in the log's order."""
        return list(self.values)


class _Row(NamedTuple):
    question: str
    target: str
    answer: str | None
    correct: float
    confidence: float
    values: dict[str, float]


@dataclass
class _Reading:
    """What is known so far."""

    rows: dict[str, dict[str, _Row]] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    contexts: dict[str, str] = field(default_factory=dict)
    first_prompts: dict[str, str] = field(default_factory=dict)
    hashes: Any = field(default_factory=hashlib.sha256)
    hashed: bool = True
    documents: set[int] = field(default_factory=set)
    count: int = 0
    ours: int = 0


def read_log(path: Path, task: str, *, whole: bool = True) -> Log:
    """Read the log of a confidence task, or of any other task of lm-eval.

    whole: whether it must hold all documents of the task.

    Raises ValueError, naming file and line, for a log that is cut off or damaged, is not UTF-8, has
    a question twice under one filter, a value that is no score, or rows of another task.
    """
    state, digest = _Reading(), hashlib.sha256()
    for where, row in log_rows(path, digest.update):
        try:
            _take(state, row, task)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            why = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(
                f"{where}: {why}. The file was changed or damaged; run the evaluation again."
            ) from error
    if not state.count:
        raise ValueError(f"'{path}' holds no samples; run the evaluation again.")
    if state.ours not in (0, state.count):
        raise ValueError(
            f"'{path}': {state.count - state.ours} of {state.count} rows hold no confidence "
            "record; the file mixes logs or was changed, run the evaluation again."
        )
    _check_filters_agree(path, state)
    if whole:
        _check_documents(path, state)
    return _log(path, digest.hexdigest(), state)


def log_rows(
    path: Path, update: Callable[[bytes], None] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place in the file, row) of every line that is not empty; `update` gets the line's bytes.

    Raises ValueError, naming file and line, for one that is too long, is not UTF-8 or no object.
    """
    with path.open("rb") as lines:
        parts = iter(lambda: lines.readline(LONGEST_LINE + 1), b"")
        for number, line in enumerate(parts, start=1):
            where = f"'{path}', line {number}"
            if len(line) > LONGEST_LINE:
                raise ValueError(
                    f"{where} is longer than {LONGEST_LINE:,} bytes; is this a log of lm_eval?"
                )
            if update is not None:
                update(line)
            if (text := decode(line, where)).strip():
                yield where, parse_object(text, where)


def _take(state: _Reading, row: dict[str, Any], task: str) -> None:
    record, name = parse_record(row), row["filter"]
    if not isinstance(name, str) or not name:
        raise ValueError(f"the filter is {name!r}, no name")
    position = row["doc_id"]
    if isinstance(position, bool) or not isinstance(position, int) or position < 0:
        raise ValueError(f"doc_id is {position!r}, no number of a document")
    state.count += 1
    state.documents.add(position)
    hashes = [row.get(f"{of}_hash") for of in ("doc", "prompt", "target")]
    state.hashed = state.hashed and all(isinstance(part, str) for part in hashes)
    state.hashes.update("".join(map(str, hashes)).encode("utf-8", "surrogatepass"))
    if record is None:
        key, read = str(position), _stock_row(row)
    else:
        state.ours += 1
        _check_record(record, task, name)
        key, read = str(record["id"]), _confidence_row(row, record)
        state.signatures.setdefault(name, str(record.get("signature") or ""))
        if isinstance(record.get("context"), str):
            state.contexts.setdefault(key, sha256(record["context"]))
    of_filter = state.rows.setdefault(name, {})
    if key in of_filter:
        raise ValueError(f"id '{key}' appears twice under the filter '{name}'")
    of_filter[key] = read
    if (prompt := _first_prompt(row)) is not None:
        state.first_prompts.setdefault(key, sha256(prompt))


def _check_record(record: dict[str, Any], task: str, name: str) -> None:
    if record["task"] != task:
        raise ValueError(f"the row belongs to the task {record['task']!r}, not to {task}")
    if record["method"] != name:
        raise ValueError(f"the method is {record['method']!r}, but the filter '{name}'")
    if "|" in name:
        raise ValueError(f"the method {name!r} has a '|', which separates the parts of a signature")


def _confidence_row(row: dict[str, Any], record: dict[str, Any]) -> _Row:
    confidence, correct = record["confidence"], record["correct"]
    if confidence is None:
        confidence = math.nan
    elif not _is_number(confidence) or not 0 <= confidence <= 1:  # NaN is not in the range
        raise ValueError(
            f"the confidence is {confidence!r}, neither null nor a number from 0 to 1"
        )
    if correct is None:
        correct = math.nan
    elif not _is_number(correct) or correct not in (0, 1):
        raise ValueError(f"correct is {correct!r}, neither 0 nor 1")
    values = {
        metric: value for metric, value in _values(row).items() if metric not in HIGHER_IS_BETTER
    }
    return _Row(
        short_sha256(str(record["question"])),
        sha256(json.dumps([str(record["question"]), row.get("target")])),
        str(record["answer"]),
        float(correct),
        float(confidence),
        values,
    )


def _stock_row(row: dict[str, Any]) -> _Row:
    document = json.dumps(row["doc"], sort_keys=True)
    target = sha256(json.dumps([document, row["target"]]))
    return _Row(short_sha256(document), target, None, math.nan, math.nan, _values(row))


def _values(row: dict[str, Any]) -> dict[str, float]:
    """The scores of a row that are a number; those of a corpus metric are texts or lists."""
    names = row.get("metrics")
    if not isinstance(names, list):
        raise ValueError(f"metrics is {names!r}, no list of names")
    texts = [name for name in names if isinstance(name, str) and name != "bypass"]
    return {
        name: float(row[name]) for name in texts
        if _is_number(row.get(name)) or isinstance(row.get(name), bool)
    }


def _first_prompt(row: dict[str, Any]) -> str | None:
    arguments = row.get("arguments")
    first = arguments.get("gen_args_0") if isinstance(arguments, dict) else None
    if not isinstance(first, dict) or "arg_0" not in first:
        return None
    return first["arg_0"] if isinstance(first["arg_0"], str) else json.dumps(first["arg_0"])


def _check_filters_agree(path: Path, state: _Reading) -> None:
    """Raise ValueError unless all filters are about the same questions, answers and grades."""
    (first, reference), *others = state.rows.items()
    for name, rows in others:
        if rows.keys() != reference.keys():
            raise ValueError(
                f"'{path}': '{first}' and '{name}' are not about the same questions "
                f"({len(reference)} and {len(rows)}); the file is cut off, run the evaluation "
                "again."
            )
        changed = [key for key, row in rows.items() if row[:3] != reference[key][:3]]
        if changed:
            raise ValueError(
                f"'{path}': '{first}' and '{name}' differ in the question, its target or the "
                f"answer to it, for id '{changed[0]}'; run the evaluation again."
            )
        graded = [key for key, row in rows.items()
                  if not _same(row.correct, reference[key].correct)]
        if graded:
            raise ValueError(
                f"'{path}': the answer to '{graded[0]}' is graded differently under '{first}' and "
                f"'{name}'; run the evaluation again."
            )


def _check_documents(path: Path, state: _Reading) -> None:
    """Raise ValueError unless each document of the task has its question."""
    reference = next(iter(state.rows.values()))
    missing = set(range(len(reference))) - state.documents
    if missing or len(state.documents) != len(reference):
        example = min(missing) if missing else max(state.documents)
        raise ValueError(
            f"'{path}' does not hold all documents of its task: they are numbered from 0, and of "
            f"{len(reference)} questions none or several have the number {example}. Give a log of "
            "the whole task."
        )


def _log(path: Path, digest: str, state: _Reading) -> Log:
    reference = next(iter(state.rows.values()))
    ids = tuple(sorted(reference))
    ours = bool(state.ours)
    prompts = [state.contexts.get(key) or state.first_prompts.get(key) for key in ids]
    said = [part for key in ids for part in (key, reference[key].answer)] if ours else None
    confidence = {
        name: np.array([rows[key].confidence for key in ids])
        for name, rows in state.rows.items() if ours
    }
    return Log(
        path=path,
        sha256=digest,
        rows=state.count,
        ids=ids,
        questions=tuple(reference[key].question for key in ids),
        answers=tuple(short_sha256(reference[key].answer) for key in ids) if ours else None,
        correct=np.array([reference[key].correct for key in ids]) if ours else None,
        confidence=confidence,
        signatures=state.signatures,
        values={name: _columns([rows[key] for key in ids]) for name, rows in state.rows.items()},
        task_hash=state.hashes.hexdigest() if state.hashed else None,
        data=fingerprint(part for key in ids for part in (key, reference[key].target)),
        prompts=None if None in prompts else fingerprint(prompts),
        said=None if said is None else fingerprint(said),
    )


def _columns(rows: list[_Row]) -> dict[str, Floats]:
    """The values that every row has."""
    names = [name for name in rows[0].values if all(name in row.values for row in rows)]
    return {name: np.array([row.values[name] for row in rows]) for name in names}


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

