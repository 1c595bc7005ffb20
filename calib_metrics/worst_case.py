"""Best and worst possible scores over all values of the missing confidences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_choice, check_count, check_pairs
from calib_metrics.bins import bin_index
from calib_metrics.calibration import ece
from calib_metrics.registry import METRICS, find

_BOUNDED = tuple(name for name, metric in METRICS.items() if metric.worst_case)


class Bounds(NamedTuple):
    """The best and the worst value of a metric over all values of the missing confidences."""

    best: float
    worst: float


def worst_case(confidence: ArrayLike, correct: ArrayLike, metric: str, *, bins: int = 10) -> Bounds:
    """Bounds of a metric over every way to fill in the missing confidences, each from [0, 1].

    If a model gives no number and the row is left out, this assumes that such rows are like the
    others. The bounds assume nothing; if they are far apart, too much is missing for a conclusion.
    Both are exact: brier, nll, auroc, average_precision, aurc, excess_aurc, prr and
    abstention_score are best at confidence = correct and worst at 1 - correct. For "ece" (l1,
    `bins` of equal width) rows may fall into any bin: the worst case puts all missing wrong answers
    into one bin and all missing right answers into one; the best case, an integer programme, spends
    them where they cancel the gaps of bins.

    confidence: (n,) in [0, 1], None or NaN where missing. correct: (n,) in {0, 1}.
    Raises ValueError on bad input and for other metrics.

    >>> worst_case([0.8, None], [1, 0], "brier")  # (0.04 + 0) / 2 and (0.04 + 1) / 2
    Bounds(best=0.02, worst=0.52)
    """
    columns = check_pairs(confidence, correct, allow_missing=True)
    worst = worst_confidence(*columns, metric, bins=bins)
    if find(metric).metric.worst_case == "binned":
        return Bounds(_best_ece(*columns, bins), ece(worst, columns[1], bins=bins))
    best = np.where(np.isnan(columns[0]), columns[1], columns[0])
    found, share = find(metric)
    options = found.parameters({}, share)
    values = (round(found.value(c, columns[1], **options), 15) for c in (best, worst))
    return Bounds(*values)


def worst_confidence(
    confidence: NDArray[np.float64],
    correct: NDArray[np.float64],
    metric: str,
    *,
    bins: int = 10,
    strategy: str = "width",
    norm: str = "l1",
    debias: bool = False,
) -> NDArray[np.float64]:
    """Return the confidences with the missing ones set so that the metric is at its worst.

    Raises ValueError if the worst case is unknown: for metrics that `worst_case` does not support,
    and for "ece" with a strategy other than "width", a norm other than l1, or debias.
    """
    check_choice(metric.partition("@")[0], "a metric with a worst case", _BOUNDED)
    missing = np.isnan(confidence)
    if find(metric).metric.worst_case == "monotone":
        return np.where(missing, 1 - correct, confidence)
    if (strategy, norm, debias) != ("width", "l1", False):
        raise ValueError(
            'The worst case of ece is known for strategy "width", norm "l1" and no debias only: '
            'choose those, or missing="exclude".'
        )
    gap = _gaps(confidence, correct, bins)
    # The error is convex in the missing rows' gaps, so it is largest at a corner: all wrong answers
    # at one end of one bin, all right answers at one end of one bin. Try every pair of corners.
    ends = np.concatenate([np.arange(bins) / bins, np.arange(1, bins + 1) / bins])
    ends[bins:-1] = np.nextafter(ends[bins:-1], 0)  # bins are open at the top, but for the last
    where = np.tile(np.arange(bins), 2)
    wrong, right = np.sum(missing & (correct == 0)), np.sum(missing & (correct == 1))
    change = np.zeros((2 * bins, bins))
    change[np.arange(2 * bins), where] = 1.0
    of_wrong, of_right = change * -(wrong * ends)[:, None], change * (right * (1 - ends))[:, None]
    error = np.abs(gap + of_wrong[:, None] + of_right[None, :]).sum(axis=-1)
    at_wrong, at_right = np.unravel_index(np.argmax(error), error.shape)
    filled = np.where(correct == 0, ends[at_wrong], ends[at_right])
    return np.where(missing, filled, confidence)


def _gaps(
    confidence: NDArray[np.float64], correct: NDArray[np.float64], bins: int
) -> NDArray[np.float64]:
    """Return the sum of correct - confidence in each bin, over the rows that are not missing."""
    bins = check_count(bins, "bins", 1)
    given = ~np.isnan(confidence)
    index = bin_index(confidence[given], bins, "width")
    gaps = correct[given] - confidence[given]
    # With weights the sums are floats, which NumPy's types do not say.
    return np.bincount(index, gaps, bins)  # type: ignore[return-value]


def _best_ece(confidence: NDArray[np.float64], correct: NDArray[np.float64], bins: int) -> float:
    from scipy.optimize import Bounds as Limits
    from scipy.optimize import LinearConstraint, milp

    gap = _gaps(confidence, correct, bins)
    missing = np.isnan(confidence)
    low, high = np.diag(np.arange(bins) / bins), np.diag(np.arange(1, bins + 1) / bins)
    one, none = np.eye(bins), np.zeros((1, bins))
    # Per bin: w missing wrong answers, each of which takes low to high off the gap, r right ones,
    # each of which adds 1 - high to 1 - low, and the absolute value e that is left. As many as are
    # missing have to be placed, and the sum of e is least.
    # e >= gap - high w + (1 - high) r,  e >= -gap + low w - (1 - low) r,  e >= 0.
    rules = [
        LinearConstraint(np.hstack([high, high - one, one]), lb=gap),
        LinearConstraint(np.hstack([-low, one - low, one]), lb=-gap),
    ]
    for counted, answer in enumerate((0, 1)):
        row = np.hstack([none + (counted == 0), none + (counted == 1), none])
        rows = np.sum(missing & (correct == answer))
        rules.append(LinearConstraint(row, rows, rows))
    found = milp(
        np.repeat([0.0, 0.0, 1.0], bins),
        integrality=np.repeat([1, 1, 0], bins),
        bounds=Limits(0, np.inf),
        constraints=rules,
    )
    if not found.success:
        raise RuntimeError(f"the best ece was not found: {found.message}")
    return float(max(0.0, found.fun) / confidence.size)
