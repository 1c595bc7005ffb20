"""Confidence that the model writes: a number, a term, or a probability for each guess."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from lm_eval.api.instance import Instance

from harness_tasks.elicitation.ending import unfinished
from harness_tasks.elicitation.methods.replies import parse_guesses, parse_likelihood_term
from harness_tasks.elicitation.methods.stated import holds_number, parse_probability, shares
from harness_tasks.elicitation.methods.yes_no import logged
from harness_tasks.elicitation.prompts import (
    COT,
    GUESSED,
    GUESSED_REPLY,
    GUESSES,
    LINGUISTIC,
    PERCENT_WORDINGS,
    PERCENTAGE_ONLY,
    UNTIL,
    Conversation,
    PercentWording,
)
from harness_tasks.elicitation.question import Question, Reading
from harness_tasks.elicitation.settings import Settings

GUESS_TOKENS = 32
# Version of the parser; raised when the same reply can give another confidence.
READ = "read:2"


def _short(settings: Settings) -> dict[str, Any]:
    """Generation arguments of a reply that states a confidence.

    A line's end does not stop it, since models often begin with one; the first line that says
    something is read.
    """
    return {"until": [UNTIL], "max_gen_toks": settings.reply_tokens, "do_sample": False}


def _statement(reply: str) -> str | Reading:
    """The part of `reply` that states the confidence: up to the end of the line with a number.

    A line that begins with a small letter or a sign goes on with the one before. All of a JSON
    object or a fenced block, and of a reply without a number.

    Returns:
        That part, or a `Reading` with the reason if the reply was cut within it.
    """
    lines = reply.strip().splitlines()
    if not reply.lstrip().startswith(("{", "```")):
        for number in range(1, len(lines)):
            if holds_number("\n".join(lines[:number])) and not _goes_on(lines[number]):
                return "\n".join(lines[:number])
    reason = unfinished(reply)
    return Reading(None, reason) if reason else reply


def _goes_on(line: str) -> bool:
    first = line.lstrip()[:1]
    return first.islower() or first in ("%", "±", "+", "/", "(")


def read_percent(reply: str, alone: bool) -> Reading:
    """The probability stated in `reply`; `alone` if the reply is all that the model wrote.

    If it is, what follows the first number must not state another one. (Without a chat template
    models go on with questions and answers of their own.)
    """
    statement = _statement(reply)
    if isinstance(statement, Reading):
        return statement
    reading = parse_probability(statement)
    if alone and reading.confidence is not None:
        rest = reply.strip()[len(statement.strip()) :]
        if shares(rest) - {reading.confidence}:
            return Reading(None, f"several numbers in {reply.strip()[:60]!r}")
    return reading


class Verbalized:
    """The probability that the model writes when asked for one, in a second turn.

    The log has the prompts and the form of a reply, so that a model can be taught what to say.
    """

    def __init__(self, settings: Settings):
        self.generation = _short(settings)
        self.wording = PERCENT_WORDINGS[settings.percent_wording]
        self.signature = f"format:percent|{_named(settings)}{READ}"

    def _asked(self, question: Question) -> Conversation:
        return _ask(question.conversation, question.answer(), self.wording)

    def requests(self, question: Question) -> list[Instance]:
        def build() -> tuple:
            return self._asked(question).context, deepcopy(self.generation)

        return [question.late("generate_until", build)]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        conversation = question.conversation
        alone = conversation.messages is not None
        asked = self._asked(question)
        extra = {
            "context": logged(conversation.context),
            "answer_text": question.answer_text,
            "query": logged(asked.context),
            "reply_form": conversation.delimiter + "{}%",
            "reply_end": logged(asked.end("0%")),
        }
        reading = read_percent(requests[0].resps[0], alone)
        return Reading(reading.confidence, reading.reason, {**extra, **(reading.extra or {})})


class Linguistic:
    """The likelihood term that the model chooses, as the middle of the range that ICD 203 gives it.

    The terms and ranges are those of the US Intelligence Community Directive 203 (2015).
    """

    def __init__(self, settings: Settings):
        self.generation = _short(settings)
        self.signature = f"scale:icd203|{READ}"

    def requests(self, question: Question) -> list[Instance]:
        def build() -> tuple:
            prompt = question.conversation.then(question.answer(), LINGUISTIC, cue="Likelihood")
            return prompt, deepcopy(self.generation)

        return [question.late("generate_until", build)]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        reply = requests[0].resps[0]
        line, end, _ = reply.lstrip().partition("\n")
        if not end and (reason := unfinished(reply)):
            return Reading(None, reason)
        return parse_likelihood_term(line)


class CotVerbalized:
    """The probability written after reasoning about the answer, a chain of thought.

    Two more turns (Tian et al. 2023): the reasoning, and then the question of `Verbalized`.
    """

    def __init__(self, settings: Settings):
        self.tokens = settings.reasoning_tokens
        self.generation = _short(settings)
        self.wording = PERCENT_WORDINGS[settings.percent_wording]
        named = f"reasoning_tokens:{self.tokens}|{_named(settings)}"
        self.signature = f"format:percent|{named}{READ}"

    def requests(self, question: Question) -> list[Instance]:
        generation = {"until": [UNTIL], "max_gen_toks": self.tokens, "do_sample": False}

        def reason() -> Conversation:
            return question.conversation.turn(question.answer(), COT, cue="Reasoning")

        def state() -> tuple:
            reasoning = requests[0].resps[0].strip()
            return _ask(reason(), reasoning, self.wording).context, deepcopy(self.generation)

        requests = [question.late("generate_until", lambda: (reason().context, generation))]
        requests.append(question.late("generate_until", state, after=requests[0]))
        return requests

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        reasoning = requests[0].resps[0]
        extra = {"reasoning": reasoning.strip()}
        if unfinished(reasoning):  # the number after it is complete all the same
            extra["reasoning_cut"] = True
        alone = question.conversation.messages is not None
        reading = read_percent(requests[1].resps[0], alone)
        return Reading(reading.confidence, reading.reason, {**extra, **(reading.extra or {})})


class VerbalizedTopK:
    """Several guesses with probabilities (Tian et al. 2023): that of the guess which is the answer.

    The prompt shows the question without an answer. The first guess that agrees with the answer
    counts; if none does, the confidence is missing.
    """

    def __init__(self, settings: Settings):
        self.guesses = settings.guesses
        self.signature = f"guesses:{self.guesses}|format:percent|{READ}"

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
        opening = "" if question.conversation.messages is not None else "G1:"
        # A cut reply may end with half of a guess or of its probability.
        whole = opening + reply
        whole = whole.rpartition("\n")[0] if unfinished(reply) else whole
        guesses = parse_guesses(whole)[: self.guesses]
        if not guesses:
            return Reading(None, unfinished(reply) or "no line 'G1:'", extra)
        answer = question.answer()
        for guess, stated in guesses:
            if question.agrees(guess, answer):
                if stated is None:
                    return Reading(None, f"the guess {guess[:60]!r} has no probability", extra)
                reading = parse_probability(stated)
                extra.update(reading.extra or {})
                return Reading(reading.confidence, reading.reason, extra)
        return Reading(None, f"none of {len(guesses)} guesses is the answer", extra)


def _ask(conversation: Conversation, reply: str, wording: PercentWording) -> Conversation:
    """`conversation` after `reply` and the question for a percentage."""
    words = wording.question + (PERCENTAGE_ONLY if conversation.messages is not None else "")
    return conversation.turn(reply, words, wording.cue)


def _named(settings: Settings) -> str:
    """The wording's part of a signature; nothing for the first one."""
    name = settings.percent_wording
    return "" if name == "likely" else f"wording:{name}|"


def _written(guesses: int) -> str:
    """The example's reply with so many guesses, in the form that is asked for."""
    lines = enumerate(GUESSED_REPLY[:guesses], start=1)
    return "\n".join(f"G{i}: {guess}\nP{i}: {percent}%" for i, (guess, percent) in lines)
