"""Decide what runs on the fast paths; the rest runs as in the stock ``hf``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs

from calib_adapters.serving.fast.decode import Choice
from calib_adapters.serving.fast.network import TRIAL, Network
from calib_adapters.serving.fast.segments import NotServed

# What generate() does when neither the request nor the model's generation_config says otherwise.
DEFAULTS = {"temperature": 1.0, "top_k": 50, "top_p": 1.0}
OURS = {"do_sample", "temperature", "top_k", "top_p"}
# Settings of a generation_config that leave the tokens as they are.
HARMLESS = OURS | {
    "_from_model_config", "bos_token_id", "eos_token_id", "pad_token_id", "transformers_version",
    "use_cache", "output_attentions", "output_hidden_states", "output_scores", "output_logits",
    "return_dict_in_generate", "max_length", "chat_format", "disable_compile",
}  # fmt: skip
NEUTRAL = {
    "min_length": 0, "num_beams": 1, "typical_p": 1.0, "repetition_penalty": 1.0,
    "length_penalty": 1.0, "no_repeat_ngram_size": 0, "encoder_no_repeat_ngram_size": 0,
    "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "encoder_repetition_penalty": 1.0,
    "num_return_sequences": 1,
}  # fmt: skip


def network_of(lm: HFLM) -> Network:
    """Split the model of `lm` into the parts that `decode` and `score` use.

    Raises:
        NotServed: every request must run as in ``hf``; the message gives the reason.
    """
    if lm.backend != "causal":
        raise NotServed("it is an encoder with a decoder")
    if lm.mixed_precision_dtype is not None:
        raise NotServed("mixed_precision_dtype is set")
    if len(set((getattr(lm.model, "hf_device_map", None) or {"": 0}).values())) > 1:
        raise NotServed("it is spread over several devices")
    if getattr(lm.model, "_tp_plan", None) and getattr(lm.model, "tp_size", None):
        raise NotServed("it runs by tensor parallelism")
    if lm.max_length < TRIAL:
        raise NotServed(f"its window of {lm.max_length} tokens is too short to try that")
    return Network(lm.model, lm._model_call)


def why_not_scored(context: int, continuation: int, limit: float) -> str | None:
    """Return why the stock back end must score so many tokens, or ``None``."""
    if not context or not continuation:
        return "there is nothing to score"
    if context + continuation - 1 > limit:
        return "the prompt is longer than the window"
    return None


def why_not_generated(lm: HFLM, generation: Mapping[str, Any]) -> str | None:
    """Return why the stock back end must run these generation arguments, or ``None``."""
    if lm.think_end_token is not None or lm.truncation:
        return "think_end_token or truncation is set"
    if not isinstance(generation, dict):
        return "its arguments are no dictionary"
    try:
        known = normalize_gen_kwargs(generation, lm.max_gen_toks)
    except (TypeError, ValueError):
        return "its arguments cannot be read"
    extra = set(known) - OURS - {"until", "max_gen_toks"}
    if extra:
        return f"the request sets {', '.join(sorted(extra))}"
    if known["max_gen_toks"] < 1:
        return "the request leaves no token to write"
    if known["do_sample"] and not known.get("temperature", 0) > 0:
        return "the request samples without a temperature"
    stops = stops_of(lm, generation)[: len(known["until"])]
    if "" in stops:
        return "a stop string is empty"
    if any(one != other and other in one[1:] for one in stops for other in stops):
        return "one stop string lies inside another"
    settings = lm.model.generation_config.to_diff_dict()
    unknown = {
        name: value
        for name, value in settings.items()
        if name not in HARMLESS and value not in (None, NEUTRAL.get(name))
    }
    if unknown:
        return f"the model's generation_config sets {', '.join(sorted(unknown))}"
    return None


def stops_of(lm: HFLM, generation: Mapping[str, Any]) -> list[str]:
    """Return the stop strings, including the text of the end-of-text token."""
    until = normalize_gen_kwargs(dict(generation), lm.max_gen_toks)["until"]
    return handle_stop_sequences(until, eos=lm.tok_decode(lm.eot_token_id, False))


def choice_of(lm: HFLM, generation: Mapping[str, Any]) -> Choice:
    """Return how `generate` would choose tokens, given these arguments and this model."""
    known = normalize_gen_kwargs(dict(generation), lm.max_gen_toks)
    if not known["do_sample"]:
        return Choice(sampled=False)
    settings = lm.model.generation_config

    def value(name: str) -> Any:
        for found in (known.get(name), getattr(settings, name, None)):
            if found is not None:
                return found
        return DEFAULTS[name]

    return Choice(True, value("temperature"), int(value("top_k")), value("top_p"))


def limit_of(lm: HFLM, network: Network) -> float:
    """Return the length in tokens of the longest sequence that can run fast."""
    return min(lm.max_length, network.window, math.inf)
