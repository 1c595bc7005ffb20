"""One bootstrap for all metrics: rows drawn with replacement, as counts, without a loop over them.

A resample is a vector of counts: how often each distinct row was drawn. A chunk of resamples is a
matrix of counts, and every metric is a few sums along its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calib_metrics.bins import bin_index, run_starts
from calib_metrics.calibration import gap_norm, log_losses

# Draws held at once: 4 MB of counts stay in the processor's cache. No result depends on it.
_CHUNK = 500_000


class Table(NamedTuple):
    """The distinct (confidence, correct) rows, sorted, those without a confidence (NaN) last."""

    confidence: NDArray[np.float64]
    correct: NDArray[np.float64]
    first: NDArray[np.int64]  # where each distinct row first stands among the sorted rows
    of_row: NDArray[np.int64]  # which distinct row each sorted row is
    answered: int  # how many distinct rows have a confidence: they come first


def distinct_rows(confidence: NDArray[np.float64], correct: NDArray[np.float64]) -> Table:
    """Return the distinct rows of columns sorted by `check_rows`."""
    missing = np.isnan(confidence)
    value = np.where(missing, 2.0, confidence)  # NaN != NaN, but two missing rows are alike
    new = np.ones(value.size, dtype=bool)
    new[1:] = (np.diff(value) != 0) | (np.diff(correct) != 0)
    first = np.flatnonzero(new)
    return Table(
        confidence[first], correct[first], first, np.cumsum(new) - 1, int(np.sum(new & ~missing))
    )


def resampled_counts(table: Table, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield counts, (some resamples, distinct rows), until there were `resamples` of them.

    Each resample draws as many rows as there are, each with equal probability, by
    `numpy.random.default_rng(seed)`.
    """
    rng = np.random.default_rng(seed)
    rows, columns = table.of_row.size, table.first.size
    chunk = max(1, _CHUNK // rows)
    for done in range(0, resamples, chunk):
        size = min(chunk, resamples - done)
        drawn = rng.integers(0, rows, size=(size, rows), dtype=np.int32)
        cell = table.of_row[drawn] if columns < rows else drawn
        cell = cell + np.arange(size)[:, None] * columns
        yield np.bincount(cell.ravel(), minlength=size * columns).reshape(size, columns)


def resampled_metric(
    name: str, table: Table, *, bins: int, strategy: str, norm: str
) -> Callable[[NDArray[np.int64]], NDArray[np.float64]]:
    """Return the function that takes counts to the metric's value in each resample.

    Rows without a confidence count for "acc" and "answered" alone. Bin edges are those of the full
    sample: a resample moves rows between being drawn or not, never between bins.
    """
    if name == "acc":
        return lambda counts: _mean(counts, table.correct)
    if name == "answered":
        return lambda counts: _mean(counts, 1.0 - np.isnan(table.confidence))

    used = slice(0, table.answered)
    confidence, correct = table.confidence[used], table.correct[used]
    if name == "auroc":
        return lambda counts: _auroc(counts[:, used], confidence, correct)
    if name == "brier":
        squares = (confidence - correct) ** 2
        return lambda counts: _mean(counts[:, used], squares)
    if name == "nll":
        losses = log_losses(confidence, correct)
        return lambda counts: _mean(counts[:, used], losses)

    rows = table.confidence[table.of_row]
    index = bin_index(rows[~np.isnan(rows)], bins, strategy)[table.first[used]]
    start, norm = run_starts(index), "l2" if name == "rms" else norm
    return lambda counts: _ece(counts[:, used], correct - confidence, start, norm)


def _mean(counts: NDArray[np.int64], value: NDArray[np.float64]) -> NDArray[np.float64]:
    infinite = np.isinf(value)  # 0 draws of an infinite loss are 0, not NaN
    total = np.sum(counts * np.where(infinite, 0.0, value), axis=1)
    total[counts[:, infinite].any(axis=1)] = np.inf
    return _divide(total, np.sum(counts, axis=1))


def _ece(
    counts: NDArray[np.int64], gap: NDArray[np.float64], start: NDArray[np.int64], norm: str
) -> NDArray[np.float64]:
    in_bin = np.add.reduceat(counts, start, axis=1)
    with np.errstate(invalid="ignore"):
        error = gap_norm(np.add.reduceat(counts * gap, start, axis=1), in_bin, norm)
    return np.where(in_bin.any(axis=1), error, np.nan)


def _auroc(
    counts: NDArray[np.int64], confidence: NDArray[np.float64], correct: NDArray[np.float64]
) -> NDArray[np.float64]:
    # Columns ascend, and a wrong row stands just before the right row it ties with. So the running
    # count of wrong draws, seen from a right row, is those below plus those tied: twice it, less
    # the tied ones, counts a tie as half a pair. All in integers, hence exact.
    right = correct == 1
    wrong_so_far = np.cumsum(counts * ~right, axis=1)
    twice_won = 2 * np.einsum("rk,rk,k->r", counts, wrong_so_far, right.astype(np.int64))
    tied = np.flatnonzero(right[1:] & ~right[:-1] & (np.diff(confidence) == 0))
    twice_won -= np.sum(counts[:, tied] * counts[:, tied + 1], axis=1)
    wrong = wrong_so_far[:, -1]
    return _divide(twice_won, 2 * wrong * (np.sum(counts, axis=1) - wrong))


def _divide(over: NDArray, under: NDArray) -> NDArray[np.float64]:
    """Return over / under, NaN where `under` is 0: the metric is undefined in that resample."""
    return np.divide(over, under, out=np.full(under.shape, np.nan), where=under != 0)


def percentile_interval(
    values: NDArray[np.float64], level: float
) -> tuple[float, float, float]:
    """Return (low, high, standard error) of the resampled `values`, leaving out NaN.

    The percentile interval of that `level`: of the resampled values, the nearest ones at or
    outside the two quantiles. The standard error is their standard deviation (ddof 1).
    """
    values = values[~np.isnan(values)]
    if values.size < 2:
        return np.nan, np.nan, np.nan
    # Whole order statistics, since interpolating between infinite values gives NaN.
    low = np.quantile(values, (1 - level) / 2, method="lower")
    high = np.quantile(values, (1 + level) / 2, method="higher")
    spread = np.std(values, ddof=1) if np.isfinite(values).all() else np.inf
    return float(low), float(high), float(spread)
