"""The wording of the second turn, which asks the model about its own answer.

To add a wording, add an entry; every score records its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness_tasks.elicitation.control_tokens import neutral

HIDDEN_ANSWER = "[hidden]"

# Added under a chat template, where no cue such as "Probability:" asks for the number alone.
PERCENTAGE_ONLY = " Reply with the percentage only."
LINGUISTIC = (
    "How likely is it that the proposed answer is correct? Reply with one of: almost certain, "
    "very likely, likely, roughly even chance, unlikely, very unlikely, almost no chance."
)
COT = "Is the proposed answer correct? Reason step by step in a few sentences."
GUESSES = (
    "Give your {n} best guesses at the answer, the best one first, and for each the probability "
    "from 0% to 100% that it is correct. Write two lines per guess and nothing else, G1: and P1: "
    "to G{n}: and P{n}:, each guess as short as possible."
)
# Shown before a plain prompt, where only an example tells a base model the format.
GUESSED = "Question: Which planet is the largest?"
GUESSED_REPLY = (
    ("Jupiter", 60), ("Saturn", 25), ("Neptune", 6), ("Uranus", 4),
    ("Earth", 2), ("Venus", 1), ("Mars", 1), ("Mercury", 1),
)  # fmt: skip
REASONED = "Reason step by step towards the answer in a few sentences."
CONCLUDED = "So what is the answer? Give it alone, as short as possible."
# Where a reply of several lines ends: base models go on with a question of their own. Not at an
# empty line, which small models begin with.
UNTIL = "\nQuestion:"
# Added to a yes/no question whose reply is written instead of scored.
REPLY_WITH = "Reply with {yes} or {no} only."


@dataclass(frozen=True)
class Wording:
    """A yes/no question about the proposed answer, and the two continuations that answer it."""

    question: str
    yes: str
    no: str


# roman_choice is the query of Kapoor et al. (2024). Its options are scored with both brackets:
# "i" alone is a prefix of "ii", and a prefix is never less likely than what it begins.
WORDINGS = {
    "yes_no": Wording("Is the proposed answer correct?", yes="Yes", no="No"),
    "roman_choice": Wording(
        "Is the proposed answer correct?\nChoices:\n(i): no\n(ii): yes", yes="(ii)", no="(i)"
    ),
}


@dataclass(frozen=True)
class PercentWording:
    """A question for a percentage, and the cue of a plain prompt."""

    question: str
    cue: str


PERCENT_WORDINGS = {
    "likely": PercentWording(
        "How likely is it that the proposed answer is correct, from 0% to 100%?", "Probability"
    ),
    "confidence": PercentWording(
        "As a percentage, what is your confidence in the proposed answer?", "Confidence"
    ),
}
# Asked on the question alone, in the same forms.
KNOWS = {
    "yes_no": Wording("Do you know the answer?", yes="Yes", no="No"),
    "roman_choice": Wording(
        "Do you know the answer?\nChoices:\n(i): no\n(ii): yes", yes="(ii)", no="(i)"
    ),
}

# A last line such as "Answer:", which asks for the answer and is not part of the question.
_CUE = re.compile(r"\n[ \t]*\w+(?: \w+)?:[ \t]*\Z")


@dataclass(frozen=True)
class Conversation:
    """The first turn as it was sent, able to continue with an answer and a further question.

    The second turn leaves out the few-shot examples. They show how to answer, not how to judge;
    after them a model keeps answering, and its yes/no reply hardly depends on the answer.

    Attributes:
        context: the exact prompt that asks for the answer, few-shot examples included.
        alone: the same prompt without few-shot examples.
        delimiter: the text between a plain prompt and its continuation; "" with a template.
        messages: the chat messages that gave `alone`, or ``None`` without a chat template.
        render: the back end's chat template.
    """

    context: str
    alone: str
    delimiter: str = " "
    messages: Sequence[dict[str, str]] | None = None
    render: Callable[..., str] | None = None

    def then(self, answer: str, question: str, cue: str) -> str:
        """Prompt of a second turn: the question asked first, `answer`, and `question`.

        Without a chat template the prompt ends with `cue` and a colon ("Answer:"), so that a
        base model continues with the reply; a template marks the place of the reply itself.
        """
        return self.turn(answer, question, cue).context

    def turn(self, answer: str, question: str, cue: str) -> Conversation:
        """The conversation after that second turn was asked, for a third one."""
        answer = neutral(answer)
        if self.messages is None:
            prompt = f"{self.alone}{self.delimiter}{answer}\n\n{question}\n{cue}:"
            return replace(self, context=prompt, alone=prompt)
        history = [dict(message) for message in self.messages]
        if history[-1]["role"] == "assistant":  # a gen_prefix, which the answer completes
            history[-1]["content"] = f"{history[-1]['content']} {answer}"
        else:
            history.append({"role": "assistant", "content": answer})
        return self._chat([*history, {"role": "user", "content": question}])

    def before(self, question: str, cue: str) -> Conversation:
        """The conversation that asks `question` about the first turn's, without any answer to it.

        A last line of at most two words and a colon ("Answer:") is left out, since it asks for the
        answer; so is a prefix of the answer under a chat template. `cue` is used as in `then`.
        """
        if self.messages is None:
            prompt = f"{_CUE.sub('', self.alone)}\n\n{question}\n{cue}:"
            return replace(self, context=prompt, alone=prompt)
        history = [dict(message) for message in self.messages]
        if history[-1]["role"] == "assistant":
            history.pop()
        history[-1]["content"] = f"{_CUE.sub('', history[-1]['content'])}\n\n{question}"
        return self._chat(history)

    def end(self, reply: str) -> str:
        """What a plain prompt, or the template, puts behind `reply`."""
        if self.messages is None:
            return f"\n{UNTIL}"
        answered = [*self.messages, {"role": "assistant", "content": reply}]
        return self.render(answered).rpartition(reply)[2]

    def _chat(self, messages: list[dict[str, str]]) -> Conversation:
        prompt = self.render(messages)
        return replace(self, context=prompt, alone=prompt, messages=messages)
