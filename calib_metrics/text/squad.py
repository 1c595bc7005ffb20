"""Exact match and token F1 of short answers, as the official SQuAD scripts define them."""

from __future__ import annotations

import re
import string
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics.text._checks import check_lengths, check_texts

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Lower case, without ASCII punctuation, the articles a, an, the, and spare whitespace.

    >>> normalize_answer("The  U.S. of A.")
    'us of'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(prediction: str, references: Sequence[str]) -> int:
    """1 if the normalized prediction equals one of the normalized references, else 0.

    Raises ValueError on bad input. Source: Rajpurkar et al., EMNLP 2016.
    """
    check_texts([prediction], [references])
    return int(_best(_exact, prediction, references))


def token_f1(prediction: str, references: Sequence[str]) -> float:
    """F1, in [0, 1], of the words of the normalized prediction, against the best reference.

    With w words in common (counted with repetitions): 2 w / (words predicted + words expected).
    If either side normalizes to nothing: 1 if both do, else 0, which is the rule of SQuAD 2.0.
    Raises ValueError on bad input. Source: Rajpurkar et al., EMNLP 2016, ACL 2018.

    >>> token_f1("the big cat", ["a big dog"])
    0.5
    """
    check_texts([prediction], [references])
    return float(_best(_f1, prediction, references))


def squad(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """SQuAD 1.1: mean `exact_match` and `f1`, in percent, against the best reference of each.

    Differs from `token_f1` in one case: an answer that normalizes to nothing has F1 0, as in the
    official script. Raises ValueError on bad input.
    """
    predictions, references = check_texts(predictions, references)
    pairs = list(zip(predictions, references, strict=True))
    exact = [_best(_exact, *pair) for pair in pairs]
    f1 = [_best(_overlap, *pair) for pair in pairs]
    return {"exact_match": _percent(exact), "f1": _percent(f1)}


def squad_v2(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    no_answer_probabilities: ArrayLike | None = None,
    *,
    no_answer_threshold: float = 1.0,
) -> dict[str, float]:
    """SQuAD 2.0, where a question without references has no answer: "" is then the right one.

    predictions: texts, "" to abstain. no_answer_probabilities: (n,) the model's probability that
    there is no answer; above `no_answer_threshold` the answer is replaced by "".

    Returns, in percent, `exact` and `f1`, also as HasAns_* and NoAns_* for the questions with and
    without an answer (left out if there are none), and the counts `total`, HasAns_total,
    NoAns_total. With probabilities also best_exact, best_f1: the most that the best threshold
    gives, and best_exact_thresh, best_f1_thresh: that threshold (the lowest, if several do).

    The official script tries every cut of the questions sorted by probability, also between
    questions of equal probability, which no threshold can separate; then the value depends on
    their order. The official value is returned, with a UserWarning where it cannot be attained.
    Raises ValueError on bad input. Source: Rajpurkar et al., ACL 2018.
    """
    predictions, references = check_texts(predictions, references, allow_no_reference=True)
    answerable = np.array([bool(texts) for texts in references])
    # A reference that normalizes to nothing could not be told from abstaining.
    golds = [[t for t in texts if normalize_answer(t)] or [""] for texts in references]
    raw = {
        "exact": np.array(
            [_best(_exact, *pair) for pair in zip(predictions, golds, strict=True)], float
        ),
        "f1": np.array([_best(_f1, *pair) for pair in zip(predictions, golds, strict=True)], float),
    }
    given, scores = None, raw
    if no_answer_probabilities is not None:
        given = _probabilities(no_answer_probabilities, predictions)
        withheld = given > no_answer_threshold
        scores = {name: np.where(withheld, ~answerable, each) for name, each in raw.items()}

    result: dict[str, float] = {}
    groups = {"": np.ones(answerable.size, bool), "HasAns_": answerable, "NoAns_": ~answerable}
    for prefix, group in groups.items():
        if group.any():
            result |= {prefix + name: _percent(each[group]) for name, each in scores.items()}
            result[prefix + "total"] = int(group.sum())
    if given is not None:
        answered = np.array([bool(prediction) for prediction in predictions])
        for name, each in raw.items():
            best, threshold = _best_threshold(name, each, answered, answerable, given)
            result |= {f"best_{name}": best, f"best_{name}_thresh": threshold}
    return result


def _exact(prediction: str, reference: str) -> int:
    return int(normalize_answer(prediction) == normalize_answer(reference))


def _overlap(prediction: str, reference: str) -> float:
    predicted = normalize_answer(prediction).split()
    expected = normalize_answer(reference).split()
    shared = sum((Counter(predicted) & Counter(expected)).values())
    if not shared:
        return 0.0
    # Not 2 * shared / (sum of both lengths): that can differ from the official script by a
    # rounding error, which is enough to tip the choice between two thresholds.
    precision, recall = shared / len(predicted), shared / len(expected)
    return 2 * precision * recall / (precision + recall)


def _f1(prediction: str, reference: str) -> float:
    # Both empty is the only way to agree without a shared word.
    return _overlap(prediction, reference) or float(
        normalize_answer(prediction) == normalize_answer(reference) == ""
    )


def _best(metric: Callable[[str, str], float], prediction: str, references: Sequence[str]) -> float:
    return max(metric(prediction, reference) for reference in references)


def _percent(values: Sequence[float] | NDArray[Any]) -> float:
    return 100.0 * float(sum(values)) / len(values)


def _probabilities(values: ArrayLike, predictions: list[str]) -> NDArray[np.float64]:
    probabilities = np.asarray(values, dtype=np.float64)
    if probabilities.ndim != 1:
        raise ValueError("no_answer_probabilities must be a list of one number per answer.")
    check_lengths(probabilities, predictions, "no_answer_probabilities")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError(
            "no_answer_probabilities has values that are missing or outside the range [0, 1]: "
            "give the probability that the question has no answer, not a logit."
        )
    return probabilities


def _best_threshold(
    name: str,
    scores: NDArray[np.float64],
    answered: NDArray[np.bool_],
    answerable: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
) -> tuple[float, float]:
    """Return (best score in percent, its threshold), answering the first k questions for some k."""
    # Withheld, an unanswerable question counts 1, and answering it loses that.
    change = np.where(answerable, scores, -1.0 * answered)
    order = np.argsort(probabilities, kind="stable")
    totals = np.cumsum(np.append(np.sum(~answerable), change[order]))
    cut = int(np.argmax(totals))
    threshold = float(probabilities[order[cut - 1]]) if cut else 0.0
    if np.sum(probabilities <= threshold) != cut:
        warnings.warn(
            f"best_{name} is not attainable: it cuts between questions that all have a no-answer "
            f"probability of {threshold:g}, so it depends on their order.",
            stacklevel=3,
        )
    return 100.0 * float(totals[cut]) / scores.size, threshold
