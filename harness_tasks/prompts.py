"""The words of the second turn: how the model is asked about its own answer.

Wordings are data. A new one is a new entry, and its name is recorded with every score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

HIDDEN_ANSWER = "[hidden]"

VERBALIZED = "How likely is it that the proposed answer is correct, from 0% to 100%?"
VERBALIZED_CHAT = VERBALIZED + " Reply with the percentage only."


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
class Conversation:
    """The first turn as it was sent, able to continue with an answer and a further question.

    The second turn leaves out the few-shot examples. They show how to answer, not how to judge;
    behind them a model keeps answering, and its yes/no reply hardly depends on the answer.

    Attributes:
        context: the exact prompt that asks for the answer, few-shot examples included.
        alone: the same prompt without few-shot examples.
        delimiter: what stands between a plain prompt and its continuation; "" under a template.
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
        if self.messages is None:
            return f"{self.alone}{self.delimiter}{answer}\n\n{question}\n{cue}:"
        history = [dict(message) for message in self.messages]
        if history[-1]["role"] == "assistant":  # a gen_prefix, which the answer completes
            history[-1]["content"] = f"{history[-1]['content']} {answer}"
        else:
            history.append({"role": "assistant", "content": answer})
        return self.render(history + [{"role": "user", "content": question}])
