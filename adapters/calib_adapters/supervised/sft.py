"""Supervised fine-tuning: the loss is taken on the completions, not on the prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from torch import Tensor, nn

from calib_adapters.supervised.batch import collate, read_logits, summarise
from calib_adapters.supervised.encode import encode_rows
from calib_adapters.supervised.losses import penalties, token_nll
from calib_adapters.supervised.lower import keep_lower
from calib_adapters.supervised.rows import load_prepared_rows
from calib_adapters.supervised.scores import (
    fit_option_temperature,
    full_scores,
    quick_scores,
    scores_by_group,
)
from calib_adapters.training.base_model import add_lora, load_base, pad_token, save_adapter
from calib_adapters.training.job import Job, Loss, TrainingContext
from calib_adapters.training.tokenizer import load_tokenizer

METHOD = "option_likelihood"  # `conf` in the signature of the scores
DESCRIPTION = """\
{what} of `{{base}}` on {tasks}: it learned to write the completion of a prompt; the loss was
taken on the completion alone{penalty}.

## Use

```
{use}
```

ECE, AUROC and Brier score are those of the probability of the most likely option, the softmax over
the log-likelihoods of a question's options. `calibration.json` holds them for each task, and a
temperature for that softmax, fitted on the validation split.
"""
PENALTIES = {
    "none": "",
    "ls": ", with label smoothing",
    "mbls": ", with margin-based label smoothing",
    "ecp": ", with an entropy penalty",
}


@dataclass(frozen=True)
class Prepared:
    """Model and data that every supervised method starts from.

    Attributes:
        model: with trainable parameters.
        tokenizer: of the base model.
        splits: encoded rows; ``train``, ``validation`` and, if asked for, ``calibration``.
        collate: rows to a batch.
        facts: for ``training.json``.
    """

    model: nn.Module
    tokenizer: transformers.PreTrainedTokenizerBase
    splits: dict[str, datasets.Dataset]
    collate: Callable[[list[dict[str, Any]]], dict[str, Tensor]]
    facts: dict[str, Any]


def sft(context: TrainingContext) -> Job:
    """The job of the method ``sft``."""
    prepared = prepare_training(context)
    penalty = context.recipe.objective

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> Loss:
        logits = read_logits(model, batch)
        written = logits[: len(batch["targets"])]
        nll = token_nll(written, batch["targets"])
        total = nll
        if model.training:
            total = nll + penalty.alpha * penalties(
                written, batch["targets"], batch["classes"], penalty
            )
        summary = summarise(logits, nll, batch)
        return Loss(total.sum(), nll.new_tensor(len(nll)), summary, nll.sum())

    return supervised_job(context, prepared, loss, "sft", "A fine-tuned version")


def prepare_training(context: TrainingContext, calibration: bool = False) -> Prepared:
    """Model and encoded rows; with `calibration`, also those of the split of that name.

    Raises:
        ValueError: unusable rows, no rows that the model can take, or a model whose logits are not
            its output head's.
    """
    recipe = context.recipe
    data, facts = load_prepared_rows(context)
    if calibration and ("calibration" not in data or not len(data["calibration"])):
        raise ValueError(
            f"{context.data} has no rows in the split 'calibration', on which the threshold "
            "between known and unknown is fitted; prepare the data with one, such as --shares "
            "train=0.7,validation=0.1,calibration=0.2."
        )
    tokenizer = load_tokenizer(context.model, context.asked)
    model = load_base(context.model, recipe.dtype, context.device, recipe.quantise, context.asked)
    if recipe.lora:
        model = add_lora(model, recipe.lora, context.model)
    wanted = ("train", "validation", *(("calibration",) if calibration else ()))
    limit = getattr(model.config, "max_position_embeddings", None)
    splits, left_out = {}, {}
    for name in wanted:
        candidates = name != "train"
        splits[name] = encode_rows(data[name], tokenizer, recipe.data, limit, candidates)
        left_out[name] = len(data[name]) - len(splits[name])
        if not len(splits[name]):
            raise ValueError(
                f"all {len(data[name])} rows in the split {name!r} of {context.data} are longer "
                f"than {recipe.data.max_tokens or limit} tokens; raise data.max_tokens or shorten "
                f"them."
            )
        facts[name] = len(splits[name])
    facts["too_long"] = left_out
    width = max(len(row) for name in wanted[1:] for row in splits[name]["candidates"])
    pad = pad_token(tokenizer)
    check_logits(model, splits["train"][0]["input_ids"], context.device)
    put = keep_lower(model, splits, pad, context.work / "lower_layers.safetensors")

    def batch(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        collated = collate(rows, pad, width)
        return put(collated) if put else collated

    return Prepared(model, tokenizer, splits, batch, facts)


def supervised_job(
    context: TrainingContext,
    prepared: Prepared,
    loss: Callable[..., Loss],
    title: str,
    what: str,
    **own: Any,
) -> Job:
    """The `Job` around a loss; `own` replaces or adds attributes of it."""
    recipe, splits = context.recipe, prepared.splits
    tasks = ", ".join(f"{n} rows of {name}" for name, n in prepared.facts["train_by_task"].items())
    weights = "pretrained=BASE,peft=ADAPTER" if recipe.lora else "pretrained=MODEL"
    use = f"lm_eval run --model hf --model_args {weights} --tasks TASK"
    if recipe.data.chat_template == "always":
        use += " --apply_chat_template"
    values = {
        "model": prepared.model,
        "train": splits["train"],
        "validation": splits["validation"],
        "collate": prepared.collate,
        "loss": loss,
        "validate": lambda prediction: quick_scores(prediction.predictions, prediction.label_ids),
        "finish": lambda trainer: validation_report(
            trainer.predict(splits["validation"]), splits["validation"]
        ),
        "save": lambda folder: save_model(context, prepared, folder),
        "title": title,
        "description": DESCRIPTION.format(
            what=what, tasks=tasks, use=use, penalty=PENALTIES[recipe.objective.regulariser]
        ),
        "data_facts": prepared.facts,
        "tokens": sum(splits["train"]["length"]),
    }
    return Job(**{**values, **own})


def validation_report(predicted: Any, rows: datasets.Dataset) -> dict[str, Any]:
    """Scores with intervals of all validation rows and of each task, and a temperature.

    Args:
        predicted: what the trainer's ``predict`` gives for `rows`.
        rows: the encoded validation split.
    """
    table, gold = predicted.predictions, predicted.label_ids
    found = {
        "temperature": None,  # where no row has options
        **fit_option_temperature(table, gold),
        "validation": full_scores(table, gold, METHOD),
    }
    if len(set(rows["task"])) > 1:
        found["tasks"] = scores_by_group(table, gold, rows["task"], METHOD)
    return found


def save_model(context: TrainingContext, prepared: Prepared, folder: Path) -> None:
    """Write the adapter, or without LoRA the whole model with its tokenizer."""
    if context.recipe.lora:
        save_adapter(prepared.model, context.model, folder)
    else:
        prepared.model.save_pretrained(folder)
        prepared.tokenizer.save_pretrained(folder)


def check_logits(model: nn.Module, ids: list[int], device: torch.device) -> None:
    """Check that the output head alone turns hidden states into the model's logits.

    Raises:
        ValueError: the architecture scales or caps its logits, which these losses leave out.
    """
    batch = {
        "text_prefix": torch.tensor([], dtype=torch.long, device=device),
        "text_ids": torch.tensor([ids], device=device),
        "text_mask": torch.ones(1, len(ids), dtype=torch.long, device=device),
        "at": torch.tensor([[0], [len(ids) - 1]], device=device),
    }
    training = model.training
    model.eval()
    with torch.no_grad():
        ours = read_logits(model, batch)[0].float()
        whole = model(input_ids=batch["text_ids"]).logits[0, -1].float()
    model.train(training)
    if not np.allclose(ours.cpu(), whole.cpu(), rtol=1e-2, atol=1e-2):
        raise ValueError(
            f"{type(model).__name__} changes its logits after the output head (a scale or a cap), "
            f"which supervised fine-tuning here does not support."
        )
