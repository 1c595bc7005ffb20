"""Detect tokenizers that append an end token to every text, before any question is asked.

A prompt would end before its reply begins, and the replies "Yes" and "No" would both be that token:
every confidence would be 0.5, without an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, CachingLM

from harness_tasks.elicitation.harness import request
from harness_tasks.elicitation.late import add_request_type

TOKENIZER_CHECK = "tokenizer_check"
PROBE = "A plain text"


def end_token_behind(encode: Callable[[str], Sequence[int]], tokenizer: Any) -> str | None:
    """The special token that `encode` appends to a text; ``None`` if there is none."""
    ids = list(encode(PROBE))
    if not ids or ids[-1] not in getattr(tokenizer, "all_special_ids", ()):
        return None
    return tokenizer.convert_ids_to_tokens(ids[-1])


def check_tokenizer(instance: Mapping[str, Any]) -> list[Instance]:
    """The request that ends the run at such a tokenizer; `instance`: what its requests share."""
    return [request(TOKENIZER_CHECK, (), instance)]


def tokenizer_check(lm: LM, requests: list[Instance]) -> list[bool]:
    """End the run if the model's tokenizer ends every text.

    Encoder-decoder models are allowed, because they read such texts.

    Raises:
        ValueError: names the token, and what to do.
    """
    model = lm.lm if isinstance(lm, CachingLM) else lm
    encode = getattr(model, "tok_encode", None)
    if encode is None or getattr(model, "backend", "causal") != "causal":
        return [True] * len(requests)
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        return [True] * len(requests)
    if token := end_token_behind(encode, tokenizer):
        raise ValueError(
            f"{requests[0].task_name}: the model's tokenizer ends every text with {token!r}, so "
            f"that prompts end before their replies begin and all replies look alike. Set "
            f"add_eos_token to false in its tokenizer_config.json, or give another tokenizer "
            f"(tokenizer=... in --model_args)."
        )
    return [True] * len(requests)


add_request_type(TOKENIZER_CHECK, tokenizer_check)
