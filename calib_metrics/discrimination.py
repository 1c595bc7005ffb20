"""Discrimination: are the right answers the confident ones?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_rows
from calib_metrics.bins import run_starts
from calib_metrics.bootstrap import step_dot
from calib_metrics.cells import Cells, Drawn, divide
from calib_metrics.metric import Metric, Resampled

_CHUNK = 1 << 20
_TWO_OF_EACH = "at least two right and two wrong"


def auroc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under the ROC curve: P(a right answer has more confidence than a wrong one), ties half.

    With P right and N wrong answers: (1 / PN) * sum over pairs of [c+ > c-] + [c+ = c-] / 2.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. Returns a value in [0, 1]; 0.5 is chance.
    With only right or only wrong answers it is undefined: NaN, and a UserWarning that says so.
    Raises ValueError on bad input.
    Source: Hanley & McNeil, Radiology 1982.

    >>> auroc([0.2, 0.6, 0.6, 0.9], [0, 0, 1, 1])
    0.875
    """
    confidence, correct = check_rows(confidence, correct)
    right = int(np.count_nonzero(correct))
    wrong = confidence.size - right
    if right == 0 or wrong == 0:
        _warn_of_classes("AUROC", right, wrong, "at least one right and one wrong")
        return math.nan
    wins = below = 0  # in halves; wrong answers of less confidence
    for rows in _runs(confidence):  # a part at a time, which takes less memory
        start = run_starts(confidence[rows])
        rights = np.add.reduceat(correct[rows], start, dtype=np.int64)
        wrongs = np.diff(start, append=rows.stop - rows.start) - rights
        beaten = np.cumsum(wrongs) - wrongs + below
        wins += int(np.dot(rights, 2 * beaten + wrongs))
        below += int(wrongs.sum())
    return wins / (2 * right * wrong)


def _runs(confidence: NDArray[np.float64]) -> Iterator[slice]:
    """Yield consecutive parts of sorted rows that leave equal confidences together."""
    begin = 0
    while begin < confidence.size:
        end = min(begin + _CHUNK, confidence.size)
        end = int(np.searchsorted(confidence, confidence[end - 1], side="right"))
        yield slice(begin, end)
        begin = end


def accuracy(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Share of correct answers, in [0, 1]. Takes both columns, as the other metrics do.

    Raises ValueError on bad input.
    """
    return float(np.mean(check_rows(confidence, correct)[1]))


def average_precision(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Average precision, the area under the precision-recall curve as a step function.

    For each distinct confidence t, let p_t be the share of right answers among those of confidence
    at least t, and r_t the share of the right answers with confidence exactly t: the sum of
    p_t r_t. Answers of equal confidence enter together, so their order does not matter.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. Returns a value in (0, 1]; chance is the
    accuracy. Without a right answer it is undefined: NaN, and a UserWarning that says so (scikit-
    learn returns 0). Raises ValueError on bad input.
    Source: Davis & Goadrich, ICML 2006; the definition is that of scikit-learn.

    >>> average_precision([0.2, 0.6, 0.6, 0.9], [0, 0, 1, 1])
    0.8333333333333333
    """
    confidence, correct = check_rows(confidence, correct)
    total = np.sum(correct)
    if total == 0:
        _warn_of_classes("Average precision", 0, confidence.size, "at least one right")
        return math.nan
    start = run_starts(confidence)
    right = np.add.reduceat(correct, start)
    right_from = np.cumsum(right[::-1])[::-1]  # of this confidence and above
    return float(np.sum(right_from / (confidence.size - start) * right) / total)


@dataclass(frozen=True)
class DeLong:
    """AUROC, its variance, and the interval low to high (NaN where undefined)."""

    auroc: float
    variance: float
    low: float
    high: float


@dataclass(frozen=True)
class DeLongDifference:
    """AUROC of a minus AUROC of b, its variance, z = difference / standard error, two-sided p."""

    difference: float
    variance: float
    z: float
    p: float


def delong(confidence: ArrayLike, correct: ArrayLike, *, level: float = 0.95) -> DeLong:
    """AUROC with DeLong's variance and normal interval: no resampling, O(n log n).

    With v_i the share of wrong answers below right answer i (ties half), u_j the share of right
    answers above wrong answer j, and P and N their numbers: var(v) / P + var(u) / N, where var
    divides by P - 1 and N - 1. The interval is auroc -+ z sqrt(variance), cut to [0, 1].

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. level: of the interval, in (0, 1).
    Fewer than two right or two wrong answers leave the variance undefined: NaN, and a UserWarning.
    At an AUROC of 0 or 1 the variance is 0 and the interval is a point; this is not certainty.
    Raises ValueError on bad input.
    Sources: DeLong et al., Biometrics 1988; Sun & Xu, IEEE Signal Processing Letters 2014.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level!r}: give a share between 0 and 1, such as 0.95.")
    confidence, correct = check_rows(confidence, correct)
    right = correct == 1
    above, below = _placements(confidence, right)
    area = float(np.mean(above)) if above.size and below.size else math.nan
    if min(above.size, below.size) < 2:
        _warn_of_classes("DeLong's variance", above.size, below.size, _TWO_OF_EACH)
        return DeLong(area, math.nan, math.nan, math.nan)
    variance = float(np.var(above, ddof=1) / above.size + np.var(below, ddof=1) / below.size)
    reach = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(variance)
    return DeLong(area, variance, max(0.0, area - reach), min(1.0, area + reach))


def delong_difference(
    confidence_a: ArrayLike, confidence_b: ArrayLike, correct: ArrayLike
) -> DeLongDifference:
    """DeLong's paired test: do two confidences of the same answers differ in AUROC?

    The variance is that of `delong` for the differences v_a - v_b and u_a - u_b, which includes
    the covariance of the two areas. p is two-sided from the normal distribution. Two confidences
    that rank all answers alike have difference 0, variance 0, z 0 and p 1.

    confidence_a, confidence_b: (n,) in [0, 1], row by row of the same answers. correct: (n,) in
    {0, 1}. Fewer than two right or two wrong answers: NaN, and a UserWarning that says so.
    Raises ValueError on bad input.
    Source: DeLong et al., Biometrics 1988.
    """
    check_rows(confidence_a, correct)
    check_rows(confidence_b, correct)
    a, b = np.asarray(confidence_a, np.float64), np.asarray(confidence_b, np.float64)
    right = np.asarray(correct) == 1
    order = np.lexsort((right, b, a))  # so that no sum depends on the order of the rows
    a, b, right = a[order], b[order], right[order]
    above_a, below_a = _placements(a, right)
    above_b, below_b = _placements(b, right)
    above, below = above_a - above_b, below_a - below_b
    if min(above.size, below.size) < 2:
        _warn_of_classes("DeLong's test", above.size, below.size, _TWO_OF_EACH)
        difference = float(np.mean(above)) if above.size and below.size else math.nan
        return DeLongDifference(difference, math.nan, math.nan, math.nan)
    difference = float(np.mean(above))
    variance = float(np.var(above, ddof=1) / above.size + np.var(below, ddof=1) / below.size)
    if variance > 0:
        z = difference / math.sqrt(variance)
    else:
        z = math.copysign(math.inf, difference) if difference else 0.0
    return DeLongDifference(difference, variance, z, math.erfc(abs(z) / math.sqrt(2)))


def _placements(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of wrong answers below each right one, and of right answers above each wrong one."""
    of_right, of_wrong = confidence[right], confidence[~right]
    if of_right.size == 0 or of_wrong.size == 0:
        return np.full(of_right.size, np.nan), np.full(of_wrong.size, np.nan)
    return _share_below(of_wrong, of_right), 1 - _share_below(of_right, of_wrong)


def _share_below(others: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    others = np.sort(others)
    below = np.searchsorted(others, values, side="left")
    up_to = np.searchsorted(others, values, side="right")
    return (below + up_to) / (2 * others.size)


def _warn_of_classes(what: str, right: int, wrong: int, need: str) -> None:
    if min(right, wrong) == 0:
        seen = f"all {right + wrong} answers are {'wrong' if right == 0 else 'right'}"
    else:
        seen = f"{right} of {right + wrong} answers are right"
    warnings.warn(f"{what} is undefined (NaN): {seen}, and it needs {need}.", stacklevel=3)


def _resampled_auroc(cells: Cells) -> Resampled:
    def area(drawn: Drawn) -> NDArray[np.float64]:
        # A right answer wins against the wrong ones below its step and half of those at it. Counted
        # twice and with the right ones added, which cancel: all answers twice, less those down to
        # the step and those down to the step before.
        right = drawn.n_right
        rank = 2 * step_dot(drawn.right, drawn.totals) - step_dot(drawn.right, drawn.total)
        return divide(right * (2 * drawn.n - right) - rank, 2 * right * (drawn.n - right))

    return area


def _resampled_average_precision(cells: Cells) -> Resampled:
    def area(drawn: Drawn) -> NDArray[np.float64]:
        precision = drawn.array("precision", drawn.totals.shape[1])
        np.maximum(drawn.totals, 1.0, out=precision)
        np.divide(drawn.rights, precision, out=precision)
        return divide(step_dot(drawn.right, precision), drawn.n_right)

    return area


METRICS = (
    Metric(
        "auroc",
        "AUROC",
        auroc,
        _resampled_auroc,
        higher_is_better=True,
        of_order=True,
        worst_case="monotone",
        module="auroc",
    ),
    Metric(
        "average_precision",
        "Average precision",
        average_precision,
        _resampled_average_precision,
        higher_is_better=True,
        of_order=True,
        worst_case="monotone",
        module="average_precision",
    ),
)
