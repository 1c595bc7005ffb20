"""Scores of the answer's own tokens, from the model's probabilities: no question is asked.

Each is mapped to [0, 1] so that a higher score is surer; none is calibrated
(`calib_metrics.recalibration`, `calibench combine`). With ``likelihood``, the length-normalised
probability, they are the white-box baselines of Fadeeva et al., LM-Polygraph, EMNLP 2023
(demonstrations).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lm_eval.api.instance import Instance

from harness_tasks.elicitation.question import Question, Reading
from harness_tasks.elicitation.settings import Settings
from harness_tasks.elicitation.token_statistics import REQUEST, Statistics, ask_for_statistics

EMPTY = "the answer is empty"


class SequenceProbability:
    """Probability of the whole answer, exp(sum of log p), not normalised by its length.

    The maximum sequence probability of Fomicheva et al., TACL 2020, for the answer as it is graded.
    Long answers score low.
    """

    signature = "norm:none"

    def __init__(self, settings: Settings) -> None:
        pass

    def requests(self, question: Question) -> list[Instance]:
        return question.share("answer_loglikelihood", lambda: [answer_loglikelihood(question)])

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        if not question.answer():
            return Reading(None, EMPTY)
        logprob, _ = question.shared["answer_loglikelihood"][0].resps[0]
        return Reading(min(1.0, math.exp(logprob)))


class _OfTokens:
    """A number for each answer from the statistics of its tokens."""

    signature: str
    value: Callable[[Statistics], float]

    def __init__(self, settings: Settings) -> None:
        pass

    def requests(self, question: Question) -> list[Instance]:
        return ask_for_statistics(question)

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        if not question.answer():
            return Reading(None, EMPTY)
        value = type(self).value(question.shared[REQUEST][0].resps[0])
        return Reading(min(1.0, max(0.0, value)))


class MinTokenProbability(_OfTokens):
    """Probability of the answer's least likely token (Manakul et al., SelfCheckGPT, EMNLP 2023)."""

    signature = "tokens:min"

    @staticmethod
    def value(statistics: Statistics) -> float:
        return math.exp(min(statistics["logprob"]))


class TokenEntropy(_OfTokens):
    """exp(-mean entropy of the distributions that the answer's tokens were drawn from).

    One over the number of equally likely tokens with that entropy. Mean token entropy: Fomicheva et
    al., TACL 2020.
    """

    signature = "tokens:mean|entropy:exp"

    @staticmethod
    def value(statistics: Statistics) -> float:
        entropy = statistics["entropy"]
        return math.exp(-math.fsum(entropy) / len(entropy))


class TokenMargin(_OfTokens):
    """Mean over the answer's tokens of the likeliest token's lead over the second.

    The margin of Scheffer et al., Active Hidden Markov Models for Information Extraction, IDA 2001,
    at each token.
    """

    signature = "tokens:mean|margin:top2"

    @staticmethod
    def value(statistics: Statistics) -> float:
        margin = statistics["margin"]
        return math.fsum(margin) / len(margin)


def answer_loglikelihood(question: Question) -> Instance:
    """The request that scores the answer's tokens, their log-probability and their number."""

    def build() -> tuple:
        # An empty continuation cannot be scored; `read` reports it and ignores this score.
        return question.conversation.context, question.answer_text or "\n"

    return question.late("token_loglikelihood", build)
