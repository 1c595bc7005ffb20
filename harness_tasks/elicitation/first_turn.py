"""What the first turn of a task generates, and how options and sampled replies are read."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from harness_tasks.elicitation.ending import Reply, unfinished
from harness_tasks.elicitation.grading import first_line

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


def whole_words(reply: Reply) -> str:
    """The first line of a sampled reply, without a last word that may have been cut.

    >>> from harness_tasks.elicitation.ending import Reply
    >>> whole_words(Reply("Addis Ab", ended=False, limit=4))
    'Addis'
    """
    if unfinished(reply) is None or "\n" in reply.lstrip():
        return first_line(reply)
    return "" if reply.thinking else re.sub(r"\w+\W*\Z", "", first_line(reply)).strip()


def softmax(logprobs: Sequence[float]) -> list[float]:
    """Probabilities proportional to exp(logprobs), of any length; they sum to 1."""
    top = max(logprobs)
    weights = [math.exp(logprob - top) for logprob in logprobs]
    return [weight / sum(weights) for weight in weights]
