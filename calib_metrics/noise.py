"""The calibration error of a perfectly calibrated model, which is due to chance alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_choice, check_count, check_rows
from calib_metrics.bins import STRATEGIES, bin_index, run_starts
from calib_metrics.calibration import NORMS, ece, gap_norm

_CHUNK = 2_000_000  # answers drawn at once; no result depends on it
# Right answers in a bin have this variance or more: their number is drawn from the normal
# distribution, whose mean absolute deviation is then right to about one part in 10,000.
_NORMAL = 1000.0


@dataclass(frozen=True)
class NoiseFloor:
    """Calibration error by chance: its mean, its upper quantile, and how they were simulated."""

    mean: float
    high: float
    draws: int
    seed: int


def noise_floor(
    confidence: ArrayLike,
    *,
    bins: int = 10,
    strategy: str = "width",
    norm: str = "l1",
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> NoiseFloor:
    """Simulate the `ece` of answers that are right exactly as often as the confidences say.

    Each draw makes every answer right with probability `confidence`, independently, and computes
    the ECE. An observed ECE below `high` is no evidence of miscalibration at the level 1 - `level`;
    even a perfectly calibrated model scores about `mean`.

    confidence: (n,) in [0, 1]. bins, strategy, norm: as in `ece`. draws: simulations, at least 1.
    level: `high` is that quantile of the draws, in (0, 1). seed: of `numpy.random.default_rng`.
    Does not depend on the order of the rows. Strategy "sweep" chooses its bins anew in each draw
    and is slow. Raises ValueError on bad input.
    Source: Bröcker & Smith, Weather and Forecasting 2007 (consistency resampling).
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level!r}: give a share between 0 and 1, such as 0.95.")
    errors = noise_errors(
        confidence, bins=bins, strategy=strategy, norm=norm, draws=draws, seed=seed
    )
    high = np.quantile(errors, level, method="higher")
    return NoiseFloor(float(np.mean(errors)), float(high), errors.size, seed)


def noise_errors(
    confidence: ArrayLike,
    *,
    bins: int = 10,
    strategy: str = "width",
    norm: str = "l1",
    draws: int = 1000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Return the simulated ECEs, (draws,), behind `noise_floor`; same arguments and errors.

    The share that reach an observed ECE is its p-value against perfect calibration.
    """
    confidence, _ = check_rows(confidence, np.zeros(np.shape(confidence)))
    bins, draws = check_count(bins, "bins", 1), check_count(draws, "draws", 1)
    seed = check_count(seed, "seed", 0)
    check_choice(strategy, "strategy", STRATEGIES)
    check_choice(norm, "norm", NORMS)
    rng = np.random.default_rng(seed)
    if strategy == "sweep":
        right = (rng.random(confidence.size) < confidence for _ in range(draws))
        return np.array([ece(confidence, r, strategy=strategy, norm=norm) for r in right])
    return _draw_errors(confidence, bin_index(confidence, bins, strategy), norm, draws, rng)


def _draw_errors(
    confidence: NDArray[np.float64],
    index: NDArray[np.int64],
    norm: str,
    draws: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    start = run_starts(index)
    count = np.diff(start, append=confidence.size)
    mean = np.add.reduceat(confidence, start)
    variance = np.add.reduceat(confidence * (1 - confidence), start)
    gap = rng.normal(0.0, np.sqrt(variance), (draws, start.size))
    few = variance < _NORMAL
    drawn = confidence[np.repeat(few, count)]
    size, ends = max(1, _CHUNK // max(1, drawn.size)), np.cumsum(count[few])
    for done in range(0, draws if drawn.size else 0, size):
        rows = slice(done, min(done + size, draws))
        right = rng.random((rows.stop - done, drawn.size)) < drawn
        each_bin = np.split(right, ends[:-1], axis=1)
        count_right = np.stack([np.count_nonzero(part, axis=1) for part in each_bin], axis=1)
        gap[rows, few] = count_right - mean[few]
    return gap_norm(gap, count, norm)
