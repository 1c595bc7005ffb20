"""Prompts longer than the model's context window: excluded from the scores, and counted.

Back ends cut such prompts from the left without a word in the results, so that the model answers
another question than the one that is logged. Only the model knows its window, so the length is a
request like any other, of a type of its own.
"""

from __future__ import annotations

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from harness_tasks.elicitation.late import add_request_type
from harness_tasks.elicitation.question import Reading

PROMPT_FIT = "prompt_fit"


def prompt_fit(lm: LM, requests: list[Instance]) -> list[tuple[int, int] | None]:
    """Tokens that each request, ``(prompt, tokens left for the reply)``, needs, and the window.

    Returns:
        ``(tokens of prompt and reply, tokens of the window)`` per request, or ``None`` where the
        back end has no tokenizer or does not tell its window.
    """
    window = getattr(lm, "max_length", None)
    if not isinstance(window, int) or getattr(lm, "tokenizer", None) is None:
        return [None] * len(requests)
    return [
        (len(lm.tok_encode(prompt)) + room, window)
        for prompt, room in (request.args for request in requests)
    ]


def too_long(request: Instance) -> Reading | None:
    """A reading without a confidence if the prompt of `request` did not fit, else ``None``."""
    fit = request.resps[0]
    if fit is None or fit[0] <= fit[1]:
        return None
    return Reading(
        None, f"the prompt and its reply take {fit[0]} tokens, the model's window has {fit[1]}"
    )


add_request_type(PROMPT_FIT, prompt_fit)
