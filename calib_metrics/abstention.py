"""Answering only when sure enough: the points that a stated threshold gives."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from calib_metrics._checks import check_rows
from calib_metrics.bins import run_starts
from calib_metrics.bootstrap import resampled_mean
from calib_metrics.cells import Cells
from calib_metrics.metric import Floats, Metric, Resampled

THRESHOLDS = (0.5, 0.75, 0.9)  # those that Kalai et al. suggest


class Cutoff(NamedTuple):
    """A cutoff on the confidence, and the abstention score that it reached where it was fitted.

    Answers with a confidence above it are given; -inf gives all.
    """

    cutoff: float
    score: float


def penalty(threshold: float) -> float:
    """Points that a wrong answer costs: t / (1 - t), at which an answer pays if it is t sure.

    Raises ValueError unless t is in (0, 1).

    >>> penalty(0.75)
    3.0
    """
    number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if not number or not 0 < threshold < 1:
        raise ValueError(f"threshold is {threshold!r}: give a share between 0 and 1, such as 0.75.")
    return threshold / (1 - threshold)


def abstention_score(
    confidence: ArrayLike,
    correct: ArrayLike,
    *,
    threshold: float = 0.75,
    cutoff: float | None = None,
) -> float:
    """Mean points under "answer only if you are more than t sure", a wrong answer costing t/(1-t).

    An answer is given if its confidence is above t. A right answer that is given counts 1, a wrong
    one -t / (1 - t), one that is withheld 0. Whoever knows the probability of being right gets the
    most points by following the rule, so the score rewards confidences that are both calibrated
    around t and well separated.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. threshold: t, in (0, 1). cutoff: another
    limit than t above which answers are given, such as `best_cutoff` finds; it may be infinite.
    Returns a value in [-t / (1 - t), accuracy]; always abstaining gives 0. Raises ValueError on bad
    input.
    Source: Kalai et al., Why Language Models Hallucinate, 2025 (arXiv:2509.04664).

    >>> abstention_score([0.9, 0.8, 0.6], [1, 0, 0], threshold=0.75)  # (1 - 3 + 0) / 3
    -0.6666666666666666
    """
    confidence, correct = check_rows(confidence, correct)
    limit = threshold if cutoff is None else cutoff
    return float(np.mean(_points(confidence, correct, threshold, limit)))


def best_cutoff(confidence: ArrayLike, correct: ArrayLike, *, threshold: float = 0.75) -> Cutoff:
    """The cutoff on the confidence that gets the most points in these rows.

    Where confidences are not calibrated probabilities, the best cutoff is not t. Fit it on one
    split and score it on another: on these rows its score is too good.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. threshold: t, in (0, 1), which sets the
    price of a wrong answer. Between two confidences the cutoff lies halfway; of equally good ones
    the one nearest to t is taken. Raises ValueError on bad input.

    >>> best_cutoff([0.2, 0.3, 0.9], [0, 1, 1], threshold=0.5)
    Cutoff(cutoff=0.25, score=0.6666666666666666)
    """
    confidence, correct = check_rows(confidence, correct)
    start = run_starts(confidence)
    points = np.where(correct == 1, 1.0, -penalty(threshold))
    # Points of all answers from each distinct confidence upwards, then of none.
    gained = np.append(np.cumsum(np.add.reduceat(points, start)[::-1])[::-1], 0.0)
    distinct = confidence[start]
    halfway = (distinct[:-1] + distinct[1:]) / 2
    # Two neighbouring doubles have no midpoint; the lower one is then the cutoff.
    halfway = np.where(halfway < distinct[1:], halfway, distinct[:-1])
    cutoffs = np.concatenate([[-math.inf], halfway, distinct[-1:]])
    best = np.flatnonzero(gained >= gained.max() - 1e-9)
    at = best[np.argmin(np.abs(cutoffs[best] - threshold))]
    return Cutoff(float(cutoffs[at]), float(gained[at] / confidence.size))


def _points(confidence: Floats, correct: Floats, threshold: float, cutoff: float) -> Floats:
    price = penalty(threshold)
    return np.where(confidence > cutoff, np.where(correct == 1, 1.0, -price), 0.0)


def _resampled(cells: Cells, threshold: float) -> Resampled:
    return resampled_mean(lambda c, y: _points(c, y, threshold, threshold))(cells)


METRICS = (
    Metric(
        "abstention_score",
        "Abstention score",
        abstention_score,
        _resampled,
        higher_is_better=True,
        lowest=-math.inf,
        share=("threshold", 0.75),
        worst_case="monotone",
    ),
)
