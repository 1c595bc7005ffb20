"""The rows of a sample, with equal rows merged, and the counts of a chunk of resamples."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calib_metrics.bins import run_starts

Floats = NDArray[np.float64]


class Cells(NamedTuple):
    """The sorted (confidence, correct) rows, with equal rows merged and missing confidences last.

    first: the sorted row at which each cell begins. size: its rows. answered: how many cells have a
    confidence; they come first. unit: the unit that the bootstrap draws, for each sorted row; the
    rows of a group are one unit. None means that row i is unit i.
    """

    confidence: Floats
    correct: Floats
    first: NDArray[np.int64]
    size: NDArray[np.int64]
    answered: int
    unit: NDArray[np.int64] | None

    @property
    def units(self) -> int:
        """Number of units."""
        return int(self.size.sum() if self.unit is None else self.unit.max() + 1)

    @property
    def units_answered(self) -> int:
        """Number of units that have a row with a confidence."""
        rows = int(self.size[: self.answered].sum())
        return rows if self.unit is None else np.unique(self.unit[:rows]).size


def make_cells(
    confidence: Floats,
    correct: Floats,
    unit: NDArray[np.int64] | None = None,
    *,
    merge: bool = True,
) -> Cells:
    """Return the cells of columns sorted by `check_rows`.

    Equal rows are merged if that at least halves their number. Without `merge` each row is a cell.
    """
    missing = np.isnan(confidence)
    value = np.where(missing, 2.0, confidence)  # NaN != NaN, but two missing rows are alike
    new = np.ones(confidence.size, dtype=bool)
    new[1:] = (np.diff(value) != 0) | (np.diff(correct) != 0)
    if not merge or 2 * np.sum(new) > new.size:
        new[:] = True
    first = np.flatnonzero(new)
    return Cells(
        confidence[first],
        correct[first],
        first,
        np.diff(first, append=confidence.size),
        int(np.sum(new & ~missing)),
        unit,
    )


class Drawn:
    """How often each cell was drawn in each of several resamples, and sums that metrics share.

    A step is a distinct confidence, from the highest down. Arrays have shape (resamples, cells or
    steps), hold whole numbers as floats, and are overwritten by the next `load`: allocating new
    ones would take longer than filling them.
    """

    def __init__(self, cells: Cells):
        self._cells = cells
        self._correct = cells.correct[: cells.answered]
        self._steps = run_starts(cells.confidence[: cells.answered])
        self._harmonic = harmonic_numbers(0)
        self._arrays: dict[str, Floats] = {}

    def load(self, of_units: Floats) -> Drawn:
        """Load the counts of the units, (resamples, units), and return self."""
        for name in ("n", "n_right", "total", "right", "totals", "rights", "aurc"):
            self.__dict__.pop(name, None)  # the cached properties below
        cells, rows, self._length = self._cells, of_units, len(of_units)
        if cells.unit is not None:
            out = self.array("rows", cells.unit.size)
            rows = np.take(of_units, cells.unit, axis=1, out=out, mode="clip")
        if cells.first.size < rows.shape[1]:
            out = self.array("cells", cells.first.size)
            rows = np.add.reduceat(rows, cells.first, axis=1, out=out)
        self.every = rows
        self.known = rows[:, : cells.answered]
        return self

    def array(self, name: str, columns: int) -> Floats:
        """Return an array (resamples, columns) to write to; a name always gets the same memory."""
        kept = self._arrays.get(name)
        if kept is None or len(kept) < self._length:
            kept = self._arrays[name] = np.empty((self._length, columns))
        return kept[: self._length]

    @cached_property
    def n(self) -> Floats:
        """Rows with a confidence, (resamples,)."""
        return self.known.sum(axis=1)

    @cached_property
    def n_right(self) -> Floats:
        """Right answers among them, (resamples,)."""
        return self.known @ self._correct

    @cached_property
    def total(self) -> Floats:
        """Rows at each step."""
        return self._by_step(self.known, "total")

    @cached_property
    def right(self) -> Floats:
        """Right answers at each step."""
        out = self.array("right cells", self._correct.size)
        return self._by_step(np.multiply(self.known, self._correct, out=out), "right")

    def _by_step(self, counts: Floats, name: str) -> Floats:
        if self._steps.size < counts.shape[1]:
            out = self.array(name, self._steps.size)
            counts = np.add.reduceat(counts, self._steps, axis=1, out=out)
        return counts[:, ::-1]

    @cached_property
    def totals(self) -> Floats:
        """Rows down to each step, inclusive."""
        return np.cumsum(self.total, axis=1, out=self.array("totals", self._steps.size))

    @cached_property
    def rights(self) -> Floats:
        """Right answers down to each step, inclusive."""
        return np.cumsum(self.right, axis=1, out=self.array("rights", self._steps.size))

    @cached_property
    def aurc(self) -> Floats:
        """Area under the risk-coverage curve, (resamples,); `excess_aurc` and `prr` need it too.

        With C rows and E errors before a step of m rows, a share r of them wrong, the j-th row of
        the step has the expected risk (E + j r) / (C + j); their sum over j = 1..m is
        m r + (E - r C) (H(C + m) - H(C)), H the harmonic numbers. E - r C is also C (1 - r) less
        the right answers before the step, and 1 - r the share of right answers at it.
        """
        steps = self._steps.size
        share = np.maximum(self.total, 1.0, out=self.array("share", steps))
        np.divide(self.right, share, out=share)
        share[self.total == 0] = 0.0
        weight = np.subtract(self.totals, self.total, out=self.array("weight", steps))
        weight *= share
        weight -= self.rights
        weight += self.right
        places = self.totals.astype(np.int64)
        harmonic = self.harmonic(self.n.max(initial=0))
        rises = np.take(harmonic, places, out=share, mode="clip")
        area = np.einsum("rk,rk->r", weight, rises)
        area -= np.einsum("rk,rk->r", weight[:, 1:], rises[:, :-1])
        return divide(area + self.n - self.n_right, self.n)

    def harmonic(self, largest: float) -> Floats:
        """Return the harmonic numbers H(0) = 0, H(1) = 1, ... up to at least H(largest)."""
        if self._harmonic.size <= largest:
            self._harmonic = harmonic_numbers(largest)
        return self._harmonic


def harmonic_numbers(largest: float) -> Floats:
    """Return H(0) = 0, H(1) = 1, ..., up to H(largest)."""
    return np.append(0.0, np.cumsum(1.0 / np.arange(1, int(largest) + 1)))


def divide(over: NDArray[Any], under: NDArray[Any]) -> Floats:
    """Return over / under, NaN where `under` is 0: the metric is undefined in that resample."""
    return np.divide(over, under, out=np.full(np.shape(under), np.nan), where=under != 0)
