"""The log of one task as columns: numbers, texts, and hashes of longer texts."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calib_leaderboards.hashes import fingerprint, sha256, short_sha256
from calib_leaderboards.runs.option_columns import SIGNATURES, option_columns
from calib_leaderboards.runs.read import check_file
from calib_leaderboards.runs.run import Run, Task
from calib_metrics.registry import METRICS
from harness_tasks.elicitation.logs import log_of
from harness_tasks.elicitation.records import Sample, check_count, is_number, read_log

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Log:
    """A samples_*.jsonl as columns, in the order of `ids`, which are sorted.

    Attributes:
        path: the file.
        sha256: of the file's bytes.
        rows: how many rows it has.
        ids: of the questions; in tasks without confidences, the numbers of their documents.
        questions: the beginning of the hash of each question or document.
        documents: lm-eval's hash of each document; None where the log has none.
        contexts: the text that each answer was asked with, where the records have it.
        prompts: lm-eval's hash of each first prompt; None where the log has none.
        answers: None for tasks without confidences.
        correct: 0 or 1, NaN where ungraded; None for tasks of lm-eval's own.
        confidence: by method, NaN where missing; of lm-eval's own tasks, the softmax over options.
        verdicts: of these, by method, whether the answer that it chooses is correct.
        signatures: the elicitation signature of each method.
        values: the other scores that are one number for each question, by filter and metric.
        task_hash: lm-eval's `task_hash`, recomputed from the rows; None for logs without hashes.
        data: the fingerprint of ids, questions and targets.
        asked: the fingerprint of the model's inputs; None where the log lacks some.
    """

    path: Path
    sha256: str
    rows: int
    ids: tuple[str, ...]
    questions: tuple[str, ...]
    documents: tuple[str | None, ...]
    contexts: tuple[str | None, ...]
    prompts: tuple[str | None, ...]
    answers: tuple[str, ...] | None
    correct: Floats | None
    confidence: dict[str, Floats]
    verdicts: dict[str, Floats]
    signatures: dict[str, str]
    values: dict[str, dict[str, Floats]]
    task_hash: str | None
    data: str
    asked: str | None

    @property
    def filters(self) -> list[str]:
        """The filters, which for confidence tasks are the methods, in the log's order."""
        return list(self.values)

    @property
    def answers_fingerprint(self) -> str | None:
        """The fingerprint of ids and answers; None for tasks without confidences."""
        if self.answers is None:
            return None
        return fingerprint(
            part for pair in zip(self.ids, self.answers, strict=True) for part in pair
        )


class _Row(NamedTuple):
    question: str
    target: str
    answer: str | None
    correct: float
    confidence: float
    values: dict[str, float]


@dataclass
class _Reading:
    """What was read so far."""

    rows: dict[str, dict[str, _Row]] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    contexts: dict[str, str] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)
    first_prompts: dict[str, str] = field(default_factory=dict)
    positions: set[int] = field(default_factory=set)
    hashes: Any = field(default_factory=hashlib.sha256)
    hashed: bool = True
    count: int = 0
    ours: bool = False


def load_log(run: Run, task: Task) -> Log:
    """Read the log of a task, and check it against the results file.

    Raises:
        FileNotFoundError: there is no log beside the results file.
        ValueError: as `read_log` of the records; the filters differ in questions, answers or
            grades; rows are of another task; or the log lacks questions that were asked, or is not
            the one that lm-eval hashed.
    """
    path = log_of(run.path, task.name)
    if not _is_there(path):
        raise FileNotFoundError(
            f"'{run.path}' has no sample log for {task.name} beside it ('{path.name}'), and scores "
            "are recomputed from samples; run lm_eval with --log_samples."
        )
    check_file(path, run.path.parent)
    state, digest = _Reading(), hashlib.sha256()
    for sample in read_log(path, digest.update):
        try:
            _take(state, sample, task.name)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            why = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(
                f"{sample.where}: {why}. The file was changed or damaged; run the evaluation again."
            ) from error
    _check_filters_agree(path, state)
    if task.asked is not None and task.part is None:
        _check_documents(path, state)
    log = _log(path, digest.hexdigest(), state)
    check_count(path, len(log.ids), task.asked, run.path)
    if task.task_hash is not None and task.task_hash != log.task_hash:
        raise ValueError(
            f"'{path}' does not hold the samples that '{run.path.name}' was made from: their "
            "'task_hashes' differ. Give the two files of one run."
        )
    return log if state.ours else _with_options(log)


def _with_options(log: Log) -> Log:
    """A log of lm-eval's own task, with the confidences that its options' likelihoods hold."""
    found = option_columns(log.path, log.ids)
    return replace(
        log,
        confidence={name: column.confidence for name, column in found.items()},
        verdicts={name: column.correct for name, column in found.items()},
        signatures={name: SIGNATURES[name] for name in found},
    )


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long for any file
        return False


def _take(state: _Reading, sample: Sample, task: str) -> None:
    row, record, key = sample.row, sample.record, sample.key
    state.count += 1
    state.positions.add(row["doc_id"])
    hashes = [row.get(f"{of}_hash") for of in ("doc", "prompt", "target")]
    state.hashed = state.hashed and all(isinstance(part, str) for part in hashes)
    state.hashes.update("".join(map(str, hashes)).encode("utf-8", "surrogatepass"))
    for column, value in ((state.documents, hashes[0]), (state.prompts, hashes[1])):
        if isinstance(value, str):
            column.setdefault(key, value)
    if record is None:
        read = _stock_row(row)
    else:
        state.ours = True
        if record["task"] != task:
            raise ValueError(f"the row belongs to the task {record['task']!r}, not to {task}")
        read = _confidence_row(row, record)
        state.signatures.setdefault(sample.filter, str(record.get("signature") or ""))
        if isinstance(record.get("context"), str):
            state.contexts.setdefault(key, record["context"])
    state.rows.setdefault(sample.filter, {})[key] = read
    if (prompt := _first_prompt(row)) is not None:
        state.first_prompts.setdefault(key, sha256(prompt))


def _confidence_row(row: dict[str, Any], record: dict[str, Any]) -> _Row:
    confidence, correct = record["confidence"], record["correct"]
    values = {metric: value for metric, value in _values(row).items() if metric not in METRICS}
    return _Row(
        short_sha256(str(record["question"])),
        sha256(json.dumps([str(record["question"]), row.get("target")])),
        record["answer"],
        math.nan if correct is None else float(correct),
        math.nan if confidence is None else float(confidence),
        values,
    )


def _stock_row(row: dict[str, Any]) -> _Row:
    document = json.dumps(row["doc"], sort_keys=True)
    target = sha256(json.dumps([document, row["target"]]))
    return _Row(short_sha256(document), target, None, math.nan, math.nan, _values(row))


def _values(row: dict[str, Any]) -> dict[str, float]:
    """The scores of a row that are numbers; those of a corpus metric are texts or lists."""
    names = row.get("metrics")
    if not isinstance(names, list):
        raise ValueError(f"metrics is {names!r}, not a list of names")
    texts = [name for name in names if isinstance(name, str) and name != "bypass"]
    return {
        name: float(row[name])
        for name in texts
        if is_number(row.get(name)) or isinstance(row.get(name), bool)
    }


def _first_prompt(row: dict[str, Any]) -> str | None:
    arguments = row.get("arguments")
    first = arguments.get("gen_args_0") if isinstance(arguments, dict) else None
    if not isinstance(first, dict) or "arg_0" not in first:
        return None
    return first["arg_0"] if isinstance(first["arg_0"], str) else json.dumps(first["arg_0"])


def _check_filters_agree(path: Path, state: _Reading) -> None:
    """Raise ValueError unless all filters have the same questions, answers and grades."""
    (first, reference), *others = state.rows.items()
    for name, rows in others:
        changed = [key for key, row in rows.items() if row[:3] != reference[key][:3]]
        if changed:
            raise ValueError(
                f"'{path}': '{first}' and '{name}' differ in the question, its target or the "
                f"answer to it, for id '{changed[0]}'; run the evaluation again."
            )
        graded = [
            key for key, row in rows.items() if not _same(row.correct, reference[key].correct)
        ]
        if graded:
            raise ValueError(
                f"'{path}': the answer to '{graded[0]}' is graded differently under '{first}' and "
                f"'{name}'; run the evaluation again."
            )


def _check_documents(path: Path, state: _Reading) -> None:
    """Raise ValueError unless each document of the task has its question."""
    reference = next(iter(state.rows.values()))
    missing = set(range(len(reference))) - state.positions
    if missing or len(state.positions) != len(reference):
        example = min(missing) if missing else max(state.positions)
        raise ValueError(
            f"'{path}' does not hold all documents of its task: they are numbered from 0, but of "
            f"{len(reference)} questions none or several have the number {example}. Give a log "
            "of the whole task."
        )


def _log(path: Path, digest: str, state: _Reading) -> Log:
    reference = next(iter(state.rows.values()))
    ids = tuple(sorted(reference))
    contexts = tuple(state.contexts.get(key) for key in ids)
    asked = [
        state.first_prompts.get(key) if context is None else sha256(context)
        for key, context in zip(ids, contexts, strict=True)
    ]
    confidence = {
        name: np.array([rows[key].confidence for key in ids])
        for name, rows in state.rows.items()
        if state.ours
    }
    return Log(
        path=path,
        sha256=digest,
        rows=state.count,
        ids=ids,
        questions=tuple(reference[key].question for key in ids),
        documents=tuple(state.documents.get(key) for key in ids),
        contexts=contexts,
        prompts=tuple(state.prompts.get(key) for key in ids),
        answers=tuple(reference[key].answer for key in ids) if state.ours else None,
        correct=np.array([reference[key].correct for key in ids]) if state.ours else None,
        confidence=confidence,
        verdicts={},
        signatures=state.signatures,
        values={name: _columns([rows[key] for key in ids]) for name, rows in state.rows.items()},
        task_hash=state.hashes.hexdigest() if state.hashed else None,
        data=fingerprint(part for key in ids for part in (key, reference[key].target)),
        asked=None if None in asked else fingerprint(asked),
    )


def _columns(rows: list[_Row]) -> dict[str, Floats]:
    """The columns that every row has."""
    names = [name for name in rows[0].values if all(name in row.values for row in rows)]
    return {name: np.array([row.values[name] for row in rows]) for name in names}


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
