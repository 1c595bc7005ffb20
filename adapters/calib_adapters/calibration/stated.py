"""Stated confidence: the adapter learns which number to say when asked for a percentage."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from calib_adapters.calibration.encode import encode_each
from calib_adapters.calibration.lower import first_trained, put_states, run_lower
from calib_adapters.calibration.numbers import (
    Numbers,
    check_numbers,
    collate_numbers,
    number_logprobs,
    tree_states,
)
from calib_adapters.calibration.objective import (
    Put,
    answer_drift,
    check_head,
    collate_reference,
    query_loss,
)
from calib_adapters.calibration.reference import kept_reference, with_starts
from calib_adapters.calibration.rows import load_graded_rows
from calib_adapters.calibration.stated_loss import (
    mean_log_odds,
    spread_nll,
    target_nll,
    tokenised_brier,
)
from calib_adapters.calibration.stated_rows import encode_stated, stated_numbers, with_targets
from calib_adapters.data.grade import FORM
from calib_adapters.training.base_model import add_lora, load_base, pad_token, save_adapter
from calib_adapters.training.job import Job, Loss, TrainingContext
from calib_adapters.training.schema import Stated
from calib_adapters.training.temperature import sigmoid
from calib_adapters.training.tokenizer import load_tokenizer
from calib_metrics import score

LEARNT = {
    "brier": "the tokenised Brier score (ConfTuner, Li et al. 2025, arXiv 2508.18847) of the "
    "number it says and the grade",
    "cross_entropy": "the cross-entropy of a target: {target}",
}
TARGETS = {
    "sampling": "the share of right answers among those that as many of the model's own samples "
    "agree with",
    "likelihood": "the share of right answers among those that are about as likely",
    "graded": "100% for a right answer, and else 0%",
}
KEPT = " A Jensen–Shannon\nterm keeps the answers themselves unchanged."
DESCRIPTION = """\
A LoRA adapter with which `{{base}}` states a calibrated confidence: asked for a percentage, it says
one of {numbers}. The base model's own answers were graded, and the adapter
learned from {learnt}.{kept}

## Use

```
lm_eval run --model hf --model_args pretrained=BASE,peft=ADAPTER \\
    --include_path $(calibench tasks) --tasks calib_worldfacts \\
    --metadata '{{{{"methods": ["verbalized"], "answers": "RUN OF THE BASE MODEL"}}}}'
```

The `verbalized` row is the stated confidence. It was taught for {{asked}} (metadata key
`percent_wording`). In the table below, ECE, AUROC and BRIER are those of the likeliest number, NLL
that of the mean over all numbers.
"""


def stated(context: TrainingContext) -> Job:
    """The job of the method ``stated``; see `Job`, ``numbers.py`` and ``stated_loss.py``."""
    recipe = context.recipe
    assert isinstance(recipe, Stated)  # by its key `method`
    objective = recipe.objective
    graded = with_targets(load_graded_rows(context, (FORM,)), objective)
    tokenizer = load_tokenizer(context.model, context.asked)
    percents = range(0, 101, objective.step)
    numbers, replies = stated_numbers(graded, percents, tokenizer)
    base = load_base(context.model, recipe.dtype, context.device, recipe.quantise, context.asked)
    model = add_lora(base, recipe.lora, context.model)
    pad = pad_token(tokenizer)
    encode = partial(encode_stated, replies=replies, values=numbers.values)
    train = with_starts(encode_each(graded.train, tokenizer, encode))
    validation = encode_each(graded.validation, tokenizer, encode)
    query = torch.tensor(train[0]["input_ids"], device=context.device)
    check_head(model, {"query_prefix": query[:0], "query_ids": query[None]})
    check_numbers(model, query.tolist(), numbers, replies, pad)
    kappa = objective.kappa
    put, (train, validation) = _lower(
        model, (train, validation), numbers, pad, context.work, ("train",) if kappa else ()
    )
    reference = kept_reference(model, train, pad, put, context) if kappa else None

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> Loss:
        logprobs = number_logprobs(model, batch, numbers)
        values = numbers.values.to(logprobs.device)
        if objective.loss == "brier":
            each = tokenised_brier(logprobs, values, batch["label"])
            each = each + objective.format * spread_nll(logprobs)
        else:
            each = target_nll(logprobs, batch["target"])
        total, count = each.sum(), logprobs.new_tensor(len(logprobs))
        if "reference" in batch:
            total = total + kappa * answer_drift(model, batch) * count
        odds = mean_log_odds(logprobs, values)
        said = values[logprobs.argmax(-1)]
        nll = query_loss(odds, batch["label"]) * count
        return Loss(total, count, torch.stack([odds, said], dim=-1), nll)

    columns = ("input_ids", "answer_ids") if kappa else ("input_ids",)
    ran = len(train) * len(numbers.tokens)
    return Job(
        model=model,
        train=train,
        validation=validation,
        collate=partial(_collate, numbers=numbers, pad=pad, reference=reference, put=put),
        loss=loss,
        validate=_validate,
        finish=_finish,
        save=lambda folder: save_adapter(model, context.model, folder),
        title="stated-confidence",
        description=DESCRIPTION.format(
            numbers=f"{', '.join(f'{n}%' for n in percents[:2])}, …, 100%",
            learnt=LEARNT[objective.loss].format(target=TARGETS[objective.target]),
            kept=KEPT if kappa else "",
        ),
        data_facts=graded.facts,
        tokens=ran + sum(len(ids) for name in columns for ids in train[name]),
    )


def _lower(
    model: nn.Module,
    splits: tuple[datasets.Dataset, datasets.Dataset],
    numbers: Numbers,
    pad: int,
    work: Path,
    answered: Sequence[str],
) -> tuple[Put | None, tuple[datasets.Dataset, datasets.Dataset]]:
    """Run the layers below the adapter once, see ``lower.py``: what puts their output in batches.

    `work` keeps the output, that of the answered prompts of the splits `answered` among it.

    Returns:
        That, or ``None`` if rows run whole, and the splits with their places in the output.
    """
    first, trees = first_trained(model), work / "lower_trees.safetensors"
    if not first:
        return None, splits
    queries = [ids for split in splits for ids in split["input_ids"]]
    if not trees.exists():
        part = Path(f"{trees}.part")
        save_file({"states": tree_states(model, queries, numbers, first, pad)}, part)
        os.replace(part, trees)
    named = {name: split for name, split in zip(("train", "validation"), splits, strict=True)}
    lower = run_lower(model, named, answered, pad, work / "lower_layers.safetensors")
    if lower is None:
        return None, splits
    kept, begin = load_file(trees)["states"], 0
    placed = []
    for split in lower[1].values():
        placed.append(split.add_column("tree", list(range(begin, begin + len(split)))))
        begin += len(split)

    def put(batch: dict[str, Tensor], rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        if "query_ids" in batch:
            batch["tree_states"] = kept[[row["tree"] for row in rows]]
        return put_states(batch, rows, lower[0])

    return put, (placed[0], placed[1])


def _collate(
    rows: list[dict[str, Any]],
    numbers: Numbers,
    pad: int,
    reference: Tensor | None,
    put: Put | None,
) -> dict[str, Tensor]:
    batch = collate_numbers([row["input_ids"] for row in rows], numbers, pad)
    batch["label"] = torch.tensor([row["label"] for row in rows])
    batch["target"] = torch.tensor([row["target"] for row in rows])
    batch |= collate_reference(rows, pad, reference)
    return put(batch, rows) if put else batch


def _parts(predicted: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean number, the likeliest one, and the labels of a prediction."""
    odds, said = np.asarray(predicted.predictions, dtype=np.float64).T
    return sigmoid(odds), said.round(6), predicted.label_ids.astype(int)


def _validate(predicted: transformers.EvalPrediction) -> dict[str, float]:
    mean, said, label = _parts(predicted)
    found = score(said, label, ("ece", "auroc", "brier"), resamples=0)
    found |= score(mean, label, ("nll",), resamples=0)
    return {name: each.value for name, each in found.items()}


def _finish(trainer: transformers.Trainer) -> dict[str, Any]:
    mean, said, label = _parts(trainer.predict(trainer.eval_dataset))
    found = score(said, label, ("ece", "auroc", "brier"), method="verbalized")
    found |= score(mean, label, ("nll",), method="verbalized")
    return {
        "temperature": None,  # a number that is said cannot be divided
        "validation": {name: each.to_dict() for name, each in found.items()},
    }
