"""Calibration: is the confidence the probability of being right?"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

from calib_metrics._checks import check_choice, check_count, check_rows, check_unsorted
from calib_metrics.bins import STRATEGIES, bin_index, bin_sums
from calib_metrics.bootstrap import answered_cells, answered_rows, resampled_mean, totals_by_bin
from calib_metrics.cells import Cells, Drawn
from calib_metrics.metric import BINNING, Metric, Resampled

NORMS = ("l1", "l2", "max")
_PART = 1 << 20  # rows whose values are held at once
RowValues = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def ece(
    confidence: ArrayLike,
    correct: ArrayLike,
    *,
    bins: int = 10,
    strategy: str = "width",
    norm: str = "l1",
    debias: bool = False,
) -> float:
    """Expected calibration error: the gap between confidence and accuracy, averaged over bins.

    With g_b = |accuracy - mean confidence| in bin b, which holds n_b of the n rows:
    l1: sum_b (n_b / n) g_b. l2: sqrt(sum_b (n_b / n) g_b^2). max: max_b g_b.

    confidence: (n,) in [0, 1], the probability that the answer is correct. correct: (n,) in {0, 1}.
    bins, strategy: as in `reliability_bins`. Returns a value in [0, 1]; 0 is best. A perfectly
    calibrated model scores above 0 in a finite sample (about 0.10 at n = 100 with 10 bins; see
    `noise_floor`).

    debias subtracts an estimate of that excess. With the bin's accuracy a_b:
    l2: subtracts a_b (1 - a_b) / (n_b - 1) from each g_b^2; a bin of one row, whose noise cannot be
    estimated, contributes 0. l1: twice the plain value minus its expected value if each accuracy
    were normal around a_b with variance a_b (1 - a_b) / n_b; where that variance is 0, as in a bin
    of one row, g_b is unchanged. A negative result counts as 0. Not defined for "max".

    Raises ValueError on bad input. The order of the rows does not matter.

    Sources: Naeini et al., AAAI 2015; Guo et al., ICML 2017 (15 bins); for debias, Kumar et al.,
    NeurIPS 2019; for strategy "sweep", Roelofs et al., AISTATS 2022.

    >>> round(ece([0.95, 1.0], [1, 0]), 6)
    0.475
    """
    bins = check_count(bins, "bins", 1)
    check_choice(strategy, "strategy", STRATEGIES)
    check_choice(norm, "norm", NORMS)
    if debias and norm == "max":
        raise ValueError('debias is not defined for norm "max": choose norm "l1" or "l2".')
    if strategy == "width":
        sums = bin_sums(*check_unsorted(confidence, correct), bins)
    else:
        confidence, correct = check_rows(confidence, correct)
        index = bin_index(confidence, bins, strategy, correct)
        sums = bin_sums(confidence, correct, int(index[-1]) + 1, index)
    if debias:
        return float(debiased_norm(sums.gap, sums.count, sums.right, norm))
    return float(gap_norm(sums.gap, sums.count, norm))


def rms_calibration_error(
    confidence: ArrayLike,
    correct: ArrayLike,
    *,
    bins: int = 10,
    strategy: str = "width",
    debias: bool = False,
) -> float:
    """Root mean square calibration error, `rms` in tables: `ece` with norm "l2".

    Large gaps weigh more than in `ece`, and the result is never below it. Same arguments and
    errors. Source: Hendrycks et al., ICLR 2019 (with bins of equal mass).
    """
    return ece(confidence, correct, bins=bins, strategy=strategy, norm="l2", debias=debias)


def max_calibration_error(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 10, strategy: str = "width"
) -> float:
    """Maximum calibration error, `mce` in tables: the largest gap of a bin, `ece` with norm "max".

    One sparse bin can determine it, so it is noisy. It is never below `rms_calibration_error`. Same
    arguments and errors as `ece`. Source: Naeini et al., AAAI 2015.
    """
    return ece(confidence, correct, bins=bins, strategy=strategy, norm="max")


def brier(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Brier score: mean of (confidence - correct)^2, in [0, 1]; 0 is best.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. Raises ValueError on bad input.
    Source: Brier, Monthly Weather Review 1950.
    """
    return _mean_of(_squares, *check_rows(confidence, correct))


def _squares(confidence: NDArray[np.float64], correct: NDArray[np.float64]) -> NDArray[np.float64]:
    gap = confidence - correct
    return np.square(gap, out=gap)


def nll(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Negative log-likelihood in nats: mean of -ln(c) if correct, -ln(1 - c) if not; c: confidence.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. Returns a value in [0, inf]; 0 is best.
    A single wrong answer at confidence 1, or right answer at confidence 0, makes it inf: this is
    the definition of the score, and nothing is clipped. Raises ValueError on bad input.
    """
    return _mean_of(log_losses, *check_rows(confidence, correct))


def log_losses(
    confidence: NDArray[np.float64], correct: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return each row's negative log-likelihood."""
    with np.errstate(divide="ignore"):  # -ln 0 = inf is meant
        return -np.where(correct == 1, np.log(confidence), np.log1p(-confidence))


def _mean_of(
    values: RowValues, confidence: NDArray[np.float64], correct: NDArray[np.float64]
) -> float:
    """Return the mean of `values(confidence, correct)`, without an array of all of them."""
    return _sum_of(values, confidence, correct) / confidence.size


def _sum_of(
    values: RowValues, confidence: NDArray[np.float64], correct: NDArray[np.float64]
) -> float:
    """Sum by halves, as NumPy does: at a multiple of eight, so that no bit differs from its sum."""
    if confidence.size <= _PART:
        return float(np.sum(values(confidence, correct)))
    half = confidence.size // 2
    half -= half % 8
    return _sum_of(values, confidence[:half], correct[:half]) + _sum_of(
        values, confidence[half:], correct[half:]
    )


def gap_norm(gap: NDArray[np.float64], count: NDArray[np.int64], norm: str) -> NDArray[np.float64]:
    """Reduce the last axis, one entry per bin, to a calibration error.

    gap: sum of (correct - confidence) over the bin's rows. count: rows in the bin, 0 allowed.
    """
    rows = np.maximum(count, 1)  # an empty bin has gap 0
    if norm == "max":
        return np.max(np.abs(gap) / rows, axis=-1)
    if norm == "l2":
        return np.sqrt(np.sum(gap**2 / rows, axis=-1) / np.sum(count, axis=-1))
    return np.sum(np.abs(gap), axis=-1) / np.sum(count, axis=-1)


def debiased_norm(
    gap: NDArray[np.float64], count: NDArray[np.int64], right: NDArray[Any], norm: str
) -> NDArray[np.float64]:
    """Reduce the last axis as `gap_norm` does, minus the estimated excess described in `ece`.

    right: right answers in the bin. norm: "l1" or "l2".
    """
    rows = np.maximum(count, 1)
    accuracy, gap = right / rows, np.abs(gap) / rows
    variance = accuracy * (1 - accuracy)
    if norm == "l2":
        term = np.where(count > 1, gap**2 - variance / np.maximum(rows - 1, 1), 0.0)
        return np.sqrt(np.maximum(np.sum(count * term, axis=-1) / np.sum(count, axis=-1), 0.0))
    # The mean of |N(gap, spread^2)|, a folded normal variable; without spread it is the gap.
    spread = np.sqrt(variance / rows)
    z = np.divide(gap, spread, out=np.full(gap.shape, np.inf), where=spread > 0)
    expected = spread * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + gap * erf(z / np.sqrt(2))
    return np.maximum(np.sum(count * (2 * gap - expected), axis=-1) / np.sum(count, axis=-1), 0.0)


def _resampled_ece(cells: Cells, bins: int, strategy: str, norm: str, debias: bool) -> Resampled:
    confidence, correct = answered_cells(cells)
    rows, outcomes = answered_rows(cells)
    index = bin_index(rows, bins, strategy, outcomes)[cells.first[: cells.answered]]
    columns = [correct - confidence, np.ones(index.size)] + [correct] * debias
    totals = totals_by_bin(index, np.stack(columns, axis=1))
    reduce: Callable[..., NDArray[np.float64]] = debiased_norm if debias else gap_norm

    def calibration_error(drawn: Drawn) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore"):
            error = reduce(*totals(drawn), norm=norm)
        return np.where(drawn.n > 0, error, np.nan)

    return calibration_error


def _describe_bins(bins: int, strategy: str, norm: str, debias: bool) -> list[str]:
    parts = [] if strategy == "sweep" else [f"bins:{bins}"]
    return [*parts, f"strategy:{strategy}", f"norm:{norm}", *["debias:yes"] * debias]


def _calibration_error(name: str, title: str, norm: str | None, **facts: Any) -> Metric:
    fixed = {} if norm is None else {"norm": norm}
    return Metric(
        name,
        title,
        ece,
        _resampled_ece,
        higher_is_better=False,
        options=BINNING,
        fixed=fixed,
        describe=_describe_bins,
        chance_raises=True,
        **facts,
    )


METRICS = (
    _calibration_error("ece", "ECE", None, worst_case="binned", module="ece"),
    _calibration_error(
        "rms",
        "RMS error",
        "l2",
        documented=rms_calibration_error,
        module="rms_calibration_error",
    ),
    _calibration_error("mce", "Maximum error", "max", documented=max_calibration_error),
    Metric(
        "brier",
        "Brier",
        brier,
        resampled_mean(_squares),
        higher_is_better=False,
        row_values=_squares,
        worst_case="monotone",
        module="brier",
    ),
    Metric(
        "nll",
        "NLL",
        nll,
        resampled_mean(log_losses),
        higher_is_better=False,
        highest=math.inf,
        row_values=log_losses,
        worst_case="monotone",
        module="nll",
    ),
)
