"""Selective prediction: scores when only the most confident answers are given."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_rows
from calib_metrics.bins import run_starts
from calib_metrics.cells import Cells, Drawn, divide
from calib_metrics.metric import Metric, Resampled

SLACK = 1e-9  # of a row: 0.7 * 10 is 7.000000000000001 in floating point, and means 7


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The risk-coverage curve, a point for each distinct confidence, from high to low.

    coverage: share of answers of at least that confidence. risk: share of those that are wrong.
    threshold: the confidence.
    """

    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]
    threshold: NDArray[np.float64]


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """Risk (error rate) among the answers given, for every threshold on the confidence.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. Answers of equal confidence are given or
    withheld together. The last point has coverage 1 and the overall error rate.
    Raises ValueError on bad input.
    Source: El-Yaniv & Wiener, JMLR 2010.

    >>> risk_coverage([0.2, 0.6, 0.6, 0.9], [0, 0, 1, 1]).risk
    array([0.        , 0.33333333, 0.5       ])
    """
    confidence, correct = check_rows(confidence, correct)
    value, given, wrong = _from_above(confidence, correct)
    return RiskCoverage(given / confidence.size, wrong / given, value)


def _from_above(
    confidence: NDArray[np.float64], correct: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the distinct confidences, descending, and the answers and errors at or above each."""
    start = run_starts(confidence)
    wrong = np.cumsum(np.add.reduceat(1 - correct, start)[::-1])
    return confidence[start][::-1], (confidence.size - start)[::-1], wrong


def _expected_errors(
    confidence: NDArray[np.float64], correct: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the errors among the k most confident answers, k = 1..n, on average over ties."""
    _, given, wrong = _from_above(confidence, correct)
    # Each tied answer is any of them with equal chance, so errors grow linearly along a tie.
    return np.interp(np.arange(1, confidence.size + 1), np.append(0, given), np.append(0, wrong))


def aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under the risk-coverage curve: mean over k = 1..n of the risk of the k most confident.

    Where the k-th answer is tied with others, the risk is the average over all their orders: the
    result depends neither on the order of the rows nor on the method of sorting.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. Returns a value in [0, 1]; 0 is best. It
    mixes accuracy with ranking: a constant confidence scores the error rate (see `excess_aurc`
    and `prr`). Raises ValueError on bad input.
    Source: Geifman et al., ICLR 2019.

    >>> round(aurc([0.2, 0.6, 0.6, 0.9], [0, 0, 1, 1]), 6)  # (0 + 1/4 + 1/3 + 1/2) / 4
    0.270833
    """
    confidence, correct = check_rows(confidence, correct)
    return float(np.mean(_expected_errors(confidence, correct) / np.arange(1, correct.size + 1)))


def excess_aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """AURC minus that of the ideal ranking, which puts every right answer above every wrong one.

    The ideal is that of the sample, the mean over k of max(0, k - P) / k with P right answers;
    Geifman et al. approximate it by r + (1 - r) ln(1 - r), r the error rate.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. Returns a value in [0, 1]; 0 is best, and
    always the result if all answers are right or all wrong. Raises ValueError on bad input.
    Source: Geifman et al., ICLR 2019 (E-AURC).
    """
    confidence, correct = check_rows(confidence, correct)
    return max(0.0, aurc(confidence, correct) - _ideal_aurc(correct))


def _ideal_aurc(correct: NDArray[np.float64]) -> float:
    given = np.arange(1, correct.size + 1)
    return float(np.mean(np.maximum(0, given - np.sum(correct)) / given))


def prr(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Prediction rejection ratio: the achieved share of the possible gain over a random ranking.

    (A_random - AURC) / (A_random - A_ideal): A_random is the error rate, A_ideal as in
    `excess_aurc`. Risk is that of the answers kept; Malinin & Gales count errors per answer asked
    instead, replacing rejected answers by right ones, which gives other numbers.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. Returns a value up to 1, the ideal ranking;
    0 is chance, negative is worse. When all answers are right or all wrong no ranking is better
    than another: NaN, and a UserWarning that says so. Raises ValueError on bad input.
    Source: Malinin & Gales, ICLR 2021.
    """
    confidence, correct = check_rows(confidence, correct)
    if np.all(correct == correct[0]):
        warnings.warn(
            f"PRR is undefined (NaN): all {correct.size} answers are "
            f"{'right' if correct[0] else 'wrong'}, so every ranking is as good as any other.",
            stacklevel=2,
        )
        return math.nan
    chance = float(np.mean(1 - correct))
    return (chance - aurc(confidence, correct)) / (chance - _ideal_aurc(correct))


def selective_accuracy(
    confidence: ArrayLike, correct: ArrayLike, *, coverage: float = 0.8
) -> float:
    """Accuracy of the most confident answers, a share `coverage` of all answers.

    These are the ceil(coverage * n) most confident; if the cut falls among ties, the average over
    their orders. confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. coverage: in (0, 1]. Returns
    a value in [0, 1]; 1 is best. Raises ValueError on bad input.
    Source: Geifman & El-Yaniv, NeurIPS 2017.
    """
    _check_share(coverage, "coverage")
    confidence, correct = check_rows(confidence, correct)
    given = max(1, math.ceil(coverage * correct.size - SLACK))
    return float(1 - _expected_errors(confidence, correct)[given - 1] / given)


def coverage_at_accuracy(
    confidence: ArrayLike, correct: ArrayLike, *, accuracy: float = 0.9
) -> float:
    """Largest share of answers that a confidence threshold can keep at this accuracy or more.

    A threshold gives or withholds equal confidences together. confidence: (n,) in [0, 1].
    correct: (n,) in {0, 1}. accuracy: in (0, 1]. Returns a value in [0, 1]; 1 is best, 0 means that
    no threshold reaches the accuracy. Raises ValueError on bad input.
    Source: El-Yaniv & Wiener, JMLR 2010.
    """
    _check_share(accuracy, "accuracy")
    confidence, correct = check_rows(confidence, correct)
    _, given, wrong = _from_above(confidence, correct)
    enough = given[given - wrong >= accuracy * given - SLACK]
    return float(enough[-1] / confidence.size) if enough.size else 0.0


def _check_share(value: float, name: str) -> None:
    if isinstance(value, bool) or not 0 < value <= 1:
        raise ValueError(f"{name} is {value!r}: give a share above 0 and up to 1, such as 0.8.")


def _resampled_aurc(cells: Cells) -> Resampled:
    return lambda drawn: drawn.aurc


def _drawn_ideal(drawn: Drawn) -> NDArray[np.float64]:
    """AURC of the ranking with every right answer on top: mean over k of max(0, k - right) / k."""
    harmonic = drawn.harmonic(drawn.n.max(initial=0))
    right, n = drawn.n_right.astype(np.int64), drawn.n.astype(np.int64)
    return divide(n - right - right * (harmonic[n] - harmonic[right]), n)


def _resampled_excess_aurc(cells: Cells) -> Resampled:
    return lambda drawn: np.maximum(0.0, drawn.aurc - _drawn_ideal(drawn))  # NaN stays NaN


def _resampled_prr(cells: Cells) -> Resampled:
    def ratio(drawn: Drawn) -> NDArray[np.float64]:
        right = drawn.n_right
        chance = divide(drawn.n - right, drawn.n)
        both = (right > 0) & (right < drawn.n)
        gain = np.where(both, chance - _drawn_ideal(drawn), 0.0)
        return divide(chance - drawn.aurc, gain)

    return ratio


def _resampled_accuracy(cells: Cells, coverage: float) -> Resampled:
    def accuracy(drawn: Drawn) -> NDArray[np.float64]:
        given = np.maximum(1, np.ceil(coverage * drawn.n - SLACK))
        step = np.minimum(np.sum(drawn.totals < given[:, None], axis=1), drawn.totals.shape[1] - 1)
        at = (np.arange(len(step)), step)
        # The last step may be given in part: then its right answers count in that proportion.
        part = divide(given - (drawn.totals[at] - drawn.total[at]), drawn.total[at])
        return (drawn.rights[at] - drawn.right[at] + part * drawn.right[at]) / given

    return accuracy


def _resampled_coverage(cells: Cells, accuracy: float) -> Resampled:
    def coverage(drawn: Drawn) -> NDArray[np.float64]:
        needed = drawn.array("needed", drawn.totals.shape[1])
        np.multiply(drawn.totals, accuracy, out=needed)
        needed -= SLACK
        most = np.max(drawn.totals, axis=1, where=drawn.rights >= needed, initial=0.0)
        return divide(most, drawn.n)

    return coverage


METRICS = (
    Metric(
        "aurc",
        "AURC",
        aurc,
        _resampled_aurc,
        higher_is_better=False,
        of_order=True,
        worst_case="monotone",
        module="aurc",
    ),
    Metric(
        "excess_aurc",
        "Excess AURC",
        excess_aurc,
        _resampled_excess_aurc,
        higher_is_better=False,
        of_order=True,
        worst_case="monotone",
    ),
    Metric(
        "prr",
        "PRR",
        prr,
        _resampled_prr,
        higher_is_better=True,
        of_order=True,
        lowest=-math.inf,
        worst_case="monotone",
        module="prr",
    ),
    Metric(
        "selective_accuracy",
        "Selective accuracy",
        selective_accuracy,
        _resampled_accuracy,
        higher_is_better=True,
        of_order=True,
        share=("coverage", 0.8),
    ),
    Metric(
        "coverage_at_accuracy",
        "Coverage at accuracy",
        coverage_at_accuracy,
        _resampled_coverage,
        higher_is_better=True,
        of_order=True,
        share=("accuracy", 0.9),
    ),
)
