"""The model that a results file is about, and its adapters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from calib_leaderboards.runs.run import Adapter, AdapterUse, Model, last_part
from calib_leaderboards.runs.values import text

NAMED_BY = ("pretrained", "model", "path", "engine")  # model arguments that name the base model
USES: tuple[AdapterUse, ...] = ("peft", "ensemble", "confidence_adapter", "probe")
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
# The suffix that the model cache appends to a folder's name.
_CACHED = re.compile(r"-([0-9a-f]{12})[/\\]*$")


def read_model(results: Mapping[str, Any], arguments: Mapping[str, Any]) -> Model:
    """The base model."""
    config = results["config"]
    named = next((str(arguments[key]) for key in NAMED_BY if arguments.get(key)), "")
    short = last_part(named) if named else str(results.get("model_name") or config.get("model"))
    on_hub = _HUB_NAME.fullmatch(named) is not None
    cached = _CACHED.search(named)
    asked = text(arguments.get("revision")) or None
    count = config.get("model_num_parameters")
    dtype = config.get("model_dtype") or arguments.get("dtype")
    return Model(
        name=named if on_hub else short,
        short=short,
        revision=(asked or text(config.get("model_revision")) or None) if on_hub else asked,
        sha=text(config.get("model_sha")) or (cached.group(1) if cached else None),
        parameters=count if isinstance(count, int) and count > 0 else None,
        dtype=None if dtype in (None, "auto") else str(dtype).removeprefix("torch."),
    )


def read_adapters(results: Mapping[str, Any], arguments: Mapping[str, Any]) -> tuple[Adapter, ...]:
    """The adapters on the model."""
    on_hub = bool(results["config"].get("peft_sha"))
    found = []
    for use in USES:
        paths = str(arguments.get(use) or "")
        for path in paths.split("+") if use == "ensemble" else [paths]:
            if path:
                whole = use == "peft" and on_hub and _HUB_NAME.fullmatch(path)
                found.append(Adapter(path if whole else last_part(path) or path, use))
    return tuple(found)
