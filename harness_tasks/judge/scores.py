"""The values that lm-eval collects for each rated or graded answer, and their aggregation.

An unusable reply has ``parsed`` 0 and enters no other metric. The metrics against human labels
appear only in runs with labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from calib_metrics.lm_eval_hooks import mean_stderr
from harness_tasks.judge import agreement as human
from harness_tasks.judge.replies import read_confidence, read_rating, read_verdict

Doc = dict[str, Any]


def rating(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """The rating of one answer by one criterion, from 1 to 5, and against a human rating."""
    given = read_rating(results[0])
    return {
        **_twice({"rating": given}),
        "parsed": int(given is not None),
        **labelled(doc, _twice(_pairs(given, doc, "agreement", "kappa", "weighted_kappa"))),
    }


def expected_rating(doc: Doc, results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """The mean rating under the judge's own probabilities of the replies 1 to 5, and its spread.

    With p the softmax over the five log-likelihoods, rating = sum of r p_r, and spread is the
    standard deviation, sqrt(sum of (r - rating)^2 p_r), in [0, 2]. Human labels are compared with
    the likeliest whole rating (None for a tie), with its p as the judge's confidence; `spearman`
    takes the mean. Source: Liu et al. 2023 (G-Eval), who weigh ratings in this way.
    """
    logs = np.array([logprob for logprob, _ in results])
    mean = spread = likeliest = confidence = None
    if np.isfinite(logs.max()):  # else NaN, or none of them is possible
        ratings, shares = np.arange(1, len(logs) + 1), np.exp(logs - np.logaddexp.reduce(logs))
        mean = float(ratings @ shares)
        spread = math.sqrt((ratings - mean) ** 2 @ shares)
        best = np.flatnonzero(logs == logs.max())
        if len(best) == 1:
            likeliest, confidence = int(ratings[best[0]]), float(shares[best[0]])
    against_human = _pairs(likeliest, doc, "agreement", "kappa", "weighted_kappa")
    against_human |= _pairs(mean, doc, "spearman")
    return {
        **_twice({"rating": mean, "spread": spread}),
        "parsed": int(mean is not None),
        "answered": int(likeliest is not None),
        **labelled(doc, _twice(against_human | _calibration(likeliest, confidence, doc))),
    }


def verdict(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Whether the judge wrote that the answer is correct, and the confidence that it wrote."""
    return _verdict(doc, read_verdict(results[0]), read_confidence(results[0]))


def likelier_verdict(doc: Doc, results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """The likelier of the replies Yes and No, and its share of their probability."""
    yes, no = (logprob for logprob, _ in results)
    gap = yes - no
    if gap == 0 or math.isnan(gap):
        return _verdict(doc, None, None)
    return _verdict(doc, gap > 0, 1 / (1 + math.exp(-abs(gap))))


def _verdict(doc: Doc, correct: bool | None, confidence: float | None) -> dict[str, Any]:
    given = None if correct is None else int(correct)
    usable = None if correct is None else confidence
    against_human = _pairs(given, doc, "agreement", "kappa") | _calibration(given, usable, doc)
    return {
        **_twice({"judged_correct": given}),
        "parsed": int(given is not None),
        "answered": int(usable is not None),
        **labelled(doc, _twice(against_human)),
    }


def _pairs(given: float | None, doc: Doc, *names: str) -> dict[str, tuple]:
    """The (judge, human) pairs that the metrics of those names compare."""
    return dict.fromkeys(names, (given, doc["label"]))


def _calibration(given: int | None, confidence: float | None, doc: Doc) -> dict[str, tuple]:
    """The judge's own calibration: its confidence, and whether the human agrees."""
    return dict.fromkeys(("ece", "auroc", "brier"), (confidence, int(given == doc["label"])))


def _twice(items: dict[str, Any]) -> dict[str, Any]:
    """Repeat every item for the standard error of its metric, right after it."""
    return {key: item for name, item in items.items() for key in (name, f"{name}_stderr")}


def labelled(doc: Doc, against_human: dict[str, Any]) -> dict[str, Any]:
    """The metrics against human labels, if there are labels and one for this answer."""
    if not doc["labels_given"]:
        return {}
    has_label = doc["label"] is not None
    return {"labelled": int(has_label), **(against_human if has_label else {})}


def mean_given(items: Sequence[float | None]) -> float:
    """Mean of the items that are not None; NaN if there are none."""
    given = [item for item in items if item is not None]
    return sum(given) / len(given) if given else math.nan


def mean_given_stderr(items: Sequence[float | None]) -> float:
    """Standard error of `mean_given`; NaN below two items."""
    return mean_stderr([item for item in items if item is not None])


def agreement(items: Sequence[Sequence]) -> float:
    """Share of labelled answers with a verdict where judge and human say the same."""
    return human.agreement(_given(items))


def agreement_stderr(items: Sequence[Sequence]) -> float:
    """Standard error of `agreement`."""
    return mean_stderr([judge == label for judge, label in _given(items)])


def kappa(items: Sequence[Sequence]) -> float:
    """Cohen's kappa of judge and human."""
    return human.cohen_kappa(_given(items))


def kappa_stderr(items: Sequence[Sequence]) -> float:
    """Bootstrap standard error of `kappa`."""
    return human.kappa_stderr(_given(items))


def weighted_kappa(items: Sequence[Sequence]) -> float:
    """Cohen's kappa of judge and human with quadratic weights, for ratings."""
    return human.cohen_kappa(_given(items), "quadratic")


def weighted_kappa_stderr(items: Sequence[Sequence]) -> float:
    """Bootstrap standard error of `weighted_kappa`."""
    return human.kappa_stderr(_given(items), "quadratic")


def spearman(items: Sequence[Sequence]) -> float:
    """Spearman's rank correlation of mean rating and human rating."""
    return human.spearman(_given(items))


def spearman_stderr(items: Sequence[Sequence]) -> float:
    """Bootstrap standard error of `spearman`."""
    return human.spearman_stderr(_given(items))


def _given(items: Sequence[Sequence]) -> list[tuple]:
    return [(judge, label) for judge, label in items if judge is not None]
