"""Sampled answers grouped by meaning: how much weight the answer's group has, and the entropy.

Two texts mean the same if they are equal after normalisation or share more than half of their
words; with ``nli: MODEL``, if each entails the other (Kuhn et al. 2023). Multiple-choice samples
mean the same if they name the same option.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from lm_eval.api.instance import Instance

from harness_tasks.elicitation.methods.nli import load_nli
from harness_tasks.elicitation.methods.samples import (
    ask_for_samples,
    canonical,
    sampled_texts,
    weigh,
)
from harness_tasks.elicitation.question import Question, Reading
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
        weights = weigh(question, self.k, self.weighted)
        if not weights:
            texts = sampled_texts(question, self.k)
            return Reading(None, "no sampled answer has a probability", {"samples": texts})
        same = self._same(question)
        clusters = group(weights, same)
        total = sum(weights.values())
        masses = [sum(weights[text] for text in cluster) / total for cluster in clusters]
        listed = [{"weight": mass, "texts": texts} for mass, texts in zip(masses, clusters)]
        confidence = self._confidence(question, clusters, masses, same)
        return Reading(confidence, extra={"clusters": listed})

    def _confidence(
        self,
        question: Question,
        clusters: Sequence[Sequence[str]],
        masses: Sequence[float],
        same: Callable[[str, str], bool],
    ) -> float:
        answer = question.answer()
        return next((m for texts, m in zip(clusters, masses) if same(texts[0], answer)), 0.0)

    def _same(self, question: Question) -> Callable[[str, str], bool]:
        def same(one: str, other: str) -> bool:
            keys = canonical(question, one), canonical(question, other)
            if keys[0] == keys[1]:
                return True
            if question.options or not all(keys):
                return False
            if self.entails is None:
                return jaccard(*keys) > JACCARD
            asked = str(question.instance["doc"].get("question") or "")
            pair = f"{asked} {one}".strip(), f"{asked} {other}".strip()
            return self.entails(*pair) and self.entails(*reversed(pair))

        return same


class SemanticEntropy(SemanticClusters):
    """1 - H / log K, H = -sum p log p being the entropy over the clusters' weights p.

    1 if all samples mean the same, 0 if all K differ and weigh the same. With
    ``weighting: count`` H is the discrete semantic entropy of Farquhar et al. (2024), after Kuhn
    et al. (2023). It ranks questions by how unsure the model is and does not depend on the answer
    under judgement; as a probability it is only as good as a recalibration makes it.
    """

    def _confidence(self, question, clusters, masses, same) -> float:
        return max(0.0, 1 - entropy(masses) / math.log(self.k))


def group(texts: Mapping[str, float], same: Callable[[str, str], bool]) -> list[list[str]]:
    """Cluster `texts` by `same`, which is asked about each text and a cluster's first member.

    The greedy pass of Kuhn et al. (2023, algorithm 1): a text joins the first cluster that it
    matches, and otherwise begins one. Every text is in exactly one cluster.
    """
    clusters: list[list[str]] = []
    for text in texts:
        home = next((cluster for cluster in clusters if same(cluster[0], text)), None)
        if home is None:
            clusters.append([text])
        else:
            home.append(text)
    return clusters


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
    return -sum(p * math.log(p) for p in masses if p > 0)
