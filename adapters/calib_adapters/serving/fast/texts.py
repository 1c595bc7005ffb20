"""Encode prompts and decode tokens exactly as the stock back end does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import has_bos_prefix, postprocess_generated_text

from calib_adapters.serving.fast.memory import Written
from calib_adapters.serving.fast.sharing import Tokens


def encoded(lm: HFLM, prompts: Sequence[Any]) -> list[Tokens]:
    """Encode `prompts`, each distinct text once; what is not a text gets no tokens."""
    known: dict[str, Tokens] = {}
    for text in prompts:
        if isinstance(text, str) and text not in known:
            options = {}
            if has_bos_prefix(text, getattr(lm.tokenizer, "bos_token", None)):
                options = {"add_special_tokens": False}
            elif lm.add_bos_token is not None:
                options = {"add_special_tokens": lm.add_bos_token}
            known[text] = tuple(lm.tokenizer(text, **options)["input_ids"])
    return [known.get(text, ()) for text in prompts]


def ending(lm: HFLM, stops: Sequence[str]) -> Callable[[Tokens], bool]:
    """Return whether the last of these tokens completes a stop string or ends the text."""
    ends = lm.model.generation_config.eos_token_id
    ends = {lm.eot_token_id, *(ends if isinstance(ends, list) else [ends])}
    special = set(lm.tokenizer.all_special_ids)
    stops = [stop for stop in stops if stop]
    last = {stop[-1] for stop in stops}
    # To decode a whole text at each of its tokens takes time by the square of its length. Only a
    # token that holds a stop's last character can complete it, if that is a single byte and no
    # space: other characters can be spread over tokens, and spaces are added and stripped.
    single = all(character.isascii() and character != " " for character in last)

    @cache
    def completes(token: int) -> bool:
        return not single or not last.isdisjoint(lm.tok_decode([token], skip_special_tokens=False))

    def ended(tokens: Tokens) -> bool:
        if tokens[-1] in ends:
            return True
        if not completes(tokens[-1]):
            return False
        text = lm.tok_decode(list(tokens))
        if any(stop in text for stop in stops):
            return True
        if special.isdisjoint(tokens):
            return False
        text = lm.tok_decode(list(tokens), skip_special_tokens=False)
        return any(stop in text for stop in stops)

    return ended


def text_of(lm: HFLM, written: Written, stops: list[str]) -> str:
    """Decode tokens to the text that the stock back end returns."""
    return postprocess_generated_text(
        generation=lm.tok_decode(list(written.tokens)), stop=stops, think_end_token=None
    )
