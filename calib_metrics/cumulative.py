"""Calibration error without bins or bandwidth, from cumulative sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from calib_metrics._checks import check_rows
from calib_metrics.bins import run_starts
from calib_metrics.bootstrap import answered_cells
from calib_metrics.cells import Cells, Drawn, divide
from calib_metrics.metric import Floats, Metric, Resampled


def ks_calibration_error(confidence: ArrayLike, correct: ArrayLike) -> float:
    """KS calibration error: largest gap between cumulative confidence and right answers, per row.

    max over t of |sum over rows of confidence <= t of (confidence - correct)| / n: the
    Kolmogorov-Smirnov distance between the two cumulative sums, with the rows in order of
    confidence. Rows of equal confidence enter together, so their order does not matter; code that
    adds them one by one gives a different number for every order.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. Returns a value in [0, 1]; 0 is best. There
    are no bins or bandwidth to choose. Over- and underconfidence in neighbouring ranges cancel less
    than within one bin of `ece`, and more than in separate bins. A perfectly calibrated model
    scores above 0 in a finite sample. Raises ValueError on bad input.
    Source: Gupta et al., Calibration of Neural Networks using Splines, ICLR 2021.

    >>> round(ks_calibration_error([0.2, 0.4, 0.6, 0.8], [0, 1, 0, 1]), 6)  # sums .2 -.4 .2 0
    0.1
    """
    confidence, correct = check_rows(confidence, correct)
    drift = np.cumsum(np.add.reduceat(confidence - correct, run_starts(confidence)))
    return float(np.max(np.abs(drift)) / confidence.size)


def _resampled(cells: Cells) -> Resampled:
    confidence, correct = answered_cells(cells)
    start = run_starts(confidence)

    def largest_drift(drawn: Drawn) -> Floats:
        gap = np.multiply(drawn.known, confidence - correct, out=drawn.array("gap", correct.size))
        drift = np.cumsum(np.add.reduceat(gap, start, axis=1), axis=1)
        return divide(np.max(np.abs(drift), axis=1), drawn.n)

    return largest_drift


METRICS = (
    Metric(
        "ks",
        "KS error",
        ks_calibration_error,
        _resampled,
        higher_is_better=False,
        chance_raises=True,
    ),
)
