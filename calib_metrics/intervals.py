"""Intervals from resampled values."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

INTERVALS = ("percentile", "bca")
_LEFT_OUT = 1000  # jackknife values: more would not change the acceleration


def percentile_interval(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Return the percentile interval of the resampled `values` at `level`, ignoring NaN.

    The ends are the nearest resampled values at or outside the two quantiles.
    Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    return _quantiles(values, (1 - level) / 2, (1 + level) / 2)


def bca_interval(
    values: NDArray[np.float64], value: float, left_out: NDArray[np.float64], level: float
) -> tuple[float, float]:
    """Return the bias-corrected and accelerated interval: quantiles moved for bias and skewness.

    z0 = the normal quantile of the share of `values` below `value`, the full sample's (equal ones
    count half); a = sum d^3 / (6 (sum d^2)^1.5), d = the jackknife's mean less each of `left_out`,
    the metric without one unit or one block of units. The quantile for a normal quantile z is then
    that of z0 + (z0 + z) / (1 - a (z0 + z)). When all resampled values lie on one side of `value`
    it is undefined: NaN and a UserWarning.
    Source: Efron, Journal of the American Statistical Association 1987.
    """
    values, left_out = values[~np.isnan(values)], left_out[np.isfinite(left_out)]
    if values.size == 0:
        return np.nan, np.nan
    below = np.mean(values < value) + np.mean(values == value) / 2
    if below in (0.0, 1.0):
        warnings.warn(
            "The BCa interval is undefined (NaN): every resampled value lies on one side of the "
            "full sample's, so its bias cannot be corrected; use the percentile interval.",
            stacklevel=3,
        )
        return np.nan, np.nan
    bias = ndtri(below)
    difference = left_out.mean() - left_out if left_out.size else np.zeros(1)
    spread = np.sum(difference**2)
    skew = np.sum(difference**3) / (6 * spread**1.5) if spread > 0 else 0.0
    ends = bias + ndtri([(1 - level) / 2, (1 + level) / 2])
    return _quantiles(values, *ndtr(bias + ends / (1 - skew * ends)))


def _quantiles(values: NDArray[np.float64], low: float, high: float) -> tuple[float, float]:
    values = values[~np.isnan(values)]
    if values.size < 2:
        return np.nan, np.nan
    # Whole order statistics, since interpolating between infinite values gives NaN.
    return (
        float(np.quantile(values, low, method="lower")),
        float(np.quantile(values, high, method="higher")),
    )


def standard_error(values: NDArray[np.float64]) -> float:
    """Return the standard deviation (ddof 1) of the resampled `values`, ignoring NaN."""
    values = values[~np.isnan(values)]
    if values.size < 2:
        return np.nan
    return float(np.std(values, ddof=1)) if np.isfinite(values).all() else np.inf


def leave_out(units: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield the jackknife as counts: every unit once except one unit, or one block of many units.

    With more than 1,000 units, 1,000 blocks are drawn from the seed; the acceleration of
    `bca_interval` is the same on average.
    """
    blocks = min(units, _LEFT_OUT)
    block = np.random.default_rng(seed).permutation(np.arange(units) % blocks)
    size = max(1, 100_000 // units)
    for start in range(0, blocks, size):
        some = np.arange(start, min(start + size, blocks))
        yield (block != some[:, None]).astype(np.float64)
