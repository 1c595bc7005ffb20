"""Sorting confidences into bins, without losing one and without splitting ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_choice, check_count, check_rows

STRATEGIES = ("width", "mass")


@dataclass(frozen=True, eq=False)
class ReliabilityBins:
    """A reliability diagram as five arrays of one entry per bin.

    lower, upper: the bin's edges for equal width; for equal mass, the smallest and the largest
    confidence in it (NaN where empty). count: rows. confidence, accuracy: means (NaN where empty).
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def bin_index(confidence: NDArray[np.float64], bins: int, strategy: str) -> NDArray[np.int64]:
    """Return the bin, 0 to bins - 1, of each of the sorted `confidence` values.

    width: bin k is [k/bins, (k+1)/bins), the last one closed.
    mass: a row's bin is floor(bins * share), where share is the share of rows below it plus half
    of those equal to it. Tied rows therefore share a bin, whatever their order, and without ties
    the bins differ by at most one row.
    """
    if strategy == "width":
        # k / bins is the double nearest to the decimal a model writes: 0.3 belongs to [0.3, 0.4).
        # linspace and confidence * bins both miss some of these edges by a rounding error.
        edges = np.arange(bins + 1) / bins
        return np.minimum(np.searchsorted(edges, confidence, side="right") - 1, bins - 1)
    below = np.searchsorted(confidence, confidence, side="left")
    up_to = np.searchsorted(confidence, confidence, side="right")
    return (below + up_to) * bins // (2 * confidence.size)


def run_starts(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each run of equal values begins: the occupied bins, for `numpy.add.reduceat`."""
    return np.flatnonzero(np.diff(index, prepend=-1))


def reliability_bins(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 10, strategy: str = "width"
) -> ReliabilityBins:
    """Count, mean confidence and accuracy in each bin.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. strategy "width": `bins` intervals of equal
    width, [lower, upper), the last one closed. "mass": about n / bins rows in each; rows with
    equal confidence stay together, so with many ties some bins are empty.
    Raises ValueError on bad input.

    >>> reliability_bins([0.2, 0.9, 1.0], [0, 1, 0], bins=2).accuracy
    array([0. , 0.5])
    """
    confidence, correct = check_rows(confidence, correct)
    bins = check_count(bins, "bins", 1)
    check_choice(strategy, "strategy", STRATEGIES)
    index = bin_index(confidence, bins, strategy)
    count = np.bincount(index, minlength=bins)
    if strategy == "width":
        lower, upper = np.arange(bins) / bins, np.arange(1, bins + 1) / bins
    else:
        start = run_starts(index)
        lower, upper = np.full(bins, np.nan), np.full(bins, np.nan)
        lower[index[start]] = confidence[start]
        upper[index[start]] = confidence[np.append(start[1:], confidence.size) - 1]
    with np.errstate(invalid="ignore"):  # 0 / 0 in an empty bin is the NaN that is meant
        mean_confidence = np.bincount(index, confidence, bins) / count
        accuracy = np.bincount(index, correct, bins) / count
    return ReliabilityBins(lower, upper, count, mean_confidence, accuracy)
