"""Conformal sets for multiple choice: sets of options with a guaranteed rate of right ones.

    conformal = fit_conformal(calibration_probabilities, calibration_gold, score="lac", alpha=0.1)
    conformal.sets(probabilities)                         # which options, for each question
    conformal_scores(conformal, probabilities, gold)      # coverage, size, UAcc with intervals

If the calibration questions and those of the sets are exchangeable, a set holds the right option
with a probability of at least 1 - alpha, whatever the model. The guarantee is an average over all
questions, not for each subject: score the parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_choice, check_groups
from calib_metrics.multiclass import Probabilities, top_label
from calib_metrics.scores import Score, resample
from calib_metrics.signature import SIGNATURE_VERSION, Options, check_method

Floats = NDArray[np.float64]
SCORES = ("lac", "aps")
CONFORMAL_METRICS = ("coverage", "size", "uacc")
_SLACK = 1e-12  # sums of the same probabilities in another order differ by less


@dataclass(frozen=True)
class Conformal:
    """A fitted rule for sets; make one with `fit_conformal`.

    score: "lac" or "aps". alpha: the share of questions whose set may miss the right option.
    threshold: options of a score up to it are in the set; inf: all options are. n: the number of
    calibration questions.
    """

    score: str
    alpha: float
    threshold: float
    n: int

    def sets(self, probabilities: Probabilities) -> list[NDArray[np.bool_]]:
        """Return for each question which of its options are in the set.

        A set is never empty: if no option's score is low enough, the most probable one is in it.
        probabilities: as in `calib_metrics.top_label`. Raises ValueError on bad input.
        """
        top_label(probabilities, np.zeros(len(probabilities), int))  # checks them
        found = []
        for row in probabilities:
            values = np.asarray(row, dtype=np.float64)
            inside = option_scores_of(values, self.score) <= self.threshold + _SLACK
            if not inside.any():
                inside[np.argmax(values)] = True
            found.append(inside)
        return found


def fit_conformal(
    probabilities: Probabilities, gold: ArrayLike, *, score: str = "lac", alpha: float = 0.1
) -> Conformal:
    """Find the threshold on the options' scores from calibration questions.

    With n questions it is the k-th smallest score of a right option, k = ceil((n + 1)(1 - alpha)),
    and inf if k is above n, so that the guarantee also holds after few questions.

    score: "lac" takes 1 - p (Sadinle et al., JASA 2019): the smallest sets on average. "aps" takes
    the sum of all probabilities of at least p (Romano et al., NeurIPS 2020, without their random
    part): sets that are large where the model is unsure. alpha: in (0, 1).
    probabilities, gold: as in `calib_metrics.top_label`. Raises ValueError on bad input.
    Source: Vovk et al., Algorithmic Learning in a Random World, 2005; for language models Ye et
    al., Benchmarking LLMs via Uncertainty Quantification, NeurIPS 2024, whose published code takes
    the score after the k-th (`numpy.quantile(..., method="higher")`), which covers a little more.
    """
    check_choice(score, "score", SCORES)
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha!r}: give a share between 0 and 1, such as 0.1.")
    top_label(probabilities, gold)  # checks both
    right = [
        option_scores_of(np.asarray(row, dtype=np.float64), score)[place]
        for row, place in zip(probabilities, np.asarray(gold), strict=True)
    ]
    n = len(right)
    rank = math.ceil((n + 1) * (1 - alpha) - 1e-9)
    threshold = math.inf if rank > n else float(np.sort(right)[rank - 1])
    return Conformal(score, float(alpha), threshold, n)


def option_scores_of(probabilities: Floats, score: str) -> Floats:
    """Return the conformity score of each option of one question; low fits well.

    >>> option_scores_of(np.array([0.5, 0.2, 0.3]), "aps")
    array([0.5, 1. , 0.8])
    """
    if score == "lac":
        return 1 - probabilities
    at_least = probabilities[None, :] >= probabilities[:, None]
    return at_least @ probabilities


def conformal_scores(
    conformal: Conformal,
    probabilities: Probabilities,
    gold: ArrayLike,
    *,
    method: str = "",
    groups: Sequence[object] | NDArray[np.object_] | None = None,
    resamples: int = 1000,
    interval: str = "percentile",
    seed: int = 0,
) -> dict[str, Score]:
    """Score the sets of other questions than those of the fit, with bootstrap intervals.

    "lac_coverage" (or "aps_..."): the share of sets that hold the right option. It should be at
    least 1 - alpha. "lac_size": the mean number of options in a set; smaller is better.
    "lac_uacc": accuracy / size * sqrt(K), K the mean number of options (Ye et al. 2024).

    The intervals are about the questions scored here, for the given threshold. The other arguments
    are those of `calib_metrics.score`. Raises ValueError on bad input.
    """
    check_method(method)
    options = Options(resamples=resamples, interval=interval, seed=seed)
    correct = top_label(probabilities, gold)[1]
    sets = conformal.sets(probabilities)
    places = np.asarray(gold)
    held = np.array([inside[place] for inside, place in zip(sets, places, strict=True)])
    columns = np.stack(
        [held, [inside.sum() for inside in sets], correct, [inside.size for inside in sets]], axis=1
    ).astype(np.float64)
    labels = np.zeros(len(sets), np.int64) if groups is None else check_groups(groups, len(sets))
    # Sorted, so that the draws do not depend on the order of the questions.
    order = np.lexsort((labels, *columns.T))
    columns = columns[order]
    unit = np.arange(len(sets)) if groups is None else labels[order]

    def statistic(counts: Floats) -> dict[str, Floats]:
        drawn = counts[:, unit]
        return _values(drawn @ columns / drawn.sum(axis=1, keepdims=True))

    values = {name: float(each[0]) for name, each in _values(columns.mean(axis=0)[None]).items()}
    units = int(unit.max()) + 1
    found = resample(statistic, values, units, options) if units > 1 else {}
    scores = {}
    for name in CONFORMAL_METRICS:
        full = f"{conformal.score}_{name}"
        parts = [full, f"alpha:{conformal.alpha:g}", f"threshold:{conformal.threshold:.6g}"]
        parts += [f"fit_n:{conformal.n}"] + [f"conf:{method}"] * bool(method)
        parts += [f"n:{len(sets)}", f"v:{SIGNATURE_VERSION}"]
        if resamples:
            parts += [f"boot:{resamples}", f"seed:{seed}"]
            parts += [] if groups is None else [f"clusters:{units}"]
            parts += [] if interval == "percentile" else [f"interval:{interval}"]
        low, high, error = found.get(name, (math.nan,) * 3)
        better = name != "size"
        scores[full] = Score(
            full, values[name], low, high, error, len(sets), 0, better, "|".join(parts)
        )
    return scores


def _values(means: Floats) -> dict[str, Floats]:
    """Return the metrics, given the means of held, size, correct and the number of options."""
    coverage, size, accuracy, options = means.T
    return {"coverage": coverage, "size": size, "uacc": accuracy / size * np.sqrt(options)}
