"""Methods that sample the answer K more times at temperature 1 and share one set of samples.

The first of these methods asks for the set, once per question.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from lm_eval.api.instance import Instance

from harness_tasks.elicitation.abstention import says_nothing
from harness_tasks.elicitation.grading import same
from harness_tasks.elicitation.options import choose
from harness_tasks.elicitation.question import Question, Reading
from harness_tasks.elicitation.settings import Settings

SAMPLES, LOGPROBS = "samples", "sample_logprobs"
NO_ANSWER = "the answer says nothing"


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
        answer = question.answer()
        if says_nothing(answer):
            return Reading(None, NO_ANSWER, extra)
        if reason := too_few(question, extra["samples"]):
            return Reading(None, reason, extra)
        weights = weigh(question, self.k, self.weighted)
        if not weights:
            return Reading(None, "no sampled answer has a probability", extra)
        agreeing = math.fsum(w for text, w in weights.items() if question.agrees(text, answer))
        return Reading(agreeing / math.fsum(weights.values()), extra=extra)


class DistinctAnswers:
    """1 - (distinct - 1) / (n - 1), `distinct` being how many different answers n samples give.

    n is the number of readable samples among the K. 1 if all agree, 0 if no two do; see
    `same_answer`. It measures how unsure the model is of the question, whatever the answer to be
    judged (the diversity of Cole et al. 2023).
    """

    def __init__(self, settings: Settings):
        self.k = settings.k
        self.signature = f"k:{self.k}|temperature:1|same:whole_answer"

    def requests(self, question: Question) -> list[Instance]:
        return ask_for_samples(question, self.k, weighted=False)

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        texts = sampled_texts(question, self.k)
        extra = {"samples": texts}
        if reason := too_few(question, texts, at_least=2):
            return Reading(None, reason, extra)
        legible = readable(question, texts)
        distinct = len(group(legible, lambda one, other: same_answer(question, one, other)))
        return Reading(1 - (distinct - 1) / (len(legible) - 1), extra=extra)


def ask_for_samples(question: Question, k: int, weighted: bool) -> list[Instance]:
    """The requests for the K samples and, if `weighted`, for their log-probabilities."""

    def samples() -> list[Instance]:
        # do_sample must be explicit: with a temperature alone, lm-eval's cache would treat the
        # request as greedy and hand the same text back K times.
        generation = {**question.generation, "do_sample": True, "temperature": 1.0}
        arguments = (question.conversation.context, generation)
        return [question.now("generate_samples", arguments, repeats=k)]

    requests = question.share(SAMPLES, samples)
    if not weighted:
        return requests
    return [*requests, *score_samples(question, k, LOGPROBS, "loglikelihood")]


def score_samples(question: Question, k: int, name: str, kind: str) -> list[Instance]:
    """The requests, shared as `name` and run by `kind`, that score each of the K samples."""

    def build(i: int) -> Callable[[], tuple]:
        def arguments() -> tuple:
            text = sampled_texts(question, k)[i]
            delimiter = question.conversation.delimiter
            return question.conversation.context, delimiter + text if text else "\n"

        return arguments

    def scores() -> list[Instance]:
        drawn = question.shared[SAMPLES][0]
        return [question.late(kind, build(i), after=drawn) for i in range(k)]

    return question.share(name, scores)


def sampled_texts(question: Question, k: int) -> list[str]:
    """The K sampled answers, in the order in which they were drawn."""
    # With several processes lm-eval may pad a rank's last request with further responses.
    return [question.extract(text) for text in question.shared[SAMPLES][0].resps[:k]]


def readable(question: Question, texts: Sequence[str]) -> list[str]:
    """The sampled texts that say something: a text, or the name of an option."""
    if question.labels:
        return [text for text in texts if choose(text, question.labels) is not None]
    return [text for text in texts if not says_nothing(text)]


def too_few(
    question: Question, texts: Sequence[str], at_least: int = 1, what: str = "sampled answers"
) -> str | None:
    """The reason if fewer than half of `texts`, or than `at_least`, can be read; else ``None``."""
    legible = len(readable(question, texts))
    if legible >= max(at_least, len(texts) / 2):
        return None
    does = "name an option" if question.labels else "say anything"
    return f"only {legible} of {len(texts)} {what} {does}"


def weigh(question: Question, k: int, weighted: bool) -> Mapping[str, float]:
    """Weight of each distinct sampled text: how often it was drawn or, `weighted`, its probability.

    Only what can be read counts. Probabilities are relative to the likeliest text, since long ones
    underflow. Empty if no text has a probability above zero.
    """
    texts = sampled_texts(question, k)
    legible = readable(question, texts)
    if not weighted:
        return Counter(legible)
    scored = zip(texts, question.shared[LOGPROBS], strict=True)
    logprobs = {text: request.resps[0][0] for text, request in scored if text in legible}
    top = max(logprobs.values(), default=-math.inf)
    if top == -math.inf:
        return {}
    return {text: math.exp(logprob - top) for text, logprob in logprobs.items()}


def same_answer(question: Question, one: str, other: str) -> bool:
    """Whether two sampled texts are the same answer, compared as a whole.

    Open-ended as `grading.same` compares them; for multiple choice if they name the same option.
    """
    if question.labels:
        named = choose(one, question.labels)
        return named is not None and named == choose(other, question.labels)
    return same(one, other)


def group(texts: Iterable[str], same: Callable[[str, str], bool]) -> list[list[str]]:
    """Cluster the distinct `texts`, comparing each with a cluster's first member by `same`.

    The greedy pass of Kuhn et al. (2023, algorithm 1): a text joins the first cluster that it
    matches, and otherwise begins one. Every text is in exactly one cluster.
    """
    clusters: list[list[str]] = []
    for text in dict.fromkeys(texts):
        home = next((cluster for cluster in clusters if same(cluster[0], text)), None)
        if home is None:
            clusters.append([text])
        else:
            home.append(text)
    return clusters
