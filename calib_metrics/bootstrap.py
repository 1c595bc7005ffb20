"""Building blocks of the bootstrap: a metric as a function of how often each row was drawn.

A chunk of resamples is a matrix of counts, and a metric is a few sums along its rows: there is no
loop over resamples. Bins and bandwidths are those of the full sample: a resample changes how often
a row is drawn, never its bin.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calib_metrics.bins import run_starts
from calib_metrics.cells import Cells, Drawn, divide

Floats = NDArray[np.float64]


def answered_cells(cells: Cells) -> tuple[Floats, Floats]:
    """Return confidence and correct of the cells that have a confidence."""
    return cells.confidence[: cells.answered], cells.correct[: cells.answered]


def answered_rows(cells: Cells) -> tuple[Floats, Floats]:
    """Return confidence and correct of the sample's rows that have a confidence."""
    confidence, correct = answered_cells(cells)
    size = cells.size[: cells.answered]
    return np.repeat(confidence, size), np.repeat(correct, size)


def resampled_mean(
    row_values: Callable[[Floats, Floats], Floats],
) -> Callable[[Cells], Callable[[Drawn], Floats]]:
    """Return the `resampled` function of a metric that is a mean over rows."""

    def resampled(cells: Cells) -> Callable[[Drawn], Floats]:
        value = row_values(*answered_cells(cells))
        infinite = np.isinf(value)  # 0 draws of an infinite loss are 0, not NaN
        finite = np.where(infinite, 0.0, value)

        def mean(drawn: Drawn) -> Floats:
            total = drawn.known @ finite
            if infinite.any():
                total[drawn.known[:, infinite].any(axis=1)] = np.inf
            return divide(total, drawn.n)

        return mean

    return resampled


def totals_by_bin(index: NDArray[np.int64], columns: Floats) -> Callable[[Drawn], list[Floats]]:
    """Return a function that sums each column, (cells, columns), over the draws in each bin.

    index: the bin of each cell, -1 for none. The sums are one array (resamples, bins) per column.
    """
    order = np.argsort(index, kind="stable")[np.sum(index < 0) :]
    start = run_starts(index[order])
    ends = np.append(start, order.size)[1:]
    sorted_already = np.array_equal(order, np.arange(index.size))
    columns = columns[order]

    def totals(drawn: Drawn) -> list[Floats]:
        known = drawn.known if sorted_already else drawn.known[:, order]
        sums = np.empty((start.size, len(known), columns.shape[1]))  # a mode may lose every row
        for place, (first, end) in enumerate(zip(start, ends, strict=True)):
            sums[place] = known[:, first:end] @ columns[first:end]
        return list(sums.transpose(2, 1, 0))

    return totals


def step_dot(one: Floats, other: Floats) -> Floats:
    """Return the sum over the steps of one * other, in each resample."""
    return np.einsum("rk,rk->r", one, other)
