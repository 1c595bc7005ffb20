"""From the options' log-likelihoods to a confidence, for each of lm-eval's accuracies.

`acc` chooses the option of the highest log-likelihood, `acc_norm` that of the highest per character
of the option, and `acc_bytes` per byte in UTF-8 (`ConfigurableTask.process_results` in lm-eval). A
row's confidence is the softmax of the same numbers at the chosen option. Every choice is checked
against what lm-eval logged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness_tasks.stock_logs.content import NoConfidence
from harness_tasks.stock_logs.options import Question, read_target, verdict
from harness_tasks.stock_logs.table import Column

Floats = NDArray[np.float64]
# By what an option's log-likelihood is divided.
_LENGTHS: dict[str, Callable[[str], int]] = {
    "acc": lambda text: 1,
    "acc_norm": len,
    "acc_bytes": lambda text: len(text.encode("utf-8")),
}
METHODS = tuple(_LENGTHS)
_PAIRS = ("f1", "mcc")
_UNKNOWN = -1


class Read(NamedTuple):
    """The columns, and notes for the reader."""

    columns: dict[str, Column]
    notes: list[str]


class _Disagrees(ValueError):
    """The log's verdicts contradict this reading of it."""


def read_choices(questions: Sequence[Question], wanted: str, delimiters: Sequence[str]) -> Read:
    """Return a column for each of lm-eval's accuracies in a log.

    wanted: the only method; "": those that the log holds verdicts of, or `acc` if there are none.
    delimiters: what may stand before an option, the likeliest first; the first one counts that
    all continuations begin with and that the verdicts allow. Raises ValueError if no reading agrees
    with the verdicts, or a row lacks verdicts that others have; NoConfidence for a log without
    verdicts.
    """
    _check_likelihoods(questions)
    in_contexts = all(question.in_contexts for question in questions)
    logged = _verdicts(questions)
    if not logged and not wanted and _taken(questions[0].row) is None:
        raise NoConfidence(
            f"{questions[0].where} holds no verdict on the likeliest option: none of "
            f"{', '.join((*METHODS, *_PAIRS))}. Does the task have right answers at all? "
            "--method acc scores the log against its targets."
        )
    methods, notes = _methods(logged, wanted, in_contexts, questions[0])
    begin = [each for each in delimiters if _all_begin(questions, each)] or [""]
    failure: _Disagrees | None = None
    for delimiter in begin:
        for as_text in (False, True):
            try:
                columns, unnamed = _columns(
                    questions, methods, logged, delimiter, as_text=as_text, in_contexts=in_contexts
                )
            except _Disagrees as error:
                failure = failure or error
                continue
            if unnamed:
                notes.append(
                    f"The log does not say which option is right in {unnamed} of {len(questions)} "
                    "questions; whether those answers are correct is lm_eval's own verdict."
                )
            return Read(columns, notes)
    raise ValueError(str(failure))


def _methods(
    logged: dict[str, list[int]], wanted: str, in_contexts: bool, first: Question
) -> tuple[list[str], list[str]]:
    """Return the methods to read, and sentences about them."""
    notes = []
    methods = [wanted] if wanted else list(logged) or ["acc"]
    if wanted and wanted not in METHODS:
        raise ValueError(
            f"{first.where}: there is no method '{wanted}' in a log of options' likelihoods, only "
            f"{', '.join(METHODS)}."
        )
    checked = {*logged, *(["acc"] if _taken(first.row) is not None else [])}
    unchecked = [name for name in methods if name not in checked]
    if unchecked:
        notes.append(
            f"The log holds no {', '.join(unchecked)}, so nothing confirms which option lm_eval "
            "took as the answer."
        )
    if in_contexts and methods != ["acc"]:
        # Their length is that of the options, which stand somewhere in the contexts.
        if "acc" not in methods:
            raise ValueError(
                f"{first.where}: the options stand in the contexts, so the log does not hold the "
                f"lengths that {methods[0]} divides by; use --method acc."
            )
        left_out = ", ".join(name for name in methods if name != "acc")
        notes.append(
            f"{left_out}: left out, because the options stand in the contexts and their lengths "
            "are not in the log."
        )
        methods = ["acc"]
    return methods, notes


def _verdicts(questions: Sequence[Question]) -> dict[str, list[int]]:
    found = {}
    for name in METHODS:
        values = [verdict(each.row, name, each.where) for each in questions]
        without = sum(value is None for value in values)
        if 0 < without < len(values):
            raise ValueError(
                f"{questions[values.index(None)].where} lacks {name}, which other rows have; the "
                "file mixes logs or was changed."
            )
        if not without:
            found[name] = [value for value in values if value is not None]
    return found


def _columns(
    questions: Sequence[Question],
    methods: Sequence[str],
    logged: dict[str, list[int]],
    delimiter: str,
    *,
    as_text: bool,
    in_contexts: bool,
) -> tuple[dict[str, Column], int]:
    """Return the columns, and of how many questions the log does not name the right option."""
    golds: list[frozenset[int] | None] = [None] * len(questions)
    if not in_contexts:
        golds = [_gold(each, delimiter, as_text=as_text) for each in questions]
    columns = {}
    for name in methods:
        confidence, correct = np.empty(len(questions)), np.empty(len(questions))
        right = np.full(len(questions), _UNKNOWN)
        options = []
        for place, (question, gold) in enumerate(zip(questions, golds, strict=True)):
            texts = [text.removeprefix(delimiter) for text in question.continuations]
            scores = _scores(question.loglikelihoods, name, texts)
            chosen = int(np.argmax(scores))
            in_log = logged[name][place] if name in logged else None
            correct[place] = _correct(question, name, chosen, gold, in_log)
            shares = _softmax(scores)
            confidence[place] = shares[chosen]
            right[place] = _right(chosen, gold, correct[place] == 1, len(texts))
            options.append(shares)
        columns[name] = Column(confidence, correct, tuple(options), right)
    return columns, sum(gold is None for gold in golds)


def _gold(question: Question, delimiter: str, *, as_text: bool) -> frozenset[int] | None:
    """Return the places of the right options, none if lm-eval has none; None: not in the log.

    as_text: whether a target that is both a place and the text of an option is the text.
    """
    target = question.row.get("target")
    texts = [text.removeprefix(delimiter).strip() for text in question.continuations]
    if as_text and str(target).strip() in texts:
        return frozenset({texts.index(str(target).strip())})
    found = read_target(target)
    places = set()
    for value in found if isinstance(found, list) else [found]:
        if isinstance(value, int) and not isinstance(value, bool):
            places |= {value} & set(range(len(texts)))
        elif str(value).strip() in texts:
            places.add(texts.index(str(value).strip()))
        else:
            return None
    return frozenset(places)


def _correct(
    question: Question, name: str, chosen: int, gold: frozenset[int] | None, in_log: int | None
) -> int:
    """Return whether the chosen option is right, as the log says too."""
    taken = _taken(question.row)
    if name == "acc" and taken is not None and taken != chosen:
        raise _Disagrees(
            f"{question.where}: the option of the highest likelihood is number {chosen} (from 0), "
            f"but the log says that lm_eval took number {taken}."
        )
    if gold is None:
        if in_log is None:
            raise _Disagrees(
                f"{question.where} says neither which option is right (target: "
                f"{question.row.get('target')!r}) nor whether the answer is correct."
            )
        return in_log
    correct = int(chosen in gold)
    if in_log is not None and in_log != correct:
        places = ", ".join(map(str, sorted(gold))) or "none"
        raise _Disagrees(
            f"{question.where}: {name} chooses option {chosen} (from 0) and the right one is "
            f"{places}, but the log says {name} = {in_log}. The file was changed, or its task "
            "scores answers in its own way, so that the likelihoods do not tell how sure the "
            "answer is."
        )
    return correct


def _taken(row: dict[str, Any]) -> int | None:
    """Return the option that lm-eval took, which it logs with the right one for F1 and MCC."""
    for name in _PAIRS:
        pair = row.get(name)
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], int):
            return pair[1]
    return None


def _right(chosen: int, gold: frozenset[int] | None, correct: bool, options: int) -> int:
    """Return the place of the one right option, if it is known.

    Where the log does not name it, a verdict identifies it only among two options: among more, only
    if the answer is right, and scores over such questions would cover only right answers.
    """
    if gold is not None:
        return next(iter(gold)) if len(gold) == 1 else _UNKNOWN
    if options != 2:
        return _UNKNOWN
    return chosen if correct else 1 - chosen


def _scores(loglikelihoods: Floats, method: str, texts: Sequence[str]) -> Floats:
    if method == "acc":
        return loglikelihoods
    with np.errstate(divide="ignore", invalid="ignore"):  # an empty option, as in lm-eval
        return loglikelihoods / np.array([float(_LENGTHS[method](text)) for text in texts])


def _softmax(scores: Floats) -> Floats:
    with np.errstate(invalid="ignore"):  # no option is possible: NaN, a missing confidence
        weights = np.exp(scores - np.max(scores))
        return weights / np.sum(weights)


def _all_begin(questions: Sequence[Question], delimiter: str) -> bool:
    return all(text.startswith(delimiter) for each in questions for text in each.continuations)


def _check_likelihoods(questions: Sequence[Question]) -> None:
    if len(questions) > 1 and not any(each.loglikelihoods.any() for each in questions):
        raise ValueError(
            f"{questions[0].where} and all others: every option has the log-likelihood 0, as from "
            "servers that return none. Nothing can be learnt from this log; use another back end."
        )
