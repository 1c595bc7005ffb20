"""The Brier score split into reliability, resolution, uncertainty and within-bin terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from calib_metrics._checks import check_choice, check_count, check_rows
from calib_metrics.bins import STRATEGIES, bin_index, run_starts


@dataclass(frozen=True)
class BrierDecomposition:
    """Terms whose sum is the Brier score (see `brier`), as `brier_decomposition` defines them."""

    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float

    @property
    def brier(self) -> float:
        """The sum reliability - resolution + uncertainty + within_variance - within_covariance."""
        within = self.within_variance - self.within_covariance
        return self.reliability - self.resolution + self.uncertainty + within


def brier_decomposition(
    confidence: ArrayLike,
    correct: ArrayLike,
    *,
    bins: int | None = 10,
    strategy: str = "width",
) -> BrierDecomposition:
    """Split the Brier score over bins, exactly.

    With c_i the confidences, y_i the 0 or 1 of correct, mean confidence c_b and accuracy y_b in bin
    b, which holds n_b of the n rows, and overall accuracy y:
    reliability: sum_b (n_b / n) (c_b - y_b)^2; 0 is best (`rms_calibration_error` squared).
    resolution: sum_b (n_b / n) (y_b - y)^2; more is better, up to the uncertainty.
    uncertainty: y (1 - y), a property of the answers alone.
    within_variance: sum_i (c_i - c_b)^2 / n. within_covariance: 2 sum_i (c_i - c_b)(y_i - y_b) / n.
    Binning hides the last two; resolution - within_variance + within_covariance is Stephenson's
    generalised resolution.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. bins, strategy: as in `reliability_bins`;
    bins=None gives each distinct confidence its own bin, so that the last two terms are 0 and the
    three classical terms remain. Raises ValueError on bad input.
    Sources: Murphy, Journal of Applied Meteorology 1973; Stephenson et al., Weather and Forecasting
    2008.
    """
    confidence, correct = check_rows(confidence, correct)
    check_choice(strategy, "strategy", STRATEGIES)
    if bins is None:
        start = run_starts(confidence)
    else:
        bins = check_count(bins, "bins", 1)
        start = run_starts(bin_index(confidence, bins, strategy, correct))
    count = np.diff(start, append=confidence.size)
    # The mean of equal values, as a sum divided, may differ from them in the last digit.
    mean = confidence[start] if bins is None else np.add.reduceat(confidence, start) / count
    accuracy = np.add.reduceat(correct, start) / count
    overall, n = np.mean(correct), confidence.size
    within = confidence - np.repeat(mean, count)
    return BrierDecomposition(
        reliability=float(np.sum(count * (mean - accuracy) ** 2) / n),
        resolution=float(np.sum(count * (accuracy - overall) ** 2) / n),
        uncertainty=float(overall * (1 - overall)),
        within_variance=float(np.sum(within**2) / n),
        within_covariance=float(2 * np.sum(within * (correct - np.repeat(accuracy, count))) / n),
    )
