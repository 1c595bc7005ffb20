"""The base model, alone or under a new LoRA adapter."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

from calib_adapters.loading import readable
from calib_adapters.training.schema import Lora
from harness_tasks.embedded_models import cached_as

SHORT = 512  # tokens


def load_base(
    model: str,
    dtype: str,
    device: torch.device,
    quantise: str | None = None,
    asked: Mapping[str, Any] | None = None,
) -> transformers.PreTrainedModel:
    """Load the causal language model `model`, a folder or a Hub id.

    With ``quantise="nf4"`` the weights of its linear layers have four bits (QLoRA, Dettmers et al.
    2023), except for the output head, and are computed with in `dtype`. `asked` holds the model's
    arguments in lm-eval; only those that choose its weights are used.

    Raises:
        ValueError: a GPU or bitsandbytes is missing, and quantising needs both.
    """
    settings: dict[str, Any] = {"dtype": getattr(torch, dtype)}
    given = asked or {}
    for name in ("revision", "subfolder", "trust_remote_code"):
        if name in given:
            settings[name] = given[name]
    if quantise is None:
        with readable():
            base = transformers.AutoModelForCausalLM.from_pretrained(model, **settings)
        return base.to(device)
    if device.type != "cuda" or importlib.util.find_spec("bitsandbytes") is None:
        raise ValueError(
            f"quantise: {quantise} needs an NVIDIA GPU and bitsandbytes (pip install "
            "bitsandbytes), and at least one of them is missing; leave it out (quantise=null)."
        )
    settings["quantization_config"] = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantise,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )
    settings["device_map"] = {"": device}
    with readable():
        return transformers.AutoModelForCausalLM.from_pretrained(model, **settings)


def add_lora(
    base: transformers.PreTrainedModel, lora: Lora, name: str, modules_to_save: Sequence[str] = ()
) -> PeftModel:
    """Put a new adapter, with float32 weights, on `base`.

    `modules_to_save` are modules of `base` that are trained whole and stored with the adapter.

    Raises:
        ValueError: a target module that the model (called `name` in the message) does not have.
    """
    missing = [
        target
        for target in lora.target_modules
        if not any(part.endswith(target) for part, _ in base.named_modules())
    ]
    if missing:
        raise ValueError(f"lora.target_modules: {name} has no module named {', '.join(missing)}.")
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules),
        layers_to_transform=_upper(base, lora.first_layer),
        modules_to_save=list(modules_to_save) or None,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base, config)


def _upper(base: transformers.PreTrainedModel, first: int) -> list[int] | None:
    count = base.config.get_text_config().num_hidden_layers
    if first >= count:
        raise ValueError(
            f"lora.first_layer is {first}, and the model has {count} layers, counted from 0; give "
            f"a lower one."
        )
    return list(range(first, count)) if first else None


def suit_attention(model: nn.Module, longest: int, device: torch.device) -> None:
    """Use plain attention for short rows on a CPU, where the fused one has a slow backward pass.

    Args:
        model: what is trained, a language model or something around one.
        longest: tokens of the longest row; for long ones the fused form saves memory.
        device: where the model is.
    """
    if device.type != "cpu" or longest > SHORT:
        return
    for module in model.modules():
        if isinstance(module, transformers.PreTrainedModel):
            module.set_attn_implementation("eager")


def without_adapter(model: nn.Module) -> transformers.PreTrainedModel:
    """The causal language model inside `model`, its LoRA layers included; `model` if it is bare."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def save_adapter(model: PeftModel, base: str, folder: Path) -> None:
    """Write the adapter, and where `base` is: a Hub id, or a folder's absolute path, as PEFT does.

    ``AutoPeftModelForCausalLM`` then finds exactly the weights that the adapter was trained on.
    What is published names them by `published_name` instead.
    """
    where = str(Path(base).absolute()) if Path(base).is_dir() else base
    model.peft_config["default"].base_model_name_or_path = where
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's own card, which contains the path too


def published_name(model: str) -> str:
    """The base model's name for readers elsewhere: no path of this machine.

    For a model of the catalogue it is that of the published model, whose weights are not rounded;
    the card says so. A Hub id stays, and of any other folder only its last part is left.
    """
    found = cached_as(Path(model).name)
    return found.origin if found else base_name(model)


def base_name(model: str) -> str:
    """The last part of a folder, which means nothing on other machines; a Hub id as it is."""
    return Path(model).name if Path(model).exists() else model


def pad_token(tokenizer: transformers.PreTrainedTokenizerBase) -> int:
    """The id to fill batches with; it is masked, so the end of text serves where there is none."""
    pad = tokenizer.pad_token_id
    return tokenizer.eos_token_id if pad is None else pad
