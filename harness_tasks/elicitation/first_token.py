"""A yes/no question read from the first token of one reply, for servers that score no prompt.

Chat APIs give no log-probabilities of a given reply, but most give those of the likeliest tokens
at each place of the reply that they write (``top_logprobs``), which lm-eval ignores. "Yes" and "No"
are nearly always among the 20 likeliest first tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, CachingLM

from harness_tasks.elicitation.ending import listen_to_api
from harness_tasks.elicitation.harness import request, shared
from harness_tasks.elicitation.late import add_request_type
from harness_tasks.elicitation.prompts import UNTIL

FIRST_TOKEN = "first_token_logprobs"
TOP = 20  # the most that OpenAI and vLLM return
# One token; the stop string is never reached, but APIs refuse an empty list.
ONE = {"until": [UNTIL], "max_gen_toks": 1, "do_sample": False, "temperature": 0.0}
WIDEST = 0.02
SPACES = " \t\n▁Ġ"


class ReadOut(NamedTuple):
    """What was read from the first token.

    Attributes:
        log_odds: log P(yes) - log P(no), or ``None``.
        mass: P(yes) + P(no), as far as they were seen.
        reason: why there are no log-odds, or what is inexact about them; ``None`` otherwise.
    """

    log_odds: float | None
    mass: float
    reason: str | None = None


def first_token_logprobs(lm: LM, requests: list[Instance]) -> list[dict[str, float] | None]:
    """Log-probabilities of the likeliest first tokens of the reply to each prompt.

    ``None`` where the server returned none.

    Raises:
        NotImplementedError: the back end is not an API.
    """
    model = lm.lm if isinstance(lm, CachingLM) else lm
    if not hasattr(model, "_create_payload"):  # only API models have it
        raise NotImplementedError(
            "'yes_no': 'first_token' is for APIs; this back end scores replies itself. Leave "
            "'yes_no' out of --metadata."
        )
    listen_to_api(lm)
    replies = lm.generate_until([_with_logprobs(each) for each in requests])
    return [getattr(reply, "first", None) for reply in replies]


def _with_logprobs(asked: Instance) -> Instance:
    prompt, generation = asked.args
    # lm-eval gives a chat API its messages as a tuple of one text, and others a plain text.
    plain = isinstance(prompt, str)
    wanted = {"logprobs": TOP} if plain else {"logprobs": True, "top_logprobs": TOP}
    belongs = shared(asked.doc, asked.task_name, asked.doc_id)
    return request("generate_until", (prompt, {**generation, **wanted}), belongs)


def read_first_token(tops: Mapping[str, float] | None, yes: str, no: str) -> ReadOut:
    r"""Log-odds of the tokens `yes` and `no` among the likeliest ones, `tops`.

    The tokens are those that a scored reply begins with. If neither is there, those that differ
    from them by white space alone count. If one is not there, its probability p lies between 0 and
    that of the least likely token of `tops` (and what `tops` leaves over): the confidence is in the
    middle of what that allows, and missing if that is more than `WIDEST`.

    >>> read_first_token({"Yes": math.log(0.6), "No": math.log(0.2)}, "Yes", "No").log_odds
    1.0986122886681096
    """
    if not tops:
        return ReadOut(None, 0.0, "the server returned no log-probabilities with this reply")
    found = {token: math.exp(logprob) for token, logprob in tops.items()}
    if yes not in found and no not in found:
        bare: dict[str, float] = {}
        for token, p in found.items():
            bare[token.strip(SPACES)] = bare.get(token.strip(SPACES), 0.0) + p
        found, yes, no = bare, yes.strip(SPACES), no.strip(SPACES)
    p_yes, p_no = found.get(yes, 0.0), found.get(no, 0.0)
    if p_yes and p_no:
        return ReadOut(math.log(p_yes) - math.log(p_no), p_yes + p_no)
    shown = f"the {len(tops)} likeliest first tokens"
    seen = p_yes or p_no
    if not seen:
        return ReadOut(None, 0.0, f"neither {yes!r} nor {no!r} is among {shown}")
    unseen = max(0.0, min(*found.values(), 1 - sum(found.values())))
    width = unseen / (seen + unseen)
    other = no if p_yes else yes
    if width > WIDEST:
        return ReadOut(
            None, seen, f"{other!r} is not among {shown}, and could change the result too much"
        )
    half = max(width / 2, 1e-12)
    log_odds = math.log1p(-half) - math.log(half)
    note = f"{other!r} is not among {shown}; it could change this by {width / 2:.1g}"
    return ReadOut(log_odds if p_yes else -log_odds, seen, note)


def gives_first_tokens(lm: LM, prompt: Any) -> bool:
    """Whether the server returns log-probabilities of first tokens; makes one trial request."""
    try:
        ((found),) = first_token_logprobs(lm, [request("generate_until", (prompt, dict(ONE)))])
    except Exception:  # servers refuse the request in many ways
        return False
    return bool(found)


add_request_type(FIRST_TOKEN, first_token_logprobs)
