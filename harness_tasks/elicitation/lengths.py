"""The number of tokens of a request, compared with the model's context window.

Back ends silently truncate a long prompt from the left, so that the model answers a different
question from the one in the log.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from harness_tasks.elicitation.ending import longest_reply

eval_logger = logging.getLogger(__name__)
# Tokens that a request needs, and those of the window; None where that cannot be known.
Length = tuple[int, int] | None


def lengths(lm: LM, texts: Iterable[tuple[str, Sequence[str], int]]) -> list[Length]:
    """The length of each ``(prompt, continuations, tokens left for a reply)``.

    The longest continuation counts.

    Returns:
        ``(tokens, tokens of the window)`` per text, or ``None`` where the back end has no tokenizer
        or does not tell its window.
    """
    texts = list(texts)
    window = getattr(lm, "max_length", None)
    if not isinstance(window, int) or getattr(lm, "tokenizer", None) is None:
        return [None] * len(texts)
    counted: dict[str, int] = {}

    def count(text: str) -> int:
        if text not in counted:
            counted[text] = len(lm.tok_encode(text))
        return counted[text]

    def needed(prompt: str, continuations: Sequence[str], room: int) -> int:
        alone = count(prompt)
        # A token is at least a byte: short texts need not be counted.
        longest = max((len(text.encode()) for text in continuations), default=0)
        if alone + longest + room <= window:
            return alone + room
        return max((count(prompt + text) for text in continuations), default=alone) + room

    return [(needed(*text), window) for text in texts]


def note_lengths(lm: LM, requests: Sequence[Instance]) -> None:
    """Store the length of each request in ``request.length``, and warn if one is too long.

    Args:
        lm: the model that is about to be asked.
        requests: of ``(prompt, continuation)`` or ``(prompt, generation arguments)``.
    """
    once = list({id(request): request for request in requests}.values())  # repeated ones
    default = getattr(lm, "max_gen_toks", 256)
    found = lengths(lm, (_text(request, default) for request in once))
    outside: Counter[str] = Counter()
    for request, length in zip(once, found, strict=True):
        request.length = length
        if length is not None and length[0] > length[1]:
            outside[request.task_name] += 1
    for task, number in outside.items():
        eval_logger.warning(
            "%s: %d of %d prompts do not fit into the model's window of %d tokens together with "
            "their replies; what is read from them is missing. If the model can take more, set "
            "max_length in --model_args; fewer examples (--num_fewshot) need less.",
            task,
            number,
            sum(request.task_name == task for request in once),
            next(length for length in found if length is not None)[1],
        )


def outside_window(requests: Iterable[Instance]) -> str | None:
    """The reason why nothing is read from `requests`, if a prompt did not fit; else ``None``."""
    for request in requests:
        length = getattr(request, "length", None)
        if length is not None and length[0] > length[1]:
            return (
                f"the prompt and its reply take {length[0]} tokens, the model's window has "
                f"{length[1]}"
            )
    return None


def _text(request: Instance, default: int) -> tuple[str, Sequence[str], int]:
    prompt, rest = request.args[:2]
    if isinstance(rest, str):
        return prompt, (rest,), 0
    return prompt, (), longest_reply(rest, default)
