"""Sampled answers grouped by meaning: how much weight the answer's group has, and the entropy.

Two texts mean the same if the grader says so, or if they share more than half of their words and
all numbers, symbols and single letters; with ``nli: MODEL``, if each entails the other (Kuhn et al.
2023). Multiple-choice samples mean the same if they name the same option.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lm_eval.api.instance import Instance

from harness_tasks.elicitation.abstention import says_nothing
from harness_tasks.elicitation.grading import words
from harness_tasks.elicitation.methods.nli import load_nli
from harness_tasks.elicitation.methods.samples import (
    NO_ANSWER,
    ask_for_samples,
    group,
    readable,
    same_answer,
    sampled_texts,
    too_few,
    weigh,
)
from harness_tasks.elicitation.question import Question, Reading
from harness_tasks.elicitation.reading import WORD, read, script
from harness_tasks.elicitation.settings import Settings

JACCARD = 0.5


class SemanticClusters:
    """Weight of the cluster of samples that the answer belongs to, in [0, 1]; 0 if to none."""

    def __init__(self, settings: Settings):
        self.k = settings.k
        self.weighted = settings.weighting == "likelihood"
        self.entails = load_nli(settings.nli) if settings.nli else None
        same = f"nli:{settings.nli}" if settings.nli else f"jaccard>{JACCARD:g}"
        self.signature = f"k:{self.k}|weighting:{settings.weighting}|temperature:1|same:{same}"

    def requests(self, question: Question) -> list[Instance]:
        return ask_for_samples(question, self.k, self.weighted)

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        texts = sampled_texts(question, self.k)
        if reason := self._unreadable(question, texts):
            return Reading(None, reason, {"samples": texts})
        weights = weigh(question, self.k, self.weighted)
        if not weights:
            return Reading(None, "no sampled answer has a probability", {"samples": texts})
        same = self._same(question)
        clusters = group(weights, same)
        total = math.fsum(weights.values())
        masses = [math.fsum(weights[text] for text in cluster) / total for cluster in clusters]
        listed = [
            {"weight": mass, "texts": texts} for mass, texts in zip(masses, clusters, strict=True)
        ]
        confidence = self._confidence(question, clusters, masses, same)
        return Reading(confidence, extra={"clusters": listed})

    def _unreadable(self, question: Question, texts: Sequence[str]) -> str | None:
        return NO_ANSWER if says_nothing(question.answer()) else too_few(question, texts)

    def _confidence(
        self,
        question: Question,
        clusters: Sequence[Sequence[str]],
        masses: Sequence[float],
        same: Callable[[str, str], bool],
    ) -> float:
        answer = question.answer()
        return next(
            (m for texts, m in zip(clusters, masses, strict=True) if same(texts[0], answer)), 0.0
        )

    def _same(self, question: Question) -> Callable[[str, str], bool]:
        def same(one: str, other: str) -> bool:
            if same_answer(question, one, other):
                return True
            if question.labels:
                return False
            if self.entails is None:
                return alike(one, other)
            asked = str(question.instance["doc"].get("question") or "")
            pair = f"{asked} {one}".strip(), f"{asked} {other}".strip()
            return self.entails(*pair) and self.entails(*reversed(pair))

        return same


class SemanticEntropy(SemanticClusters):
    """1 - H / log n, H = -sum p log p being the entropy over the clusters' weights p.

    n is the number of readable samples among the K. 1 if all mean the same, 0 if all n differ and
    weigh the same. With ``weighting: count`` H is the discrete semantic entropy of Farquhar et al.
    (2024), after Kuhn et al. (2023). It ranks questions by how unsure the model is and does not
    depend on the answer to be judged; recalibrate it to use it as a probability.
    """

    def _unreadable(self, question, texts) -> str | None:
        return too_few(question, texts, at_least=2)

    def _confidence(self, question, clusters, masses, same) -> float:
        legible = readable(question, sampled_texts(question, self.k))
        return max(0.0, 1 - entropy(masses) / math.log(len(legible)))


def alike(one: str, other: str) -> bool:
    """Whether two texts share more than `JACCARD` of their words, and all other tokens.

    Numbers, symbols and single letters must be the same ("Vitamin A …" is not "Vitamin B …").
    Scripts without spaces have no words to share, so such texts are never alike, only equal.
    """
    tokens = [read(text) for text in (one, other)]
    if any(script(token.text[0]) for text in tokens for token in text if token.kind == WORD):
        return False
    signs = [{t for t in text if t.kind != WORD or len(t.text) == 1} for text in tokens]
    if {sign.text for sign in signs[0]} != {sign.text for sign in signs[1]}:
        return False
    return jaccard(*(" ".join(words(text)) for text in (one, other))) > JACCARD


def jaccard(one: str, other: str) -> float:
    """Words that both texts have, divided by words that any of them has; in [0, 1].

    >>> jaccard("new york", "new york city")
    0.6666666666666666
    """
    words = set(one.split()), set(other.split())
    union = words[0] | words[1]
    return len(words[0] & words[1]) / len(union) if union else 1.0


def entropy(masses: Sequence[float]) -> float:
    """-sum p log p in nats, with 0 log 0 = 0; `masses` sum to 1."""
    return -math.fsum(p * math.log(p) for p in masses if p > 0)
