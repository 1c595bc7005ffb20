"""The base model, alone or under a new LoRA adapter."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model

from calib_adapters.schema import Lora


def load_base(model: str, dtype: str, device: torch.device) -> transformers.PreTrainedModel:
    """The causal language model in the folder, or with the Hub id, `model`."""
    base = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype))
    return base.to(device)


def add_lora(base: transformers.PreTrainedModel, lora: Lora, name: str) -> PeftModel:
    """`base` under a new adapter, whose weights are float32.

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
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base, config)


def save_adapter(model: PeftModel, base: str, folder: Path) -> None:
    """Write the adapter; `base` is recorded as its base model, by name if it is a folder."""
    model.peft_config["default"].base_model_name_or_path = base_name(base)
    model.save_pretrained(folder)


def base_name(model: str) -> str:
    """The last part of a folder, which means nothing on other machines; a Hub id as it is."""
    return Path(model).name if Path(model).exists() else model


def pad_token(tokenizer: transformers.PreTrainedTokenizerBase) -> int:
    """The id to fill batches with; it is masked, so the end of text serves where there is none."""
    pad = tokenizer.pad_token_id
    return tokenizer.eos_token_id if pad is None else pad
