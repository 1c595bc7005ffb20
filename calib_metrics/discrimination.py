"""Discrimination: are the right answers the confident ones?"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from calib_metrics._checks import check_rows


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
    right, wrong = confidence[correct == 1], confidence[correct == 0]
    if right.size == 0 or wrong.size == 0:
        only = "wrong" if right.size == 0 else "right"
        warnings.warn(
            f"AUROC is undefined (NaN): all {confidence.size} answers are {only}, "
            "and it needs at least one right and one wrong.",
            stacklevel=2,
        )
        return float("nan")
    below = np.searchsorted(wrong, right, side="left")
    up_to = np.searchsorted(wrong, right, side="right")
    return float(np.sum(below + up_to) / (2 * right.size * wrong.size))


def accuracy(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Share of correct answers, in [0, 1]. Takes both columns, as the other metrics do.

    Raises ValueError on bad input.
    """
    return float(np.mean(check_rows(confidence, correct)[1]))
