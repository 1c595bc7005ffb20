"""What the numbers of a column mean: probabilities, percent, ratings, or an order alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_choice
from calib_metrics.registry import METRICS, check_metrics, find

# By what a number is divided to be a probability; None: nothing makes it one.
_DIVISORS = {"probability": 1.0, "percent": 100.0, "ten": 10.0, "rank": None}
SCALES = tuple(_DIVISORS)


def to_confidence(values: ArrayLike, scale: str) -> NDArray[np.float64]:
    """Return a column of numbers as confidences in [0, 1], None and NaN as NaN.

    scale: "probability" changes nothing. "percent" and "ten" divide by 100 and by 10; values
    outside 0 to 100 or 0 to 10 are errors. "rank" keeps only the order: of k distinct values, the
    i-th from below (from 1) becomes i / (k + 1). Any numbers will do, infinite ones too. Higher
    must mean more confident, so negate entropies and losses first. Then only metrics of the order
    (`check_order_metrics`) are meaningful. Raises ValueError for another scale, and for values that
    the scale does not have.

    >>> to_confidence([-2.5, 0.1, None, -2.5, 7], "rank")
    array([0.25, 0.5 ,  nan, 0.25, 0.75])
    """
    check_choice(scale, "scale", SCALES)
    numbers = np.asarray(values, dtype=np.float64)
    divisor = _DIVISORS[scale]
    if divisor is None:
        return _ranks(numbers)
    if scale == "probability":
        return numbers
    given = numbers[~np.isnan(numbers)]
    # Rounding errors are left to the check of confidences, and to --clip_rounding.
    slack = 1e-3 * divisor
    if given.size and not (given.min() >= -slack and given.max() <= divisor + slack):
        raise ValueError(
            f"confidence runs from {given.min():.10g} to {given.max():.10g}, which the scale "
            f"'{scale}' does not: it runs from 0 to {divisor:g}. Choose another scale; 'rank' "
            "takes any numbers, for metrics of their order."
        )
    return numbers / divisor


def check_order_metrics(metrics: Sequence[str]) -> None:
    """Raise ValueError if a metric depends on more of the confidences than their order."""
    values = [name for name in check_metrics(metrics) if not of_order(name)]
    if values:
        possible = ", ".join(name for name in METRICS if of_order(name))
        raise ValueError(
            f"{', '.join(values)}: the scale 'rank' says that the scores are no probabilities, so "
            f"only their order can be scored: {possible}."
        )


def of_order(name: str) -> bool:
    """Whether a metric depends on the confidences at most through their order."""
    metric = find(name).metric
    return metric.of_order or metric.all_rows


def _ranks(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    given = ~np.isnan(numbers)
    distinct, position = np.unique(numbers[given], return_inverse=True)
    ranks = np.full(numbers.shape, np.nan)
    # Strictly inside (0, 1), so that the worst case of a missing score lies beyond all others.
    ranks[given] = (position + 1) / (distinct.size + 1)
    return ranks
