"""How similar the sampled answers are to each other and to the answer.

The similarity of two texts is the Jaccard index of their words, one of the similarities of Lin et
al., and 1 if they are the same answer; for multiple choice 1 if they name the same option, else 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from lm_eval.api.instance import Instance
from numpy.typing import NDArray

from harness_tasks.elicitation.abstention import says_nothing
from harness_tasks.elicitation.grading import words
from harness_tasks.elicitation.methods.samples import (
    NO_ANSWER,
    ask_for_samples,
    readable,
    same_answer,
    sampled_texts,
    score_samples,
    too_few,
)
from harness_tasks.elicitation.methods.semantic import jaccard
from harness_tasks.elicitation.methods.token_scores import answer_loglikelihood
from harness_tasks.elicitation.question import Question, Reading
from harness_tasks.elicitation.settings import Settings
from harness_tasks.elicitation.token_statistics import REQUEST, ask_for_statistics

SCORED = "sample_token_logprobs"
ANSWER_SCORE = "answer_loglikelihood"
NO_TOKENS = "the back end does not tell how many tokens a text has"
Floats = NDArray[np.float64]
_DIGITS = 12


class _OfSimilarities:
    def __init__(self, settings: Settings):
        self.k = settings.k
        self.signature = f"k:{self.k}|temperature:1|similarity:jaccard"

    def requests(self, question: Question) -> list[Instance]:
        return ask_for_samples(question, self.k, weighted=False)


class _OfGraph(_OfSimilarities):
    """A number for the question from the n x n similarities of its n readable samples."""

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        texts = sampled_texts(question, self.k)
        extra = {"samples": texts}
        if reason := too_few(question, texts, at_least=2):
            return Reading(None, reason, extra)
        said = readable(question, texts)
        matrix = np.array([[similarity(question, a, b) for b in said] for a in said])
        return Reading(min(1.0, max(0.0, self.value(matrix))), extra=extra)

    @staticmethod
    def value(matrix: Floats) -> float:
        raise NotImplementedError


class DegreeMatrix(_OfGraph):
    """1 - trace(n I - D) / n^2, D the degrees: the mean similarity of two samples.

    1 minus the uncertainty U_Deg of Lin et al., Generating with Confidence, TMLR 2024. In [1/n, 1],
    since each sample is also compared with itself.
    """

    @staticmethod
    def value(matrix: Floats) -> float:
        """The mean of the similarities, which does not depend on the samples' order."""
        return math.fsum(matrix.flat) / matrix.size


class LaplacianEigenvalues(_OfGraph):
    """1 - (U - 1) / (n - 1), U the number of meanings that the samples have, counted softly.

    U is U_EigV of Lin et al. (2024), the sum of max(0, 1 - l) over the eigenvalues l of the graph's
    Laplacian I - D^(-1/2) W D^(-1/2). It is 1 if all samples are the same, and n if no two have a
    word in common.
    """

    @staticmethod
    def value(matrix: Floats) -> float:
        """The share of meanings that could be there and are not."""
        root = np.sqrt(matrix.sum(axis=1))
        eigenvalues = np.linalg.eigvalsh(np.eye(len(matrix)) - matrix / np.outer(root, root))
        meanings = np.maximum(0, 1 - eigenvalues).sum()
        # Rounded, since samples in another order would differ in the last digits: no longer a tie.
        return round(float(1 - (meanings - 1) / (len(matrix) - 1)), _DIGITS)


class SemanticDensity(_OfSimilarities):
    """Mean similarity to the answer, over the distinct samples and itself, by their probability.

    sum p_i s(answer, y_i) / sum p_i, where p_i = exp(log p(y_i) / tokens): Qiu and Miikkulainen,
    Semantic Density, NeurIPS 2024, as lm-polygraph computes it, but for the similarity: theirs is
    one minus a distance by an NLI model. It scores the k samples and the answer.
    """

    def requests(self, question: Question) -> list[Instance]:
        return [
            *super().requests(question),
            *score_samples(question, self.k, SCORED, "token_loglikelihood"),
            *question.share(ANSWER_SCORE, lambda: [answer_loglikelihood(question)]),
        ]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        texts, answer = sampled_texts(question, self.k), question.answer()
        extra = {"samples": texts}
        if reason := NO_ANSWER if says_nothing(answer) else too_few(question, texts):
            return Reading(None, reason, extra)
        said = set(readable(question, texts))
        scores = {
            text: request.resps[0]
            for text, request in zip(texts, question.shared[SCORED], strict=True)
            if text in said
        }
        weighed = [(text, *score) for text, score in scores.items()]
        weighed.append((answer, *question.shared[ANSWER_SCORE][0].resps[0]))
        if not all(tokens for _, _, tokens in weighed):
            return Reading(None, NO_TOKENS, extra)
        weights = [math.exp(logprob / tokens) for _, logprob, tokens in weighed]
        if not (total := math.fsum(weights)):
            return Reading(None, "no sampled answer has a probability", extra)
        alike = [similarity(question, answer, text) for text, _, _ in weighed]
        density = math.fsum(w * s for w, s in zip(weights, alike, strict=True)) / total
        return Reading(min(1.0, density), extra=extra)


class _CoCoA(_OfSimilarities):
    """exp(-u d): u how unsure the model is of the answer's tokens, d how far the samples are off.

    d is the mean of 1 - similarity to the answer, over the readable samples. u d is the uncertainty
    CoCoA of Vashurin et al., arXiv:2502.04964, as lm-polygraph computes it, but for the similarity:
    theirs is a cross-encoder's.
    """

    def requests(self, question: Question) -> list[Instance]:
        score = question.share(ANSWER_SCORE, lambda: [answer_loglikelihood(question)])
        return [*super().requests(question), *score]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        texts, answer = sampled_texts(question, self.k), question.answer()
        extra = {"samples": texts}
        if reason := NO_ANSWER if says_nothing(answer) else too_few(question, texts):
            return Reading(None, reason, extra)
        unsure = self.unsure(question)
        if unsure is None:
            return Reading(None, NO_TOKENS, extra)
        said = readable(question, texts)
        off = math.fsum(1 - similarity(question, answer, text) for text in said) / len(said)
        # An impossible answer that all samples give would be inf * 0.
        return Reading(math.exp(-unsure * off) if off else 1.0, extra=extra)

    def unsure(self, question: Question) -> float | None:
        """In nats; ``None`` where the back end does not tell."""
        raise NotImplementedError


class CocoaMSP(_CoCoA):
    """CoCoA with the answer's log-probability, u = -log p: p^d."""

    def unsure(self, question: Question) -> float:
        """The answer's negative log-probability."""
        return max(0.0, -question.shared[ANSWER_SCORE][0].resps[0][0])


class CocoaPPL(_CoCoA):
    """CoCoA with the logarithm of the perplexity, u = -log p / tokens."""

    def unsure(self, question: Question) -> float | None:
        """The negative log-probability by token."""
        logprob, tokens = question.shared[ANSWER_SCORE][0].resps[0]
        return max(0.0, -logprob / tokens) if tokens else None


class CocoaMTE(_CoCoA):
    """CoCoA with the mean entropy of the answer's tokens."""

    def requests(self, question: Question) -> list[Instance]:
        samples = ask_for_samples(question, self.k, weighted=False)
        return [*samples, *ask_for_statistics(question)]

    def unsure(self, question: Question) -> float:
        """The mean token entropy."""
        entropy = question.shared[REQUEST][0].resps[0]["entropy"]
        return math.fsum(entropy) / len(entropy)


def similarity(question: Question, one: str, other: str) -> float:
    """How similar two answers are, in [0, 1]; see the module."""
    if same_answer(question, one, other):
        return 1.0
    return 0.0 if question.labels else jaccard(*(" ".join(words(text)) for text in (one, other)))
