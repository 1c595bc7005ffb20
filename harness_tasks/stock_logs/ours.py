"""Logs of Calibench's own tasks as tables: a column for each method.

In multiple choice the column of `likelihood` also holds the probabilities of all options, which the
log has as log-likelihoods.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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


def read_tables(file: Path, fields: Sequence[str] = (), method: str = "") -> Iterator[LogTable]:
    """Yield a table for each method that a log of lm-eval holds.

    fields: of documents or records, which the tables will hold. method: the only one; "" for all.
    Answers without a grade are left out. Raises ValueError as `read_samples` does, for a field that
    is not there, for another method, and if no answer is graded.
    """
    logged: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    for row, record in read_samples(file):
        if record["correct"] is not None:  # else a judge's verdict that could not be read
            logged.setdefault(record["method"], []).append((_needed(row, record), record))
    if not logged:
        raise ValueError(f"{file}: no answer in it is graded, so there is nothing to score.")
    if method and method not in logged:
        raise ValueError(f"{file}: there is no method '{method}', only {', '.join(logged)}.")
    for name in [method] if method else logged:
        rows = logged[name]
        records = [record for _, record in rows]
        confidence = np.array([record["confidence"] for record in records], float)
        correct = np.array([record["correct"] for record in records], float)
        probabilities, gold = _options(rows) if name == _LIKELIHOOD else (None, None)
        labels = {key: [_field(file, row, record, key) for row, record in rows] for key in fields}
        yield LogTable(
            file.name,
            str(file),
            {name: Column(confidence, correct, probabilities, gold)},
            labels,
            keys=tuple(key_of(record["question"]) for record in records),
        )


def _needed(row: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """Leave out the prompts of all but the options, which would take most of the memory."""
    document = row.get("doc")
    kept = {"doc": document if isinstance(document, dict) else {}, "target": row.get("target")}
    return kept | ({"options": _logged_options(row)} if record["method"] == _LIKELIHOOD else {})


def _field(file: Path, row: dict[str, Any], record: dict[str, Any], name: str) -> Any:
    fields = {**row["doc"], **record}
    if name not in fields:
        raise ValueError(f"{file}: there is no field '{name}', only {', '.join(fields)}.")
    return str(fields[name])


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


def _options(
    rows: Sequence[tuple[dict[str, Any], dict[str, Any]]],
) -> tuple[tuple[Floats, ...] | None, NDArray[np.int64] | None]:
    """Return the options' probabilities and the right options' places.

    (None, None) unless they give every confidence and every grade of the log again, as in an
    open-ended task, whose first requests are no options.
    """
    probabilities, gold = [], []
    for row, record in rows:
        labels, values = list(row["options"]), list(row["options"].values())
        answer = record["answer"].strip()
        right = int(row["target"]) if str(row["target"]).strip().isdecimal() else -1
        if len(values) < 2 or answer not in labels or not 0 <= right < len(labels):
            return None, None
        shares = softmax(np.array(values))
        at = labels.index(answer)
        given = record["confidence"]
        if given is not None and not math.isclose(shares[at], given, abs_tol=_SAME):
            return None, None
        if (at == right) != bool(record["correct"]):
            return None, None
        probabilities.append(shares)
        gold.append(right)
    return tuple(probabilities), np.array(gold)
