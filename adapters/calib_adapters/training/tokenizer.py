"""Texts as token ids, exactly as lm-eval passes them to the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import transformers
from lm_eval.models.utils import has_bos_prefix
from transformers import PreTrainedTokenizerBase

from calib_adapters.loading import readable
from harness_tasks.elicitation.tokenizer_check import end_token_behind


def load_tokenizer(model: str, asked: Mapping[str, Any]) -> PreTrainedTokenizerBase:
    """The tokenizer that lm-eval's ``hf`` uses for `model`.

    Args:
        model: folder or Hub id.
        asked: the model's arguments when it is asked; see `calib_adapters.data.asked_with`.

    Raises:
        ValueError: it ends every text with a token of its own.
    """
    options = {
        name: asked[name]
        for name in ("revision", "subfolder", "trust_remote_code", "add_bos_token")
        if name in asked
    }
    if "use_fast_tokenizer" in asked:
        options["use_fast"] = asked["use_fast_tokenizer"]
    name = asked.get("tokenizer") or model
    with readable():
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
    tokenizer.asked = dict(asked)
    if token := end_token_behind(lambda text: tokens([text], tokenizer)["input_ids"][0], tokenizer):
        raise ValueError(
            f"the tokenizer of {name} ends every text with {token!r}, so that prompts would end "
            f"before their replies begin. Set add_eos_token to false in its tokenizer_config.json, "
            f"or ask and train with another tokenizer (tokenizer=... in --model_args)."
        )
    return tokenizer


def tokens(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, **options: Any) -> Any:
    """Encode `texts` with `tokenizer`, with the special tokens that lm-eval's ``hf`` adds.

    A chat template has written the BOS token already; a second one is added by neither.
    """
    asked = getattr(tokenizer, "asked", {})
    begin = tokenizer.bos_token or tokenizer.eos_token
    special = asked.get("add_bos_token")
    special = True if special is None else bool(special)
    if begin and has_bos_prefix(texts[0], begin):
        special = False
    return tokenizer(list(texts), add_special_tokens=special, **options)


def template_arguments(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """The arguments of the chat template besides the messages, as in lm-eval's ``hf``."""
    asked = getattr(tokenizer, "asked", {})
    arguments = dict(asked.get("chat_template_args") or {})
    if asked.get("enable_thinking") is not None:
        arguments["enable_thinking"] = asked["enable_thinking"]
    return arguments
