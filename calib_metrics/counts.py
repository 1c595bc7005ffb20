"""The two metrics over all rows: the share of right answers, and of answers with a confidence."""

from __future__ import annotations

import numpy as np

from calib_metrics.cells import Cells
from calib_metrics.metric import Floats, Metric, Resampled


def _accuracy(confidence: Floats, correct: Floats) -> float:
    """Accuracy: the share of all rows whose answer is correct."""
    return float(np.mean(correct))


def _accuracy_resampled(cells: Cells) -> Resampled:
    return lambda drawn: drawn.every @ cells.correct / drawn.every.sum(axis=1)


def _answered(confidence: Floats, correct: Floats) -> float:
    """Answered: the share of rows with a confidence."""
    return float(np.mean(~np.isnan(confidence)))


def _answered_resampled(cells: Cells) -> Resampled:
    return lambda drawn: drawn.n / drawn.every.sum(axis=1)


METRICS = (
    Metric(
        "acc",
        "Accuracy",
        _accuracy,
        _accuracy_resampled,
        higher_is_better=True,
        all_rows=True,
        of_confidence=False,
        row_values=lambda confidence, correct: correct,
    ),
    Metric(
        "answered",
        "Answered",
        _answered,
        _answered_resampled,
        higher_is_better=True,
        all_rows=True,
        row_values=lambda confidence, correct: (~np.isnan(confidence)).astype(np.float64),
    ),
)
