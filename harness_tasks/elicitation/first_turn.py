"""What the first turn of a task generates, and how options and sampled replies are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness_tasks.elicitation.ending import unfinished
from harness_tasks.elicitation.grading import first_line
from harness_tasks.elicitation.option_orders import averaged, likeliest
from harness_tasks.elicitation.options import choose
from harness_tasks.elicitation.prompts import Conversation
from harness_tasks.elicitation.question import Question
from harness_tasks.elicitation.settings import Settings

# Without examples nothing shows that an answer is one line, and models often begin with an empty
# one. There must be some stop string: APIs refuse an empty list.
NEXT_QUESTION = ("Question:",)
LETTER_TOKENS = 4


def generation_of(labels: Sequence[str], num_fewshot: int | None) -> dict[str, Any]:
    """Generation arguments that leave room for every option.

    A token is at least one byte, so the longest option is never cut. If examples show that an
    answer is one line, a newline stops it.
    """
    longest = max(len(label.encode()) for label in labels)
    stops = ["\n", *NEXT_QUESTION] if num_fewshot else [*NEXT_QUESTION]
    return {"until": stops, "max_gen_toks": longest + LETTER_TOKENS}


def whole_words(reply: str) -> str:
    """The first line of a sampled reply, without a last word that may have been cut.

    >>> from harness_tasks.elicitation.ending import Reply
    >>> whole_words(Reply("Addis Ab", ended=False, limit=4))
    'Addis'
    """
    if unfinished(reply) is None or "\n" in reply.lstrip():
        return first_line(reply)
    if getattr(reply, "thinking", False):
        return ""
    return re.sub(r"\w+\W*\Z", "", first_line(reply)).strip()


def option_question(
    conversation: Conversation,
    instance: Mapping[str, Any],
    labels: Sequence[str],
    by_order: Callable[[], Sequence[Mapping[str, float]]],
    *,
    frozen: str | None,
    settings: Settings,
    num_fewshot: int | None,
) -> Question:
    """A multiple-choice question, whose answer is its likeliest option unless it is `frozen`.

    by_order: gives the probabilities of the options in each order in which they were shown.
    """
    return Question(
        conversation=conversation,
        answer=lambda: likeliest(averaged(by_order())) if frozen is None else frozen,
        answered_by="loglikelihood" if frozen is None else None,
        agrees=lambda text, label: choose(text, labels) == label,
        options=lambda: averaged(by_order()),
        by_order=by_order if settings.permute_options > 1 else list,
        labels=labels,
        generation=generation_of(labels, num_fewshot),
        instance=instance,
        thinking=settings.thinking_tokens,
        extract=whole_words,
    )
