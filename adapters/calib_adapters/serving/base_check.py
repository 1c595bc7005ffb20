"""Check that an adapter or a probe belongs to the base model."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import file_exists
from peft import PeftConfig
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError, safe_open

from calib_adapters.data.grade import STATED
from calib_adapters.training.base_model import base_name
from harness_tasks.embedded_models import cached_as

# What layers over the vocabulary are called.
VOCABULARY = {"lm_head", "embed_tokens", "wte", "embed_in", "embed_out", "output_layer"}
_NO_SAFETENSORS = (
    f"has no {SAFETENSORS_WEIGHTS_NAME}. Pickled weights (adapter_model.bin) can run programs and "
    f"are not read; whoever made the adapter can save it again with safe_serialization=True."
)
_MISMATCH = re.compile(
    r"size mismatch for (\S+): [^\[]*?torch\.Size\(\[(\d+)[^\]]*\]\)[^\[]*torch\.Size\(\[(\d+)"
)


@contextmanager
def fitting(option: str, folder: str | None, pretrained: str) -> Iterator[None]:
    """Context manager: turn errors from loading an adapter of another base into a `ValueError`."""
    if folder:
        _check_adapter(option, folder, pretrained)
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if not folder or not re.search("size mismatch|Target modules", str(error)):
            raise
        raise ValueError(_misfit(option, folder, pretrained, str(error))) from error


def _check_adapter(option: str, folder: str, pretrained: str) -> None:
    try:
        trained_on = PeftConfig.from_pretrained(folder).base_model_name_or_path
    except (ValueError, OSError, TypeError, AttributeError, KeyError) as error:
        raise FileNotFoundError(
            f"{option}: {folder} is no adapter: it has no readable adapter_config.json. Give the "
            f"folder that `calibench tune` wrote, or a Hub id."
        ) from error
    check_base(option, folder, trained_on, pretrained)
    check_weights(option, folder)


def check_judges(folder: str) -> None:
    """Refuse an adapter that learned to state a number where yes/no questions are asked.

    Raises:
        ValueError: its ``training.json`` says so.
    """
    try:
        text = (Path(folder) / "training.json").read_text(encoding="utf-8")
        method = json.loads(text)["data"]["method"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if method == STATED:
        raise ValueError(
            f"confidence_adapter: {folder} learned which percentage to say, and a confidence "
            f"adapter is asked yes or no. Give it as peft=, with the base model's answers "
            f'(--metadata \'{{"methods": ["{STATED}"], "answers": "RUN"}}\').'
        )


def check_weights(option: str, folder: str) -> None:
    """Check that an adapter's weights are whole safetensors; PEFT would unpickle others.

    Raises:
        ValueError: there are none, or they are damaged.
    """
    if not Path(folder).is_dir():
        try:
            there = file_exists(folder, SAFETENSORS_WEIGHTS_NAME)
        except Exception:  # no network, in one of many ways: PEFT takes what the cache holds
            return
        if not there:
            raise ValueError(f"{option}: the repository {folder} {_NO_SAFETENSORS}")
        return
    file = Path(folder) / SAFETENSORS_WEIGHTS_NAME
    if not file.is_file():
        raise ValueError(f"{option}: {folder} {_NO_SAFETENSORS}")
    try:
        with safe_open(file, "pt") as weights:
            names = weights.keys()
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{option}: {file} is damaged or cut off ({error}); copy it or train it again."
        ) from error
    if not names:
        raise ValueError(f"{option}: {file} holds no weights; copy it or train it again.")


def check_base(option: str, folder: str, trained_on: str | None, pretrained: str) -> None:
    """Compare the last part of the names, since one may be a Hub id and the other a folder.

    A folder of `calibench model` is the published model too, with rounded weights: a warning.
    """
    names = [Path(name).name for name in (trained_on or pretrained, pretrained)]
    if len({name.casefold() for name in names}) == 1:
        return
    cached = [cached_as(name) for name in names]
    published = [
        Path(model.origin).name if model else name
        for model, name in zip(cached, names, strict=True)
    ]
    rounded = next((model for model in cached if model), None)
    if rounded and None in cached and len({name.casefold() for name in published}) == 1:
        logging.getLogger(__name__).warning(
            "%s: %s names its base %s, and pretrained is %s; one of them is %s with weights that "
            "were rounded to %s. Its confidences may differ from those it was trained to give.",
            option, folder, names[0], names[1], rounded.origin, rounded.quantisation,
        )  # fmt: skip
    else:
        raise ValueError(
            _another_base(option, folder, pretrained)
            + f" It was trained on {trained_on}; if that is the same model, give it as "
            f"pretrained under this name."
        )


def _misfit(option: str, folder: str, pretrained: str, error: str) -> str:
    """Explain why an adapter's weights do not fit: another vocabulary, or another base model."""
    sizes = {
        (int(theirs), int(ours)) if any(part in VOCABULARY for part in name.split(".")) else None
        for name, theirs, ours in _MISMATCH.findall(error)
    }
    known = [pair for pair in sizes if pair is not None]
    if len(sizes) != 1 or not known:
        return _another_base(option, folder, pretrained)
    theirs, ours = known[0]
    way_out = (
        " lm_eval cuts the model's vocabulary to its tokenizer's under peft=; give the adapter as "
        "confidence_adapter=, where it is left as it is, or train one without lm_head and "
        "embeddings."
        if option == "peft"
        else " Give the tokenizer and the base model that it was trained with."
    )
    return (
        f"{option}: {folder} holds weights for a vocabulary of {theirs:,} tokens (lm_head or "
        f"embeddings), and {base_name(pretrained)} has been loaded with {ours:,}.{way_out}"
    )


def _another_base(option: str, folder: str, pretrained: str) -> str:
    return f"{option}: {folder} does not belong to the base model {base_name(pretrained)}."
