"""Every metric of `score` as a function of how often each distinct row was drawn.

A chunk of resamples is a matrix of counts, and a metric is a few sums along its rows: there is no
loop over resamples. What the full sample decides (bins, the bandwidth of a kernel) stays fixed: a
resample moves rows between being drawn or not, never between bins.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calib_metrics.bins import bin_index, run_starts
from calib_metrics.calibration import debiased_norm, gap_norm, log_losses
from calib_metrics.cells import Cells, Drawn, divide
from calib_metrics.compat import prepare
from calib_metrics.selective import SLACK
from calib_metrics.smooth import grid_size, smooth_ece_bandwidth, smooth_residual, to_grid

BINNED = {"ece": None, "rms": "l2", "mce": "max"}  # and the norm, where the name says which
AT = {"selective_accuracy": ("coverage", 0.8), "coverage_at_accuracy": ("accuracy", 0.9)}

Values = NDArray[np.float64]
Resampled = Callable[[Drawn], Values]


def resampled_metric(name: str, cells: Cells, options: dict) -> Resampled:
    """Return the function that takes the draws to the metric's value in each resample.

    options: bins, strategy, norm and debias of `ece`. Rows without a confidence count for "acc" and
    "answered" alone; the other metrics are NaN where none with a confidence was drawn.
    """
    confidence, correct = _known(cells)
    kind, _, share = name.partition("@")
    if name == "acc":
        return lambda drawn: drawn.every @ cells.correct / drawn.every.sum(axis=1)
    if name == "answered":
        return lambda drawn: drawn.n / drawn.every.sum(axis=1)
    if name == "brier":
        return _mean((confidence - correct) ** 2)
    if name == "nll":
        return _mean(log_losses(confidence, correct))
    if name == "smooth_ece":
        return _smooth(cells)
    if name.startswith("ece:"):
        return _compat(cells, name.removeprefix("ece:"))
    if name in BINNED:
        return _binned(cells, **{**options, "norm": BINNED[name] or options["norm"]})
    if kind in AT:
        return lambda drawn: _RANKED[kind](drawn, float(share or AT[kind][1]))
    return _RANKED[kind]




def _known(cells: Cells) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return cells.confidence[: cells.answered], cells.correct[: cells.answered]


def _rows(cells: Cells) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sample's rows with a confidence."""
    confidence, correct = _known(cells)
    size = cells.size[: cells.answered]
    return np.repeat(confidence, size), np.repeat(correct, size)


def _mean(value: NDArray[np.float64]) -> Resampled:
    infinite = np.isinf(value)  # 0 draws of an infinite loss are 0, not NaN
    finite = np.where(infinite, 0.0, value)

    def mean(drawn: Drawn) -> Values:
        total = drawn.known @ finite
        if infinite.any():
            total[drawn.known[:, infinite].any(axis=1)] = np.inf
        return divide(total, drawn.n)

    return mean


def _binned(cells: Cells, bins: int, strategy: str, norm: str, debias: bool) -> Resampled:
    confidence, correct = _known(cells)
    rows, outcomes = _rows(cells)
    index = bin_index(rows, bins, strategy, outcomes)[cells.first[: cells.answered]]
    columns = [correct - confidence, np.ones(index.size)] + [correct] * debias
    totals = _totals_by_bin(index, np.stack(columns, axis=1))
    reduce = debiased_norm if debias else gap_norm

    def calibration_error(drawn: Drawn) -> Values:
        with np.errstate(invalid="ignore"):
            error = reduce(*totals(drawn), norm=norm)
        return np.where(drawn.n > 0, error, np.nan)

    return calibration_error


def _compat(cells: Cells, mode: str) -> Resampled:
    gap, index, reduce = prepare(*_rows(cells), mode)  # rows are cells here: see make_cells
    totals = _totals_by_bin(index, np.stack([gap, np.ones(gap.size)], axis=1))

    def calibration_error(drawn: Drawn) -> Values:
        with np.errstate(invalid="ignore", divide="ignore"):
            error = reduce(*totals(drawn), drawn.n)
        return np.where(drawn.n > 0, error, np.nan)

    return calibration_error


def _totals_by_bin(
    index: NDArray[np.int64], columns: NDArray[np.float64]
) -> Callable[[Drawn], list[Values]]:
    """Return the function that sums each column, (cells, columns), over the draws in each bin.

    index: the bin of each cell, -1 for none. The sums are one array (resamples, bins) per column.
    """
    order = np.argsort(index, kind="stable")[np.sum(index < 0) :]
    start = run_starts(index[order])
    ends = np.append(start[1:], order.size)
    sorted_already = np.array_equal(order, np.arange(index.size))
    columns = columns[order]

    def totals(drawn: Drawn) -> list[Values]:
        known = drawn.known if sorted_already else drawn.known[:, order]
        parts = [known[:, a:b] @ columns[a:b] for a, b in zip(start, ends)]  # a loop over bins
        return list(np.stack(parts).transpose(2, 1, 0))

    return totals


def _smooth(cells: Cells) -> Resampled:
    confidence, correct = _known(cells)
    bandwidth = smooth_ece_bandwidth(*_rows(cells))
    points = grid_size(bandwidth)
    cell, upper = to_grid(confidence, points)
    start = run_starts(cell)
    place = cell[start]
    lower_residual = (correct - confidence) * (1 - upper)
    upper_residual = (correct - confidence) * upper

    def smooth_ece(drawn: Drawn) -> Values:
        residuals = drawn.array("residuals", cell.size)
        sums = np.zeros((len(drawn.n), points))
        np.multiply(drawn.known, lower_residual, out=residuals)
        sums[:, place] = np.add.reduceat(residuals, start, axis=1)
        np.multiply(drawn.known, upper_residual, out=residuals)
        sums[:, place + 1] += np.add.reduceat(residuals, start, axis=1)
        return divide(smooth_residual(sums, bandwidth), drawn.n)

    return smooth_ece


def _auroc(drawn: Drawn) -> Values:
    # A right answer wins against the wrong ones below its step and half of those at it. Counted
    # twice and with the right ones added, which cancel: all answers twice, less those down to the
    # step and those down to the step before.
    right = drawn.n_right
    rank = 2 * _dot(drawn.right, drawn.totals) - _dot(drawn.right, drawn.total)
    return divide(right * (2 * drawn.n - right) - rank, 2 * right * (drawn.n - right))


def _dot(one: Values, other: Values) -> Values:
    return np.einsum("rk,rk->r", one, other)


def _average_precision(drawn: Drawn) -> Values:
    precision = np.maximum(drawn.totals, 1.0, out=drawn.array("precision", drawn.totals.shape[1]))
    np.divide(drawn.rights, precision, out=precision)
    return divide(_dot(drawn.right, precision), drawn.n_right)


def _ideal_aurc(drawn: Drawn) -> Values:
    """AURC of the ranking with every right answer on top: mean over k of max(0, k - right) / k."""
    harmonic = drawn.harmonic(drawn.n.max(initial=0))
    right, n = drawn.n_right.astype(np.int64), drawn.n.astype(np.int64)
    return divide(n - right - right * (harmonic[n] - harmonic[right]), n)


def _excess_aurc(drawn: Drawn) -> Values:
    return np.maximum(0.0, drawn.aurc - _ideal_aurc(drawn))  # NaN stays NaN


def _prr(drawn: Drawn) -> Values:
    right = drawn.n_right
    chance = divide(drawn.n - right, drawn.n)
    both = (right > 0) & (right < drawn.n)
    return divide(chance - drawn.aurc, np.where(both, chance - _ideal_aurc(drawn), 0.0))


def _selective_accuracy(drawn: Drawn, coverage: float) -> Values:
    given = np.maximum(1, np.ceil(coverage * drawn.n - SLACK))
    step = np.minimum(np.sum(drawn.totals < given[:, None], axis=1), drawn.totals.shape[1] - 1)
    at = (np.arange(len(step)), step)
    # The last step may be given in part: then its right answers count in that proportion.
    part = divide(given - (drawn.totals[at] - drawn.total[at]), drawn.total[at])
    return (drawn.rights[at] - drawn.right[at] + part * drawn.right[at]) / given


def _coverage_at_accuracy(drawn: Drawn, accuracy: float) -> Values:
    needed = np.multiply(drawn.totals, accuracy, out=drawn.array("needed", drawn.totals.shape[1]))
    needed -= SLACK
    most = np.max(drawn.totals, axis=1, where=drawn.rights >= needed, initial=0.0)
    return divide(most, drawn.n)


_RANKED: dict[str, Callable] = {
    "auroc": _auroc,
    "average_precision": _average_precision,
    "aurc": lambda drawn: drawn.aurc,
    "excess_aurc": _excess_aurc,
    "prr": _prr,
    "selective_accuracy": _selective_accuracy,
    "coverage_at_accuracy": _coverage_at_accuracy,
}
