"""Smooth calibration error: a kernel instead of bins, with a bandwidth set by the data."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import dct, idct

from calib_metrics._checks import check_rows
from calib_metrics.bins import run_starts
from calib_metrics.bootstrap import answered_cells, answered_rows
from calib_metrics.cells import Cells, Drawn, divide
from calib_metrics.metric import Metric, Resampled

_SIZES = (1024, 4096, 16384, 65536)  # of the grid: the first fine enough for the bandwidth
_PER_BANDWIDTH = 16  # grid points


def smooth_ece(
    confidence: ArrayLike, correct: ArrayLike, *, bandwidth: float | None = None
) -> float:
    """Smooth ECE: residuals (correct - confidence) smoothed over confidence, in absolute value.

    smECE_s = integral over t in [0, 1] of |(1/n) sum_i (correct_i - confidence_i) K_s(confidence_i,
    t)|, K_s the Gaussian kernel of standard deviation s reflected at 0 and 1, and the result is
    smECE_s at the one s where smECE_s = s.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. bandwidth: a fixed s, at least 0. Returns a
    value in [0, 1]; 0 is best. Computed on a grid of 16 or more points per bandwidth (at most
    65,536): within 1e-4 of the integral. Like any calibration error in a finite sample, it is above
    0 for a perfectly calibrated model. Raises ValueError on bad input.
    Source: Błasiok & Nakkiran, ICLR 2024.

    >>> round(smooth_ece([0.9, 0.9], [0, 0]), 6)
    0.9
    """
    confidence, correct = check_rows(confidence, correct)
    if bandwidth is None:
        bandwidth, sums = _fixed_point(confidence, correct)
    elif isinstance(bandwidth, bool) or not 0 <= bandwidth < math.inf:
        raise ValueError(f"bandwidth is {bandwidth!r}: give a number of at least 0, such as 0.05.")
    else:
        sums = _residual_sums(confidence, correct, grid_size(bandwidth))
    return min(1.0, float(smooth_residual(sums, bandwidth)))  # a rounding error can exceed 1


def smooth_ece_bandwidth(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Return the bandwidth s at which smECE_s = s, as `smooth_ece` uses it: in [0, 1].

    smECE_s never grows with s, so there is one; 0 when every residual is 0. Same arguments and
    errors as `smooth_ece`.
    """
    return _fixed_point(*check_rows(confidence, correct))[0]


def grid_size(bandwidth: float) -> int:
    """Return how many grid points `smooth_ece` uses at this bandwidth."""
    return next((m for m in _SIZES if m * bandwidth >= _PER_BANDWIDTH), _SIZES[-1])


def _fixed_point(
    confidence: NDArray[np.float64], correct: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return the bandwidth, and the residual sums on a sufficiently fine grid."""
    for points in _SIZES:
        sums = _residual_sums(confidence, correct, points)
        # Whatever the bandwidth, cancellation lies between none and all there can be.
        low, high = abs(float(np.sum(sums))), float(np.sum(np.abs(sums)))
        waves = dct(sums, type=2)
        while high - low > 1e-12:
            middle = (low + high) / 2
            if _smoothed_size(waves, middle) > middle:
                low = middle
            else:
                high = middle
        if high * points >= _PER_BANDWIDTH:
            break
    return high, sums


def smooth_residual(sums: NDArray[np.float64], bandwidth: float) -> NDArray[np.float64]:
    """Return smECE at this bandwidth from sums on a grid, reducing the last axis.

    sums: (..., m), in each of m cells of equal width on [0, 1] the sum of (correct - confidence)
    / n over its rows, placed by `to_grid`. bandwidth: at least 0; under 2 / m it counts as 2 / m,
    and cells should be much narrower than it.
    """
    return _smoothed_size(dct(sums, type=2, axis=-1), bandwidth)


def _smoothed_size(waves: NDArray[np.float64], bandwidth: float) -> NDArray[np.float64]:
    # The reflected Gaussian kernel is the heat kernel of [0, 1] with insulated ends: it multiplies
    # the k-th cosine by exp(-(k pi s)^2 / 2). Under two cells it would ring: cells are the limit.
    points = waves.shape[-1]
    k = np.arange(points) * max(bandwidth, 2 / points)
    damped = waves * np.exp(-((np.pi * k) ** 2) / 2)
    return np.sum(np.abs(idct(damped, type=2, axis=-1)), axis=-1)


def to_grid(
    confidence: NDArray[np.float64], points: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Place confidences between the centres of `points` (at least 2) cells of [0, 1].

    Returns per row a cell and a weight: the share `weight` of the row belongs to cell + 1, the rest
    to cell, so that its mean place is kept (rows in the outer half of an end cell belong to it).
    """
    place = confidence * points - 0.5
    cell = np.clip(np.floor(place), 0, points - 2).astype(np.int64)
    return cell, np.clip(place - cell, 0.0, 1.0)


def _residual_sums(
    confidence: NDArray[np.float64], correct: NDArray[np.float64], points: int
) -> NDArray[np.float64]:
    cell, weight = to_grid(confidence, points)
    residual = (correct - confidence) / confidence.size
    lower = np.bincount(cell, residual * (1 - weight), points)
    # With weights the sums are floats, which NumPy's types do not say.
    return lower + np.bincount(cell + 1, residual * weight, points)  # type: ignore[return-value]


def _resampled(cells: Cells) -> Resampled:
    confidence, correct = answered_cells(cells)
    bandwidth = smooth_ece_bandwidth(*answered_rows(cells))
    points = grid_size(bandwidth)
    cell, upper = to_grid(confidence, points)
    start = run_starts(cell)
    place = cell[start]
    lower_residual = (correct - confidence) * (1 - upper)
    upper_residual = (correct - confidence) * upper

    def smooth_error(drawn: Drawn) -> NDArray[np.float64]:
        residuals = drawn.array("residuals", cell.size)
        sums = np.zeros((len(drawn.n), points))
        np.multiply(drawn.known, lower_residual, out=residuals)
        sums[:, place] = np.add.reduceat(residuals, start, axis=1)
        np.multiply(drawn.known, upper_residual, out=residuals)
        sums[:, place + 1] += np.add.reduceat(residuals, start, axis=1)
        return divide(smooth_residual(sums, bandwidth), drawn.n)

    return smooth_error


METRICS = (
    Metric(
        "smooth_ece",
        "Smooth ECE",
        smooth_ece,
        _resampled,
        higher_is_better=False,
        describe=lambda: ["kernel:reflected_gaussian"],
        chance_raises=True,
        module="smooth_ece",
    ),
)
