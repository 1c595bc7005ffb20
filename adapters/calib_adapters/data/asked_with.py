"""The model arguments that decide which tokens the model is asked with.

`calibench grade` reads them from the run's results, `calibench prepare` is given them; both record
them as ``asked_with``, and `calibench tune` trains with the same ones.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lm_eval.utils import simple_parse_args_string

from calib_adapters.data.training_data import GRADING, description_file
from harness_tasks.elicitation.logs import read_object

# Arguments that training supports too.
USED = (
    "revision",
    "subfolder",
    "tokenizer",
    "use_fast_tokenizer",
    "trust_remote_code",
    "add_bos_token",
    "chat_template_args",
    "enable_thinking",
)
# Arguments that add to the base model: training cannot load the result.
OTHER_WEIGHTS = ("peft", "lora_local_path", "delta", "ensemble", "gguf_file")
_DEFAULTS = {"revision": "main", "subfolder": "", "use_fast_tokenizer": True,
             "trust_remote_code": False}  # fmt: skip


def asked_with(arguments: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """The part of lm-eval's ``model_args`` that training needs, without default values."""
    read = simple_parse_args_string(arguments) if isinstance(arguments, str) else arguments
    given: Mapping[str, Any] = read or {}
    return {
        name: given[name]
        for name in (*USED, *OTHER_WEIGHTS)
        if given.get(name) is not None and given[name] != _DEFAULTS.get(name)
    }


def read_asked_with(data: Path) -> dict[str, Any]:
    """Return the model arguments with which the answers in `data` were generated.

    Returns:
        The recorded arguments; an empty mapping if none are recorded.

    Raises:
        ValueError: the answers are those of a model that training cannot load.
    """
    file = description_file(data)
    found = {} if file is None else read_object(file)[0].get("asked_with") or {}
    if not isinstance(found, dict):
        raise ValueError(f"{data}: 'asked_with' is {found!r:.60}, not a mapping; make it again.")
    if other := [f"{name}={found[name]}" for name in OTHER_WEIGHTS if name in found]:
        raise ValueError(
            f"{data} holds answers of a model loaded with {', '.join(other)}, but training "
            "starts from the base model alone: its adapter would learn another model's "
            "mistakes. Merge these weights into a model of their own, and ask that one."
        )
    return found


def warn_of_another_model(data: Path, model: str) -> None:
    """Warn if the answers in the graded dataset `data` come from another model than `model`.

    Names are compared by their last part, since one may be a Hub id and the other a folder.
    """
    if not (data / GRADING).is_file():
        return
    answered = read_object(data / GRADING)[0].get("model")
    if isinstance(answered, str) and answered and _last_part(answered) != _last_part(model):
        logging.getLogger(__name__).warning(
            "The answers in %s are those of %s, but %s is trained, so it learns how often "
            "another model is right. Grade its own answers unless that is what you want.",
            data,
            answered,
            model,
        )


def _last_part(name: str) -> str:
    """The last part of a path or a Hub name, without the hash that the model cache appends."""
    return re.sub(r"-[0-9a-f]{12}$", "", Path(name).name).casefold()
