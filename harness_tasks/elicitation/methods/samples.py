"""Methods that ask for the answer K more times at temperature 1, all from one set of samples.

The set is asked for once per question, by whichever of these methods comes first.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from lm_eval.api.instance import Instance

from harness_tasks.elicitation.grading import normalize
from harness_tasks.elicitation.question import Question, Reading
from harness_tasks.elicitation.settings import Settings

SAMPLES, LOGPROBS = "samples", "sample_logprobs"


class Sampling:
    """Share of K sampled answers that agree with the answer, or their share of likelihood.

    ``weighting: likelihood`` weighs each distinct sampled text by the probability that the model
    gives it, instead of by how often it was drawn.
    """

    def __init__(self, settings: Settings):
        self.k = settings.k
        self.weighted = settings.weighting == "likelihood"
        self.signature = f"k:{self.k}|weighting:{settings.weighting}|temperature:1"

    def requests(self, question: Question) -> list[Instance]:
        return ask_for_samples(question, self.k, self.weighted)

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        extra = {"samples": sampled_texts(question, self.k)}
        weights = weigh(question, self.k, self.weighted)
        if not weights:
            return Reading(None, "no sampled answer has a probability", extra)
        answer = question.answer()
        agreeing = sum(w for text, w in weights.items() if question.agrees(text, answer))
        return Reading(agreeing / sum(weights.values()), extra=extra)


class DistinctAnswers:
    """1 - (distinct - 1) / (K - 1), `distinct` being how many different answers K samples give.

    1 if all agree, 0 if no two do; texts that `canonical` makes equal are one answer. It says how
    unsure the model is of the question, whatever the answer under judgement (Cole et al. 2023
    measure this diversity).
    """

    def __init__(self, settings: Settings):
        self.k = settings.k
        self.signature = f"k:{self.k}|temperature:1|same:normalised"

    def requests(self, question: Question) -> list[Instance]:
        return ask_for_samples(question, self.k, weighted=False)

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        texts = sampled_texts(question, self.k)
        distinct = len({canonical(question, text) for text in texts})
        return Reading(1 - (distinct - 1) / (self.k - 1), extra={"samples": texts})


def ask_for_samples(question: Question, k: int, weighted: bool) -> list[Instance]:
    """The requests for the K samples and, if `weighted`, for their log-probabilities."""

    def samples() -> list[Instance]:
        # do_sample must be explicit: with a temperature alone, lm-eval's cache would treat the
        # request as greedy and hand the same text back K times.
        generation = {**question.generation, "do_sample": True, "temperature": 1.0}
        arguments = (question.conversation.context, generation)
        return [question.now("generate_samples", arguments, repeats=k)]

    def build(i: int) -> Callable[[], tuple]:
        def arguments() -> tuple:
            text = sampled_texts(question, k)[i]
            delimiter = question.conversation.delimiter
            return question.conversation.context, delimiter + text if text else "\n"

        return arguments

    def logprobs() -> list[Instance]:
        drawn = question.shared[SAMPLES][0]
        return [question.late("loglikelihood", build(i), after=drawn) for i in range(k)]

    requests = question.share(SAMPLES, samples)
    return requests + question.share(LOGPROBS, logprobs) if weighted else requests


def sampled_texts(question: Question, k: int) -> list[str]:
    """The K sampled answers, in the order in which they were drawn."""
    # With several processes lm-eval may pad a rank's last request with further responses.
    return [question.extract(text) for text in question.shared[SAMPLES][0].resps[:k]]


def weigh(question: Question, k: int, weighted: bool) -> Mapping[str, float]:
    """Weight of each distinct sampled text: how often it was drawn or, `weighted`, its probability.

    Probabilities are relative to the likeliest text, since long ones underflow. Empty if no text
    has a probability above zero; an empty text has none.
    """
    texts = sampled_texts(question, k)
    if not weighted:
        return Counter(texts)
    scored = zip(texts, question.shared[LOGPROBS])
    logprobs = {text: request.resps[0][0] for text, request in scored if text}
    top = max(logprobs.values(), default=-math.inf)
    if top == -math.inf:
        return {}
    return {text: math.exp(logprob - top) for text, logprob in logprobs.items()}


def canonical(question: Question, text: str) -> str:
    """What two samples share if they are plainly the same answer.

    The normalised text; for multiple choice its first word in lower case, the option. (The
    normaliser would take an option A for an article and drop it.)
    """
    if not question.options:
        return normalize(text)
    found = re.search(r"[^\W_]+", text.casefold())
    return found[0] if found else ""
