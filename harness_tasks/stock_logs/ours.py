"""Logs of Calibench's own tasks as tables: a column for each method.

In multiple choice the column of `likelihood` also holds the probabilities of all options, which the
log has as log-likelihoods.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from harness_tasks.elicitation.records import read_samples
from harness_tasks.stock_logs.table import Column, LogTable, key_of

_LIKELIHOOD = "likelihood"
_SAME = 1e-6  # of a probability that was computed from the same log-likelihoods, in float32

Floats = NDArray[np.float64]


@dataclass
class _Read:
    """What is kept of one method's rows: prompts and documents would take most of the memory."""

    confidence: list[float | None] = field(default_factory=list)
    correct: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    options: list[tuple[Floats, int] | None] = field(default_factory=list)
    labels: dict[str, list[str]] = field(default_factory=dict)


def read_tables(file: Path, fields: Sequence[str] = (), method: str = "") -> Iterator[LogTable]:
    """Yield a table for each method that a log of lm-eval holds.

    fields: of documents or records, which the tables will hold. method: the only one; "" for all.
    Answers without a grade are left out. Raises ValueError as `read_samples` does, for a field that
    is not there, for another method, and if no answer is graded.
    """
    logged: dict[str, _Read] = {}
    for row, record in read_samples(file):
        if record["correct"] is None:  # a judge's verdict that could not be read
            continue
        name = record["method"]
        read = logged.setdefault(name, _Read(labels={key: [] for key in fields}))
        if method in ("", name):
            _keep(read, file, row, record)
    if not logged:
        raise ValueError(f"{file}: no answer in it is graded, so there is nothing to score.")
    if method and method not in logged:
        raise ValueError(f"{file}: there is no method '{method}', only {', '.join(logged)}.")
    for name in [method] if method else logged:
        read = logged[name]
        confidence, correct = np.array(read.confidence, float), np.array(read.correct, float)
        probabilities, gold = _options(read.options) if name == _LIKELIHOOD else (None, None)
        yield LogTable(
            file.name,
            str(file),
            {name: Column(confidence, correct, probabilities, gold)},
            dict(read.labels),
            keys=tuple(read.keys),
        )


def _keep(read: _Read, file: Path, row: dict[str, Any], record: dict[str, Any]) -> None:
    read.confidence.append(record["confidence"])
    read.correct.append(record["correct"])
    read.keys.append(key_of(record["question"]))
    if record["method"] == _LIKELIHOOD:
        read.options.append(_read_options(row, record))
    document = row.get("doc")
    for name, labels in read.labels.items():
        known = {**(document if isinstance(document, dict) else {}), **record}
        if name not in known:
            raise ValueError(f"{file}: there is no field '{name}', only {', '.join(known)}.")
        labels.append(str(known[name]))


def _logged_options(row: dict[str, Any]) -> dict[str, float]:
    """Return the log-likelihoods of the first requests, as long as they share their context."""
    arguments, responses = row.get("arguments"), row.get("resps")
    if not isinstance(arguments, dict) or not isinstance(responses, list):
        return {}
    found: dict[str, float] = {}
    context = None
    for place, response in enumerate(responses):
        asked = arguments.get(f"gen_args_{place}")
        if not isinstance(asked, dict) or not isinstance(asked.get("arg_1"), str):
            break
        context = asked.get("arg_0") if context is None else context
        if asked.get("arg_0") != context:
            break
        try:
            found[asked["arg_1"].strip()] = float(response[0][0])
        except (TypeError, ValueError, IndexError, KeyError):
            break
    return found


def _read_options(row: dict[str, Any], record: dict[str, Any]) -> tuple[Floats, int] | None:
    """Return the options' probabilities and the right option's place.

    None unless they give the confidence and the grade of the record again, as they do not in an
    open-ended task, whose first requests are no options.
    """
    options, target = _logged_options(row), str(row.get("target"))
    labels, values = list(options), list(options.values())
    answer = record["answer"].strip()
    right = int(target) if target.strip().isdecimal() else -1
    if len(values) < 2 or answer not in labels or not 0 <= right < len(labels):
        return None
    shares = softmax(np.array(values))
    at = labels.index(answer)
    given = record["confidence"]
    if given is not None and not math.isclose(shares[at], given, abs_tol=_SAME):
        return None
    return (shares, right) if (at == right) == bool(record["correct"]) else None


def _options(
    read: Sequence[tuple[Floats, int] | None],
) -> tuple[tuple[Floats, ...] | None, NDArray[np.int64] | None]:
    """Return the options' probabilities and the right options' places, if every row has them."""
    known = [each for each in read if each is not None]
    if len(known) < len(read):
        return None, None
    return tuple(shares for shares, _ in known), np.array([gold for _, gold in known])
