"""The probability that the model itself assigns to its answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lm_eval.api.instance import Instance

from harness_tasks.elicitation.methods.token_scores import EMPTY, answer_loglikelihood
from harness_tasks.elicitation.question import Question, Reading
from harness_tasks.elicitation.settings import Settings


class Likelihood:
    """Probability that the model itself assigns to the answer.

    Multiple choice: softmax over the options' log-likelihoods. Open-ended: the geometric mean of
    the token probabilities, exp(log p(answer) / tokens).
    """

    def __init__(self, settings: Settings):
        self.signature = "norm:tokens"
        self.signature_of_options = "norm:none|softmax:options"

    def requests(self, question: Question) -> list[Instance]:
        if question.options:
            return []

        return question.share("answer_loglikelihood", lambda: [answer_loglikelihood(question)])

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        if question.options:
            return Reading(question.options()[question.answer()])
        if not question.answer():
            return Reading(None, EMPTY)
        logprob, tokens = question.shared["answer_loglikelihood"][0].resps[0]
        if not tokens:
            return Reading(None, "the back end does not tell how many tokens the answer has")
        return Reading(min(1.0, math.exp(logprob / tokens)))
