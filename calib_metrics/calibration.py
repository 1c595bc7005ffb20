"""Calibration: is the confidence the probability of being right?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_choice, check_count, check_rows
from calib_metrics.bins import STRATEGIES, bin_index, run_starts

NORMS = ("l1", "l2", "max")


def ece(
    confidence: ArrayLike,
    correct: ArrayLike,
    *,
    bins: int = 10,
    strategy: str = "width",
    norm: str = "l1",
) -> float:
    """Expected calibration error: the gap between confidence and accuracy, averaged over bins.

    With g_b = |accuracy - mean confidence| in bin b, which holds n_b of the n rows:
    l1: sum_b (n_b / n) g_b. l2: sqrt(sum_b (n_b / n) g_b^2). max: max_b g_b.

    confidence: (n,) in [0, 1], the probability that the answer is correct. correct: (n,) in {0, 1}.
    bins, strategy: as in `reliability_bins`. Returns a value in [0, 1]; 0 is best. A perfectly
    calibrated model scores above 0 in a finite sample (about 0.10 at n = 100 with 10 bins).
    Raises ValueError on bad input.

    Sources: Naeini et al., AAAI 2015; Guo et al., ICML 2017 (15 bins).

    >>> round(ece([0.95, 1.0], [1, 0]), 6)
    0.475
    """
    confidence, correct = check_rows(confidence, correct)
    bins = check_count(bins, "bins", 1)
    check_choice(strategy, "strategy", STRATEGIES)
    check_choice(norm, "norm", NORMS)
    start = run_starts(bin_index(confidence, bins, strategy))
    count = np.diff(start, append=confidence.size)
    return float(gap_norm(np.add.reduceat(correct - confidence, start), count, norm))


def rms_calibration_error(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 10, strategy: str = "width"
) -> float:
    """Root mean square calibration error, `rms` in tables: `ece` with norm "l2".

    Large gaps weigh more than in `ece`, and it is never below it. Same arguments and errors.
    Source: Hendrycks et al., ICLR 2019 (with bins of equal mass).
    """
    return ece(confidence, correct, bins=bins, strategy=strategy, norm="l2")


def brier(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Brier score: mean of (confidence - correct)^2, in [0, 1]; 0 is best.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. Raises ValueError on bad input.
    Source: Brier, Monthly Weather Review 1950.
    """
    confidence, correct = check_rows(confidence, correct)
    return float(np.mean((confidence - correct) ** 2))


def nll(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Negative log-likelihood in nats: mean of -ln(c) if correct, -ln(1 - c) if not; c: confidence.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. Returns a value in [0, inf]; 0 is best.
    A single wrong answer at confidence 1, or right answer at confidence 0, makes it inf: that is
    the score's definition, and nothing is clipped to hide it. Raises ValueError on bad input.
    """
    return float(np.mean(log_losses(*check_rows(confidence, correct))))


def log_losses(
    confidence: NDArray[np.float64], correct: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return each row's negative log-likelihood."""
    with np.errstate(divide="ignore"):  # -ln 0 = inf is meant
        return -np.where(correct == 1, np.log(confidence), np.log1p(-confidence))


def gap_norm(
    gap: NDArray[np.float64], count: NDArray[np.int64], norm: str
) -> NDArray[np.float64]:
    """Reduce the last axis, one entry per bin, to a calibration error.

    gap: sum of (correct - confidence) over the bin's rows. count: rows in the bin, 0 allowed.
    """
    rows = np.maximum(count, 1)  # an empty bin has gap 0
    if norm == "max":
        return np.max(np.abs(gap) / rows, axis=-1)
    if norm == "l2":
        return np.sqrt(np.sum(gap**2 / rows, axis=-1) / np.sum(count, axis=-1))
    return np.sum(np.abs(gap), axis=-1) / np.sum(count, axis=-1)
