"""How the model was run and asked, in the keys of vLLM's accuracy tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Keys of vLLM's files that it passes to lm-eval as model arguments, and that change answers.
MODEL_ARGUMENTS = (
    "max_model_len",
    "max_length",
    "kv_cache_dtype",
    "quantization",
    "add_bos_token",
    "enable_thinking",
    "think_end_token",
    "hf_overrides",
    "speculative_config",
)
# Those that describe the machine, which may differ between runs.
OF_THE_MACHINE = (
    "trust_remote_code",
    "enforce_eager",
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "data_parallel_size",
    "enable_expert_parallel",
    "gpu_memory_utilization",
    "max_num_seqs",
    "max_num_batched_tokens",
    "load_format",
    "batch_size",
    "env_vars",
    "moe_backend",
    "attention_backend",
)


def fold_arguments(data: Mapping[str, Any]) -> dict[str, Any]:
    """A baseline's content with `MODEL_ARGUMENTS` under `model_args`, without `OF_THE_MACHINE`.

    Raises ValueError for an argument that is given in both places with two values.
    """
    kept = {key: value for key, value in data.items() if key not in OF_THE_MACHINE}
    named = {key: kept.pop(key) for key in MODEL_ARGUMENTS if key in kept}
    given = kept.get("model_args") or {}
    if not isinstance(given, Mapping):
        return {**kept, **named}  # which the schema refuses with an error message
    for key in named.keys() & given.keys():
        if plain(named[key]) != plain(given[key]):
            raise ValueError(f"{key} is {named[key]!r}, and {given[key]!r} in model_args")
    arguments = {**given, **named}
    return {**kept, "model_args": arguments} if arguments else kept


def generation(value: Any) -> Any:
    """--gen_kwargs as a dict of plain texts, from a dict, JSON or "a=1,b=false"; None for none."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("{"):
            try:
                value = json.loads(text)
            except ValueError:
                return text
        else:
            pairs = [part.partition("=") for part in text.split(",") if part.strip()]
            if not all(separator for _, separator, _ in pairs):
                return text
            value = {key.strip(): found.strip() for key, _, found in pairs}
    if not value:
        return None
    return {str(key): plain(found) for key, found in value.items()}


def plain(value: Any) -> str:
    """A value as a text that is the same for true, True and "True", and for 1, 1.0 and "1"."""
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(value, sort_keys=True)
    text = str(value).strip()
    try:
        return f"{float(text):g}"
    except ValueError:
        return text.lower() if text.lower() in ("true", "false", "none", "null") else text
