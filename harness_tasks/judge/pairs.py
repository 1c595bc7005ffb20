"""Preferences between two answers, asked for in both orders.

An unusable reply has ``parsed`` 0, and its question no outcome; ``decided`` counts those.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from calib_metrics.lm_eval_hooks import mean_stderr
from harness_tasks.judge import agreement as human
from harness_tasks.judge.replies import read_preference
from harness_tasks.judge.scores import labelled, mean_given, mean_given_stderr

PLACES = ("1", "2", "tie")

Items = Sequence[Sequence]
Aggregation = Callable[[Items], float]


def preference(doc: dict[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """The preference in one order of two answers; the aggregations put both orders together."""
    return _preference(doc, read_preference(results[0]))


def likelier_preference(
    doc: dict[str, Any], results: Sequence[tuple[float, bool]]
) -> dict[str, Any]:
    """The likeliest of the replies `PLACES`; two that are equally likely are an unusable reply."""
    logprobs = [logprob for logprob, _ in results]
    best = [
        place for place, logprob in zip(PLACES, logprobs, strict=True) if logprob == max(logprobs)
    ]
    usable = len(best) == 1 and not any(map(math.isnan, logprobs))
    return _preference(doc, best[0] if usable else None)


def _preference(doc: dict[str, Any], place: str | None) -> dict[str, Any]:
    other = "against" if doc["order"] == "answers" else "answers"
    winner = {"1": doc["order"], "2": other, "tie": "tie", None: None}[place]
    item = (doc["id"], winner, doc["label"])
    first = None if place in (None, "tie") else int(place == "1")
    scores: dict[str, Any] = {}
    for name in ("win_rate", "ties", "consistent", "decided"):
        scores |= {name: item, f"{name}_stderr": item}
    scores |= {"prefers_first": first, "prefers_first_stderr": first}
    scores["parsed"] = int(place is not None)
    against_human = {"agreement": item, "agreement_stderr": item}
    against_human |= {"kappa": item, "kappa_stderr": item}
    return scores | labelled(doc, against_human)


def outcomes(items: Items) -> dict[str, str | None]:
    """Each question's outcome: the preference of both orders, a tie where they contradict.

    A judge that always prefers the first answer thus gives only ties. None where one of the two
    replies is unusable, or was not asked for (--limit cut the pair).

    Args:
        items: (question, "answers", "against", "tie" or None, human label) per reply.
    """
    outcome: dict[str, str | None] = {}
    for id, winners in _by_question(items).items():
        usable = len(winners) == 2 and None not in winners
        outcome[id] = (winners[0] if len(set(winners)) == 1 else "tie") if usable else None
    return outcome


def _by_question(items: Items) -> dict[str, list[str | None]]:
    questions: dict[str, list[str | None]] = {}
    for id, winner, _ in items:
        questions.setdefault(id, []).append(winner)
    return questions


def _wins(items: Items) -> list[float | None]:
    value = {"answers": 1.0, "tie": 0.5, "against": 0.0, None: None}
    return [value[outcome] for outcome in outcomes(items).values()]


def _ties(items: Items) -> list[int | None]:
    found = outcomes(items).values()
    return [None if outcome is None else int(outcome == "tie") for outcome in found]


def _consistent(items: Items) -> list[int | None]:
    return [
        int(len(set(winners)) == 1) if len(winners) == 2 and None not in winners else None
        for winners in _by_question(items).values()
    ]


def _decided(items: Items) -> list[int | None]:
    return [int(outcome is not None) for outcome in outcomes(items).values()]


def _outcome_pairs(items: Items) -> list[tuple]:
    labels = {id: label for id, _, label in items}
    return [(each, labels[id]) for id, each in outcomes(items).items() if each is not None]


def _averaged(values: Callable[[Items], list]) -> tuple[Aggregation, Aggregation]:
    """The mean of `values` over the questions that have one, and its standard error."""
    return (
        lambda items: mean_given(values(items)),
        lambda items: mean_given_stderr(values(items)),
    )


# Share of decided questions won by `answers`, a tie counting half.
win_rate, win_rate_stderr = _averaged(_wins)
# Share of decided questions without a winner.
ties, ties_stderr = _averaged(_ties)
# Share of decided questions where both orders gave the same preference.
consistent, consistent_stderr = _averaged(_consistent)
# Share of questions where both replies could be read.
decided, decided_stderr = _averaged(_decided)


def agreement(items: Items) -> float:
    """Share of labelled, decided questions where outcome and human label are the same."""
    return human.agreement(_outcome_pairs(items))


def agreement_stderr(items: Items) -> float:
    """Standard error of `agreement`."""
    return mean_stderr([outcome == label for outcome, label in _outcome_pairs(items)])


def kappa(items: Items) -> float:
    """Cohen's kappa of outcome and human label."""
    return human.cohen_kappa(_outcome_pairs(items))


def kappa_stderr(items: Items) -> float:
    """Bootstrap standard error of `kappa`."""
    return human.kappa_stderr(_outcome_pairs(items))
