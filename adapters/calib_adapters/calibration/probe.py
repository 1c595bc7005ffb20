"""Probe: the head on the hidden states of the frozen base model, which runs only once."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from calib_adapters.calibration.head import (
    CorrectnessHead,
    all_end_states,
    encode_answers,
    save_head,
)
from calib_adapters.calibration.objective import query_loss
from calib_adapters.calibration.rows import GradedRows, finish, load_graded_rows, validation_scores
from calib_adapters.training.base_model import load_base, pad_token
from calib_adapters.training.job import Job, Loss, TrainingContext
from calib_adapters.training.tokenizer import load_tokenizer

DESCRIPTION = """\
A probe that estimates how likely answers of `{base}` are to be correct. It was made by calibration
tuning (Kapoor et al. 2024, arXiv 2406.08391): the base model's own answers were graded, and a small
network learned to predict the grade from the last hidden state at the answer's end. The base model
is unchanged.

## Use

```
calibench eval --model calib-hf --model_args pretrained=BASE,probe=PROBE \\
    --tasks calib_worldfacts --metadata '{{"methods": ["probe"]}}'
```

`calibration.json` holds a temperature fitted on the validation split; pass it as the metadata key
`temperature` to apply it.
"""


def probe(context: TrainingContext) -> Job:
    """The job of the method ``probe``; see `Job`."""
    graded = load_graded_rows(context)
    states = _states(graded, context)
    head = CorrectnessHead(states["train"].shape[1], context.recipe.objective.sizes).to(
        context.device
    )
    model = nn.ModuleDict({"head": head})

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> Loss:
        odds = model["head"](batch["states"])
        nll = query_loss(odds, batch["label"]) * len(odds)
        return Loss(nll, odds.new_tensor(len(odds)), odds, nll)

    return Job(
        model=model,
        train=_rows(graded.train, "train"),
        validation=_rows(graded.validation, "validation"),
        collate=partial(_collate, states=states),
        loss=loss,
        validate=validation_scores,
        finish=partial(finish, method="probe"),
        save=lambda folder: save_head(head.state_dict(), context.model, folder),
        title="probe",
        description=DESCRIPTION,
        data_facts=graded.facts,
        tokens=len(graded.train),
    )


def _rows(rows: datasets.Dataset, split: str) -> datasets.Dataset:
    """What `_collate` reads; all of one length, since only one state of each is used."""
    return datasets.Dataset.from_dict(
        {
            "split": [split] * len(rows),
            "row": list(range(len(rows))),
            "label": [float(correct) for correct in rows["correct"]],
            "length": [1] * len(rows),
        }
    )


def _collate(rows: list[dict[str, Any]], states: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        "states": torch.stack([states[row["split"]][row["row"]] for row in rows]).float(),
        "label": torch.tensor([row["label"] for row in rows]),
    }


def _states(graded: GradedRows, context: TrainingContext) -> dict[str, Tensor]:
    """Hidden states of both splits, from the work folder if they are there."""
    splits = {"train": graded.train, "validation": graded.validation}
    files = {name: context.work / f"states_{name}.safetensors" for name in splits}
    missing = [name for name, file in files.items() if not file.exists()]
    if missing:
        tokenizer = load_tokenizer(context.model, context.asked)
        base = load_base(
            context.model, context.recipe.dtype, context.device, asked=context.asked
        ).eval()
    for name in missing:
        rows = encode_answers(splits[name], tokenizer).to_list()
        size = context.recipe.optimiser.batch_size
        part = Path(f"{files[name]}.part")
        save_file({"states": all_end_states(base, rows, pad_token(tokenizer), size)}, part)
        os.replace(part, files[name])
    return {name: load_file(file)["states"] for name, file in files.items()}
