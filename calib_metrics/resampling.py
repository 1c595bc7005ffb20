"""Bootstrap draws as counts: how often each unit was drawn, for many resamples at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtr

from calib_metrics.progress import counting

# Counts held at once: they stay in the processor's cache. The stream of random numbers is cut into
# chunks of this size, so it is part of what a seed means.
_CHUNK = 100_000
_LEVELS = 1 << 16
_UNCLEAR = -1.0


def draws(units: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield counts in chunks (some resamples, units), `resamples` in all.

    A resample draws `units` times, each unit with equal probability, with replacement: its counts
    are multinomial. Drawing indices and counting them is slow, so most counts are drawn directly.
    Independent Poisson counts whose sum is known to be N are multinomial for N draws; the missing
    units - N draws are then made one by one. The rate is three standard deviations below 1, so that
    N rarely exceeds `units`; if it does, the whole resample is drawn one by one.

    Counts are floats because they are only used in products. The next chunk overwrites the array.
    """
    rng = np.random.default_rng(seed)
    rate = max(0.0, 1 - 3 / np.sqrt(units))
    table, steps = _poisson_table(rate)
    rows = max(1, min(resamples, _CHUNK // units))
    buffer = np.empty((rows, units))
    for done in counting(range(0, resamples, rows), resamples, "resamples"):
        counts = buffer[: min(rows, resamples - done)]
        _fill_poisson(counts, rng, table, steps)
        short = units - counts.sum(axis=1).astype(np.int64)
        counts[short < 0] = 0
        short[short < 0] = units
        place = np.repeat(np.arange(len(counts)) * units, short)
        place += rng.integers(0, units, size=place.size)
        np.add.at(counts.reshape(-1), place, 1.0)
        yield counts


def _poisson_table(rate: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Poisson count for each 16-bit level of a uniform number, and the CDF.

    A level in which the distribution function steps does not determine the count.
    """
    steps = pdtr(np.arange(64), rate)  # beyond, 1 - CDF is below a double's precision
    count = np.searchsorted(steps, np.arange(_LEVELS + 1) / _LEVELS, side="right")
    return np.where(count[:-1] == count[1:], count[:-1], _UNCLEAR), steps


def _fill_poisson(
    counts: NDArray[np.float64],
    rng: np.random.Generator,
    table: NDArray[np.float64],
    steps: NDArray[np.float64],
) -> None:
    flat = counts.reshape(-1)
    words = rng.integers(0, 2**64 - 1, size=-(-flat.size // 4), dtype=np.uint64, endpoint=True)
    level = words.view(np.uint16)[: flat.size]
    table.take(level, out=flat, mode="clip")  # no level is out of range; "raise" would copy
    unclear = np.flatnonzero(flat < 0)  # a few in 10,000: look at further digits
    uniform = (level[unclear] + rng.random(unclear.size)) / _LEVELS
    flat[unclear] = np.searchsorted(steps, uniform, side="right")
