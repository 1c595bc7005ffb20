"""Elicitation methods: which requests a method adds for a question, and how it reads a confidence.

A method never guesses. What it cannot read is ``None`` with a reason, and is counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lm_eval.api.instance import Instance

from harness_tasks.grading import first_line
from harness_tasks.late import LateInstance
from harness_tasks.prompts import (
    HIDDEN_ANSWER,
    VERBALIZED,
    VERBALIZED_CHAT,
    WORDINGS,
    Conversation,
)

if TYPE_CHECKING:
    from harness_tasks.settings import Settings


@dataclass(frozen=True)
class Question:
    """One document while its requests are built and, later, while they are read.

    Attributes:
        conversation: the first turn.
        answer: gives the answer under judgement; callable once the first turn has run.
        answered_by: request type that produces the answer; ``None`` for frozen answers.
        agrees: whether a sampled text counts as the same answer.
        options: probabilities of the answer options, for multiple choice; ``None`` when open-ended.
        generation: lm-eval generation arguments of the first turn.
        instance: keyword arguments every request of this document shares (``doc``, ``metadata``).
    """

    conversation: Conversation
    answer: Callable[[], str]
    answered_by: str | None
    agrees: Callable[[str, str], bool]
    options: Callable[[], Mapping[str, float]] | None
    generation: Mapping[str, Any]
    instance: Mapping[str, Any]

    def late(self, kind: str, build: Callable[[], tuple]) -> LateInstance:
        """A request that runs once the answer is known."""
        return LateInstance(kind, build, after=self.answered_by, idx=0, **self.instance)


@dataclass(frozen=True)
class Reading:
    """A confidence in [0, 1], or ``None`` and the reason; `extra` goes into the log as it is."""

    confidence: float | None
    reason: str | None = None
    extra: Mapping[str, Any] | None = None


class Likelihood:
    """Probability that the model itself gives to the answer.

    Multiple choice: softmax over the options' log-likelihoods. Open-ended: the geometric mean of
    the token probabilities, exp(log p(answer) / tokens).
    """

    def __init__(self, settings: Settings):
        self.signature = "norm:tokens"

    def requests(self, question: Question) -> list[Instance]:
        if question.options:
            return []

        def build() -> tuple:
            # An empty continuation cannot be scored; `read` reports it and ignores this score.
            return question.conversation.context, _answer_text(question) or "\n"

        return [question.late("token_loglikelihood", build)]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        if question.options:
            return Reading(question.options()[question.answer()])
        if not question.answer():
            return Reading(None, "the answer is empty")
        logprob, tokens = requests[0].resps[0]
        if not tokens:
            return Reading(None, "the back end does not tell how many tokens the answer has")
        return Reading(min(1.0, math.exp(logprob / tokens)))


class ZeroShotClassifier:
    """P(yes) / (P(yes) + P(no)) for "Is the proposed answer correct?" (Kapoor et al. 2024).

    Under an adapter trained for this question the same read-out is Fine-Tuned.
    """

    hides_answer = False

    def __init__(self, settings: Settings):
        self.wording = WORDINGS[settings.wording]
        self.temperature = settings.temperature
        self.signature = f"wording:{settings.wording}|temperature:{settings.temperature:g}"

    def _prompt(self, question: Question) -> tuple[str, str, str]:
        conversation = question.conversation
        answer = HIDDEN_ANSWER if self.hides_answer else question.answer()
        return (
            conversation.then(answer, self.wording.question, cue="Answer"),
            conversation.delimiter + self.wording.yes,
            conversation.delimiter + self.wording.no,
        )

    def requests(self, question: Question) -> list[Instance]:
        def build(which: int) -> Callable[[], tuple]:
            return lambda: (self._prompt(question)[0], self._prompt(question)[which])

        return [question.late("loglikelihood", build(which)) for which in (1, 2)]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        query, yes, no = self._prompt(question)
        extra = {
            "context": question.conversation.context,
            "answer_text": _answer_text(question),
            "query": query,
            "yes": yes,
            "no": no,
        }
        log_yes, log_no = (request.resps[0][0] for request in requests)
        if max(log_yes, log_no) == -math.inf:
            return Reading(None, "both replies have probability zero", extra)
        return Reading(_sigmoid((log_yes - log_no) / self.temperature), extra=extra)


class QuestionOnly(ZeroShotClassifier):
    """The classifier with the answer hidden: what the question alone tells. A sanity row."""

    hides_answer = True


class Verbalized:
    """The probability that the model writes when asked for one, in a second turn."""

    def __init__(self, settings: Settings):
        self.signature = "format:percent"

    def requests(self, question: Question) -> list[Instance]:
        conversation = question.conversation
        words = VERBALIZED if conversation.messages is None else VERBALIZED_CHAT
        generation = {"until": ["\n"], "max_gen_toks": 16, "do_sample": False}

        def build() -> tuple:
            return conversation.then(question.answer(), words, cue="Probability"), generation

        return [question.late("generate_until", build)]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        return parse_probability(requests[0].resps[0])


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
        # do_sample must be explicit: with a temperature alone, lm-eval's cache would treat the
        # request as greedy and hand the same text back K times.
        generation = {**question.generation, "do_sample": True, "temperature": 1.0}
        task, doc_id, _ = question.instance["metadata"]
        samples = Instance(
            request_type="generate_until",
            arguments=(question.conversation.context, generation),
            idx=0,
            doc=question.instance["doc"],
            metadata=(task, doc_id, self.k),
        )
        if not self.weighted:
            return [samples]

        def build(i: int) -> Callable[[], tuple]:
            def arguments() -> tuple:
                text = first_line(samples.resps[i])
                return question.conversation.context, (
                    question.conversation.delimiter + text if text else "\n"
                )

            return arguments

        late = [
            LateInstance(
                "loglikelihood", build(i), after="generate_until", idx=0, **question.instance
            )
            for i in range(self.k)
        ]
        return [samples, *late]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        # With several processes lm-eval pads the last request of a rank with further responses.
        texts = [first_line(text) for text in requests[0].resps[: self.k]]
        extra = {"samples": texts}
        answer = question.answer()
        if not self.weighted:
            share = sum(question.agrees(text, answer) for text in texts) / len(texts)
            return Reading(share, extra=extra)
        logprobs = {text: r.resps[0][0] for text, r in zip(texts, requests[1:]) if text}
        if not logprobs or max(logprobs.values()) == -math.inf:
            return Reading(None, "no sampled answer has a probability", extra)
        # Relative to the likeliest: long answers underflow as plain probabilities.
        top = max(logprobs.values())
        mass = {text: math.exp(logprob - top) for text, logprob in logprobs.items()}
        agreeing = sum(p for text, p in mass.items() if question.agrees(text, answer))
        return Reading(agreeing / sum(mass.values()), extra=extra)


METHODS = {
    "likelihood": Likelihood,
    "zero_shot_classifier": ZeroShotClassifier,
    "question_only": QuestionOnly,
    "verbalized": Verbalized,
    "sampling": Sampling,
}

_NUMBER = re.compile(r"(?<![\w.])(-?\d+(?:[.,]\d+)?)\s*(%|percent\b|/\s*\d+)?", re.IGNORECASE)


def parse_probability(text: str) -> Reading:
    """Read the probability that a model wrote when it was asked for a percentage.

    "85%", "85 percent" and a bare "85" are 0.85; a fraction below or equal to one written with
    decimals ("0.85", "1.0") is a probability; "8/10" is 0.8. A bare "1" is one percent, because a
    percentage was asked for. If exactly one number carries a percent sign it wins over bare ones;
    otherwise several different numbers, a number outside the range, or none, are unreadable.

    Returns:
        A `Reading` with a confidence in [0, 1], or ``None`` and the reason.
    """
    marked, bare = set(), set()
    for number, unit in _NUMBER.findall(text):
        value = float(number.replace(",", "."))
        if unit.startswith("/"):
            whole = int(unit[1:])
            marked.add(value / whole if whole else math.inf)
        elif unit:
            marked.add(value / 100)
        else:
            is_fraction = value <= 1 and not number.isdigit()
            bare.add(value if is_fraction else value / 100)
    found = marked or bare
    shown = text.strip()[:60]
    if not found:
        return Reading(None, f"no number in {shown!r}")
    if len(found) > 1:
        return Reading(None, f"several numbers in {shown!r}")
    value = found.pop()
    if not 0 <= value <= 1:
        return Reading(None, f"out of range in {shown!r}")
    return Reading(value)


def _answer_text(question: Question) -> str:
    """The answer as it stands after the context, or "" if there is none."""
    answer = question.answer()
    return question.conversation.delimiter + answer if answer else ""


def _sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) without overflow, for any float including infinities."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
