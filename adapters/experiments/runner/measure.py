"""Scores of one method in a log: as it stands, after temperature scaling, or per token."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, logit, softmax

from calib_metrics import score
from harness_tasks.elicitation.records import read_samples

METRICS = ("acc", "ece", "auroc", "brier")
BY_OPTION = "grading:option"  # ends the signature where the answer is one of several options


class Scored(NamedTuple):
    """An answer: the question's id, whether it is right, and the confidence in it, if any."""

    id: str
    correct: int
    confidence: float | None


def confidences(
    log: Path,
    method: str,
    temperature: float | None = None,
    tokens: Callable[[str], int] | None = None,
    constant: float | None = None,
) -> list[Scored]:
    """The answers in a log with their confidence by `method`.

    Args:
        log: a samples file.
        method: which of its records.
        temperature: T; a confidence c becomes sigmoid(logit(c) / T), that of a multiple-choice
            answer under ``likelihood`` the largest of softmax(log-likelihoods of the options / T).
        tokens: counts the tokens of a text; the model's choice among options, and its confidence
            in that, are then those of softmax(log-likelihood / tokens).
        constant: the confidence in each answer, whatever the log says.

    Raises:
        ValueError: the log holds no record of the method.
    """
    rows = [(row, record) for row, record in read_samples(log) if record["method"] == method]
    if not rows:
        raise ValueError(f"{log} holds no record of the method {method!r}.")
    found = []
    for row, record in rows:
        confidence, correct = _scaled(row, record, temperature), record["correct"]
        if tokens is not None and record["signature"].endswith(BY_OPTION):
            confidence, correct = _per_token(row, tokens)
        found.append(Scored(record["id"], correct, confidence if constant is None else constant))
    return found


def measure(answers: Sequence[Scored], method: str) -> dict[str, Any]:
    """n, the number of missing confidences, and the scores of `answers`, without intervals."""
    confidence = [each.confidence for each in answers]
    correct = [each.correct for each in answers]
    found = score(confidence, correct, METRICS, method=method, resamples=0)
    values = {name: found[name].value for name in METRICS}
    return {
        "n": len(answers),
        "missing": confidence.count(None),
        **{name: value if math.isfinite(value) else None for name, value in values.items()},
    }


def _scaled(row: dict[str, Any], record: dict[str, Any], temperature: float | None) -> float | None:
    confidence = record["confidence"]
    if confidence is None or temperature is None:
        return confidence
    if record["method"] == "likelihood" and record["signature"].endswith(BY_OPTION):
        options = np.array([float(reply[0][0]) for reply in row["resps"]])
        return float(softmax(options / temperature).max())
    return float(expit(logit(confidence) / temperature))


def _per_token(row: dict[str, Any], tokens: Callable[[str], int]) -> tuple[float, int]:
    """(confidence, correct) of the likeliest option per token."""
    texts = [request["arg_1"] for request in row["arguments"].values()]
    total = np.array([float(reply[0][0]) for reply in row["resps"]])
    shares = softmax(total / [tokens(text) for text in texts])
    chosen = int(shares.argmax())
    right = row["doc"]["choices"][row["doc"]["gold"]]
    return float(shares[chosen]), int(texts[chosen].strip() == right.strip())
