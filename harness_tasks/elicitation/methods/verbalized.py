"""Confidence that the model writes down: a number, a word, or numbers beside several guesses."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from lm_eval.api.instance import Instance

from harness_tasks.elicitation.methods.replies import (
    parse_guesses,
    parse_likelihood_term,
    parse_probability,
)
from harness_tasks.elicitation.prompts import (
    COT,
    GUESSED,
    GUESSED_REPLY,
    GUESSES,
    LINGUISTIC,
    UNTIL,
    VERBALIZED,
    VERBALIZED_CHAT,
    Conversation,
)
from harness_tasks.elicitation.question import Question, Reading
from harness_tasks.elicitation.settings import Settings

SHORT = {"until": ["\n"], "max_gen_toks": 16, "do_sample": False}
GUESS_TOKENS = 32


class Verbalized:
    """The probability that the model writes when asked for one, in a second turn."""

    def __init__(self, settings: Settings):
        self.signature = "format:percent"

    def requests(self, question: Question) -> list[Instance]:
        conversation = question.conversation
        words = _asked_for_percent(conversation)

        def build() -> tuple:
            return conversation.then(question.answer(), words, cue="Probability"), deepcopy(SHORT)

        return [question.late("generate_until", build)]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        return parse_probability(requests[0].resps[0])


class Linguistic:
    """The likelihood term that the model chooses, as the middle of the range that ICD 203 gives it.

    The terms and ranges are those of the US Intelligence Community Directive 203 (2015).
    """

    def __init__(self, settings: Settings):
        self.signature = "scale:icd203"

    def requests(self, question: Question) -> list[Instance]:
        def build() -> tuple:
            prompt = question.conversation.then(question.answer(), LINGUISTIC, cue="Likelihood")
            return prompt, deepcopy(SHORT)

        return [question.late("generate_until", build)]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        return parse_likelihood_term(requests[0].resps[0])


class CotVerbalized:
    """The probability written after reasoning about the answer, a chain of thought.

    Two more turns (Tian et al. 2023): the reasoning, and then the question of `Verbalized`.
    """

    def __init__(self, settings: Settings):
        self.tokens = settings.reasoning_tokens
        self.signature = f"format:percent|reasoning_tokens:{self.tokens}"

    def requests(self, question: Question) -> list[Instance]:
        generation = {"until": [UNTIL], "max_gen_toks": self.tokens, "do_sample": False}

        def reason() -> Conversation:
            return question.conversation.turn(question.answer(), COT, cue="Reasoning")

        def state() -> tuple:
            reasoning = requests[0].resps[0].strip()
            words = _asked_for_percent(question.conversation)
            return reason().then(reasoning, words, cue="Probability"), deepcopy(SHORT)

        requests = [question.late("generate_until", lambda: (reason().context, generation))]
        requests.append(question.late("generate_until", state, after=requests[0]))
        return requests

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        reading = parse_probability(requests[1].resps[0])
        extra = {"reasoning": requests[0].resps[0].strip()}
        return Reading(reading.confidence, reading.reason, extra)


class VerbalizedTopK:
    """Several guesses with probabilities (Tian et al. 2023): that of the guess which is the answer.

    Asked on the question alone. The first guess that agrees with the answer counts; if none does,
    the model has said nothing about this answer and the confidence is missing.
    """

    def __init__(self, settings: Settings):
        self.guesses = settings.guesses
        self.signature = f"guesses:{self.guesses}|format:percent"

    def requests(self, question: Question) -> list[Instance]:
        words = GUESSES.format(n=self.guesses)
        prompt = question.conversation.before(words, cue="G1").context
        if question.conversation.messages is None:
            prompt = f"{GUESSED}\n\n{words}\n{_written(self.guesses)}\n\n{prompt}"
        tokens = GUESS_TOKENS * self.guesses
        generation = {"until": [UNTIL], "max_gen_toks": tokens, "do_sample": False}
        return [question.now("generate_until", (prompt, generation))]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        reply = requests[0].resps[0]
        extra = {"reply": reply}
        # Without a chat template the prompt itself ends with the first mark.
        begun = "" if question.conversation.messages is not None else "G1:"
        guesses = parse_guesses(begun + reply)[: self.guesses]
        if not guesses:
            return Reading(None, "no line 'G1:'", extra)
        answer = question.answer()
        for guess, stated in guesses:
            if question.agrees(guess, answer):
                if stated is None:
                    return Reading(None, f"the guess {guess[:60]!r} has no probability", extra)
                reading = parse_probability(stated)
                return Reading(reading.confidence, reading.reason, extra)
        return Reading(None, f"none of {len(guesses)} guesses is the answer", extra)


def _asked_for_percent(conversation: Conversation) -> str:
    return VERBALIZED if conversation.messages is None else VERBALIZED_CHAT


def _written(guesses: int) -> str:
    """The example's reply with so many guesses, in the form that is asked for."""
    lines = enumerate(GUESSED_REPLY[:guesses], start=1)
    return "\n".join(f"G{i}: {guess}\nP{i}: {percent}%" for i, (guess, percent) in lines)
