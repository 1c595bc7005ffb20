"""Aggregations for lm-eval: `aggregation: !function calib_metrics.lm_eval_hooks.ece` in a task.

An item is one answer's (confidence, correct), a tuple or, read back from a log, a list. A
confidence of None is left out; when all are, the score is NaN. lm-eval prints a standard error for
a custom metric only where the task emits a second metric, `<name>_stderr`, right after it.
Errors are those of `calib_metrics.score`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from calib_metrics.scores import Score, score

Items = Sequence[Sequence[float | None]]


def ece(items: Items) -> float:
    """Expected calibration error, 10 bins of equal width."""
    return _score("ece", items, resamples=0).value


def ece_stderr(items: Items) -> float:
    """Bootstrap standard error of `ece`: 1,000 resamples, seed 0."""
    return _score("ece", items).stderr


def rms(items: Items) -> float:
    """Root mean square calibration error, 10 bins of equal width."""
    return _score("rms", items, resamples=0).value


def rms_stderr(items: Items) -> float:
    """Bootstrap standard error of `rms`: 1,000 resamples, seed 0."""
    return _score("rms", items).stderr


def brier(items: Items) -> float:
    """Brier score."""
    return _score("brier", items, resamples=0).value


def brier_stderr(items: Items) -> float:
    """Bootstrap standard error of `brier`: 1,000 resamples, seed 0."""
    return _score("brier", items).stderr


def nll(items: Items) -> float:
    """Negative log-likelihood in nats."""
    return _score("nll", items, resamples=0).value


def nll_stderr(items: Items) -> float:
    """Bootstrap standard error of `nll`: 1,000 resamples, seed 0."""
    return _score("nll", items).stderr


def auroc(items: Items) -> float:
    """Area under the ROC curve; NaN with a warning if all answers are right, or all wrong."""
    return _score("auroc", items, resamples=0).value


def auroc_stderr(items: Items) -> float:
    """Bootstrap standard error of `auroc`: 1,000 resamples, seed 0."""
    return _score("auroc", items).stderr


def accuracy(items: Sequence[float]) -> float:
    """Share of correct answers; an item is 0 or 1."""
    return _mean(items)


def answered(items: Sequence[float]) -> float:
    """Share of answers with a usable confidence; an item is 0 or 1."""
    return _mean(items)


def mean_stderr(items: Sequence[float]) -> float:
    """Standard error of `accuracy` or `answered`: standard deviation (ddof 1) / sqrt(n)."""
    if len(items) < 2:
        return math.nan
    return float(np.std(np.asarray(items, dtype=float), ddof=1) / math.sqrt(len(items)))


def _mean(items: Sequence[float]) -> float:
    return float(np.mean(np.asarray(items, dtype=float))) if len(items) else math.nan


def _score(name: str, items: Items, resamples: int = 1000) -> Score:
    for item in items:
        if len(item) != 2:
            raise ValueError(f"An item is {item!r}: give (confidence, correct) for each answer.")
    confidence, correct = zip(*items)
    return score(confidence, correct, (name,), resamples=resamples)[name]
