"""Skill: how much better than always stating the same confidence?"""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_rows
from calib_metrics.bootstrap import answered_cells
from calib_metrics.cells import Cells, Drawn, divide
from calib_metrics.metric import Metric, Resampled


def brier_skill(
    confidence: ArrayLike, correct: ArrayLike, *, base_rate: float | None = None
) -> float:
    """Brier skill score: the share of a constant confidence's Brier score that is saved.

    1 - B / B_0, where B is the Brier score and B_0 that of always saying `base_rate`, on the same
    answers. With their accuracy a and base rate b, B_0 = a (1 - b)^2 + (1 - a) b^2.

    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. base_rate: in (0, 1], such as the accuracy
    in training; None for the share of right answers among these, the best constant in hindsight,
    where B_0 = a (1 - a). Returns a value up to 1, confidences that are always right; 0 is the
    constant, negative is worse than it. Where the constant makes no error, no confidence can be
    better: NaN, and a UserWarning that says so. Raises ValueError on bad input.
    Source: Murphy, Journal of Applied Meteorology 1973.

    >>> round(brier_skill([0.9, 0.6, 0.2, 0.4], [1, 1, 0, 0]), 6)  # 1 - 0.0925 / 0.25
    0.63
    """
    confidence, correct = check_rows(confidence, correct)
    _check_rate(base_rate)
    reference = float(_reference(np.asarray(np.mean(correct)), base_rate))
    if reference == 0:
        which = "right" if correct[0] else "wrong"
        warnings.warn(
            f"The Brier skill is undefined (NaN): all {correct.size} answers are {which}, so that "
            "a constant confidence makes no error.",
            stacklevel=2,
        )
        return math.nan
    return float(1 - np.mean((confidence - correct) ** 2) / reference)


def _reference(accuracy: NDArray[np.float64], base_rate: float | None) -> NDArray[np.float64]:
    """Return the Brier score of the constant."""
    rate = accuracy if base_rate is None else base_rate
    return accuracy * (1 - rate) ** 2 + (1 - accuracy) * rate**2


def _check_rate(base_rate: float | None) -> None:
    if base_rate is not None and (isinstance(base_rate, bool) or not 0 < base_rate <= 1):
        raise ValueError(
            f"base_rate is {base_rate!r}: give a share above 0 and up to 1, such as 0.4, or None."
        )


def _resampled_skill(cells: Cells, base_rate: float | None) -> Resampled:
    confidence, correct = answered_cells(cells)
    squares = (confidence - correct) ** 2

    def skill(drawn: Drawn) -> NDArray[np.float64]:
        reference = _reference(divide(drawn.n_right, drawn.n), base_rate)
        return 1 - divide(divide(drawn.known @ squares, drawn.n), reference)

    return skill


def _describe(base_rate: float | None) -> list[str]:
    return [f"base_rate:{'own' if base_rate is None else f'{base_rate:g}'}"]


METRICS = (
    Metric(
        "brier_skill",
        "Skill",
        brier_skill,
        _resampled_skill,
        higher_is_better=True,
        lowest=-math.inf,
        share=("base_rate", None),
        describe=_describe,
        worst_case="monotone",
    ),
)
