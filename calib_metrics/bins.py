"""Sort confidences into bins without losing rows or splitting ties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_choice, check_count, check_rows

STRATEGIES = ("width", "mass", "sweep")

_CHUNK = 32_768  # rows summed at once: their columns stay in the processor's cache

# Adding and subtracting one of these rounds a confidence to a multiple of 2^-26, and what is left
# of it to a multiple of 2^-53. Sums of up to 2^27 such numbers are exact, hence in any order.
_HIGH, _LOW = 1.5 * 2.0**26, 1.5 * 2.0**-1


@dataclass(frozen=True, eq=False)
class ReliabilityBins:
    """A reliability diagram as five arrays of one entry per bin.

    lower, upper: the bin's edges for equal width; otherwise the smallest and the largest
    confidence in it (NaN where empty). count: rows. confidence, accuracy: means (NaN where empty).
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


class BinSums(NamedTuple):
    """Per bin: rows, right answers, and the sums of confidence and of correct - confidence."""

    count: NDArray[np.int64]  # type: ignore[assignment]  # of a tuple, it is a method
    right: NDArray[np.int64]
    confidence: NDArray[np.float64]
    gap: NDArray[np.float64]


def bin_index(
    confidence: NDArray[np.float64],
    bins: int,
    strategy: str,
    correct: NDArray[Any] | None = None,
) -> NDArray[np.int64]:
    """Return the bin, counted from 0, of each of the `confidence` values.

    The rows are sorted by confidence and none is missing; for "width" any order will do.
    width: bin k is [k/bins, (k+1)/bins), the last one closed.
    mass: a row's bin is floor(bins * share), where share is the share of rows below it plus half
    of those equal to it. Tied rows therefore share a bin, whatever their order, and without ties
    the bins differ by at most one row.
    sweep: bins of equal mass as under "mass", one more at a time as long as accuracy does not fall
    from any occupied bin to the next; the result is the last number of bins before it falls. `bins`
    is not used, `correct` is required, and no bin is empty (Roelofs et al., AISTATS 2022).
    """
    if strategy == "width":
        return _width_index(confidence, bins)
    if strategy == "sweep":
        if correct is None:
            raise TypeError("bins of the strategy 'sweep' need the column correct.")
        return _sweep_index(confidence, correct)
    below = np.searchsorted(confidence, confidence, side="left")
    up_to = np.searchsorted(confidence, confidence, side="right")
    return (below + up_to) * bins // (2 * confidence.size)


def _width_index(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    # k / bins is the double nearest to the decimal a model writes: 0.3 belongs to [0.3, 0.4).
    # linspace and confidence * bins both miss some of these edges by a rounding error, so the
    # product only says which edge is nearest, and comparing with that edge decides.
    edges = np.arange(bins + 1) / bins
    edges[bins] = np.inf  # a confidence of 1 is below it: the last bin is closed
    nearest = np.rint(confidence * bins).astype(np.int64)
    return nearest - (confidence < edges[nearest])


def _sweep_index(
    confidence: NDArray[np.float64], correct: NDArray[np.float64]
) -> NDArray[np.int64]:
    n = confidence.size
    start = run_starts(confidence)  # of each group of tied rows
    ends = np.append(start, n)
    right_before = np.append(0, np.cumsum(np.add.reduceat(correct, start, dtype=np.int64)))
    if _accuracy_rises(np.arange(ends.size), ends, right_before):
        best = np.arange(ends.size)  # then it rises over any bins, also the finest
    else:
        # Group g lies in bin k of b when its doubled middle, below + up_to, is at least 2nk/b.
        first_group = np.searchsorted(start + ends[1:], np.arange(2 * n + 1))
        best = np.array([0, start.size])
        for bins in range(2, n + 1):
            edge = first_group[-(-2 * n * np.arange(bins + 1) // bins)]
            edge = edge[np.diff(edge, prepend=-1) > 0]  # without empty bins
            if not _accuracy_rises(edge, ends, right_before):
                break
            best = edge
    return np.repeat(np.arange(best.size - 1), np.diff(ends[best]))


def _accuracy_rises(
    edge: NDArray[np.int64], ends: NDArray[np.int64], right_before: NDArray[np.int64]
) -> bool:
    count, right = np.diff(ends[edge]), np.diff(right_before[edge])
    return bool((right[:-1] * count[1:] <= right[1:] * count[:-1]).all())  # in whole numbers


def run_starts(ascending: NDArray[Any]) -> NDArray[np.int64]:
    """Return the start of each run of equal, non-negative values, for `numpy.add.reduceat`."""
    return np.flatnonzero(np.diff(ascending, prepend=-1))


def bin_sums(
    confidence: NDArray[np.float64],
    correct: NDArray[Any],
    bins: int,
    index: NDArray[np.int64] | None = None,
) -> BinSums:
    """Sum checked rows bin by bin, without rounding errors that depend on their order.

    index: the bin of each row; None means bins of equal width. Every confidence has an error of at
    most 2^-54; for up to 2^27 rows the sums add no further error.
    """
    total = np.zeros((4, bins))
    for begin in range(0, confidence.size, _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        where = _width_index(confidence[rows], bins) if index is None else index[rows]
        total += _chunk_sums(where, confidence[rows], correct[rows], bins)
    count, right, high, low = total
    return BinSums(count.astype(np.int64), right.astype(np.int64), high + low, (right - high) - low)


def _chunk_sums(
    index: NDArray[np.int64], confidence: NDArray[np.float64], correct: NDArray[Any], bins: int
) -> NDArray[np.float64]:
    cell = 2 * index + (correct != 0)  # a bin's wrong answers and its right ones
    high = (confidence + _HIGH) - _HIGH
    low = ((confidence - high) + _LOW) - _LOW
    count = np.bincount(cell, minlength=2 * bins).reshape(bins, 2)
    highs = np.bincount(cell, high, 2 * bins).reshape(bins, 2)
    lows = np.bincount(cell, low, 2 * bins).reshape(bins, 2)
    return np.stack([count.sum(axis=1), count[:, 1], highs.sum(axis=1), lows.sum(axis=1)])


def reliability_bins(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 10, strategy: str = "width"
) -> ReliabilityBins:
    """Count, mean confidence and accuracy in each bin.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. strategy "width": `bins` intervals of equal
    width, [lower, upper), the last one closed. "mass": about n / bins rows in each; rows with
    equal confidence stay together, so with many ties some bins are empty. "sweep": the most bins of
    equal mass for which accuracy never falls from one bin to the next; `bins` is not used.
    Raises ValueError on bad input.

    >>> reliability_bins([0.2, 0.9, 1.0], [0, 1, 0], bins=2).accuracy
    array([0. , 0.5])
    """
    confidence, correct = check_rows(confidence, correct)
    bins = check_count(bins, "bins", 1)
    check_choice(strategy, "strategy", STRATEGIES)
    index = bin_index(confidence, bins, strategy, correct)
    if strategy == "sweep":
        bins = int(index[-1]) + 1
    if strategy == "width":
        lower, upper = np.arange(bins) / bins, np.arange(1, bins + 1) / bins
    else:
        start = run_starts(index)
        lower, upper = np.full(bins, np.nan), np.full(bins, np.nan)
        lower[index[start]] = confidence[start]
        upper[index[start]] = confidence[np.append(start[1:], confidence.size) - 1]
    sums = bin_sums(confidence, correct, bins, index)
    with np.errstate(invalid="ignore"):  # 0 / 0 in an empty bin is the NaN that is meant
        mean_confidence, accuracy = sums.confidence / sums.count, sums.right / sums.count
    return ReliabilityBins(lower, upper, sums.count, mean_confidence, accuracy)
