"""Prompts longer than the model's context window: excluded from the scores, and counted.

Only the model knows its window, so the length of a first turn is a request of its own type, which
runs even without a request for an answer (frozen answers). Further turns are measured when they
run; see `harness_tasks.elicitation.lengths`.
"""

from __future__ import annotations

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from harness_tasks.elicitation.late import add_request_type
from harness_tasks.elicitation.lengths import Length, lengths

PROMPT_FIT = "prompt_fit"


def prompt_fit(lm: LM, requests: list[Instance]) -> list[Length]:
    """The length of each request of ``(prompt, continuations, tokens left for the reply)``.

    It is also stored on the request for `outside_window`.
    """
    found = lengths(lm, (request.args for request in requests))
    for request, length in zip(requests, found, strict=True):
        request.length = length
    return found


add_request_type(PROMPT_FIT, prompt_fit)
