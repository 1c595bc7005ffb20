"""Scores of all options' probabilities in multiple choice, for any number of options per row."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics.calibration import ece

_SUM_TOLERANCE = 1e-3  # a softmax in half precision, or printed to four digits, sums to this near 1

Probabilities = Sequence[ArrayLike]


def top_label(
    probabilities: Probabilities, gold: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (confidence, correct) of the most probable option of each question.

    probabilities: n rows, one probability per option, each in [0, 1] and each row summing to 1
    (within 0.001; nothing is rescaled); rows may differ in length. gold: (n,), the position of the
    right option, from 0. Of equally probable options the first is the answer, as in numpy.argmax.
    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. Raises ValueError on bad input.

    >>> top_label([[0.7, 0.3], [0.2, 0.5, 0.3]], [0, 2])
    (array([0.7, 0.5]), array([1, 0]))
    """
    flat, start, gold = _check(probabilities, gold)
    top = np.maximum.reduceat(flat, start)
    row = np.repeat(np.arange(start.size), np.diff(start, append=flat.size))
    at_top = np.flatnonzero(flat == top[row])
    _, first = np.unique(row[at_top], return_index=True)
    return top, (at_top[first] == start + gold).astype(np.int64)


def top_label_ece(
    probabilities: Probabilities,
    gold: ArrayLike,
    *,
    bins: int = 10,
    strategy: str = "width",
    norm: str = "l1",
) -> float:
    """ECE of the most probable option: `ece` of `top_label`, with the same arguments and errors.

    Source: Guo et al., ICML 2017 ("confidence calibration").
    """
    return ece(*top_label(probabilities, gold), bins=bins, strategy=strategy, norm=norm)


def classwise_ece(
    probabilities: Probabilities,
    gold: ArrayLike,
    *,
    bins: int = 10,
    strategy: str = "width",
    norm: str = "l1",
) -> float:
    """ECE of each position (first option, second ...) on its own, averaged over the positions.

    For position k: `ece` of its probability against being the right option, over the rows that
    have that many options. Every position has the same weight. Arguments and errors as in
    `top_label`; bins, strategy, norm as in `ece`. Returns a value in [0, 1]; 0 is best.
    Source: Kull et al., NeurIPS 2019.
    """
    flat, start, gold = _check(probabilities, gold)
    length = np.diff(start, append=flat.size)
    errors = []
    for k in range(length.max()):
        has = length > k
        errors.append(
            ece(flat[start[has] + k], gold[has] == k, bins=bins, strategy=strategy, norm=norm)
        )
    return float(np.mean(errors))


def multiclass_brier(probabilities: Probabilities, gold: ArrayLike) -> float:
    """Brier score of all options: mean over rows of sum_k (p_k - [k is right])^2.

    Arguments and errors as in `top_label`. Returns a value in [0, 2]; 0 is best. With two options
    it is twice the `brier` of either. Source: Brier, Monthly Weather Review 1950.

    >>> round(multiclass_brier([[0.7, 0.3]], [0]), 6)
    0.18
    """
    flat, start, gold = _check(probabilities, gold)
    target = np.zeros(flat.size)
    target[start + gold] = 1.0
    return math.fsum((flat - target) ** 2) / start.size  # exact, hence the same in any order


def multiclass_nll(probabilities: Probabilities, gold: ArrayLike) -> float:
    """Negative log-likelihood in nats: mean over rows of -ln of the right option's probability.

    Arguments and errors as in `top_label`. Returns a value in [0, inf]; 0 is best, and a right
    option of probability 0 makes it inf: nothing is clipped.
    """
    flat, start, gold = _check(probabilities, gold)
    with np.errstate(divide="ignore"):  # -ln 0 = inf is meant
        # 0.0 - x, since the NLL of certainty is 0.0 rather than -0.0
        return math.fsum(0.0 - np.log(flat[start + gold])) / start.size


def _check(
    probabilities: Probabilities, gold: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return all probabilities in one array, where each row starts in it, and gold as integers."""
    rows = _rows(probabilities)
    gold = np.asarray(gold)
    if len(rows) == 0:
        raise ValueError("probabilities is empty: give at least one question.")
    if gold.ndim != 1 or gold.size != len(rows):
        raise ValueError(
            f"probabilities has {len(rows)} rows and gold has shape {gold.shape}: "
            "give one right option per row."
        )
    if gold.dtype.kind not in "iu":
        raise ValueError("gold must hold whole numbers: the position of the right option, from 0.")
    length = np.array([row.size for row in rows])
    _refuse(length == 0, "is empty: give each question at least one option.")
    flat, start = np.concatenate(rows), np.cumsum(length) - length
    outside = ~((flat >= 0) & (flat <= 1))  # NaN too
    _refuse(
        np.logical_or.reduceat(outside, start),
        "holds a value outside [0, 1]: give probabilities, not logits or percent.",
    )
    _refuse(
        np.abs(np.add.reduceat(flat, start) - 1) > _SUM_TOLERANCE,
        "does not sum to 1: give the probabilities of all options, normalised.",
    )
    _refuse((gold < 0) | (gold >= length), "has no option at the position that gold gives.")
    return flat, start, gold.astype(np.int64)


def _rows(probabilities: Probabilities) -> list[NDArray[np.float64]]:
    rows = []
    for i, row in enumerate(probabilities):
        array = np.asarray(row)
        if array.ndim != 1 or array.dtype.kind not in "biuf":
            raise ValueError(f"Row {i} of probabilities must be a list of numbers, one per option.")
        rows.append(array.astype(np.float64))
    return rows


def _refuse(bad: NDArray[np.bool_], why: str) -> None:
    if bad.any():
        raise ValueError(f"Row {int(np.argmax(bad))} of probabilities {why}")
