"""What the training frame gives to a method, and what a method returns to it.

A method (``calibration/``, ``supervised/``) is a function that makes a `Job` of a
`TrainingContext`: rows, a loss and a way to save. The frame (``tune.py``, ``trainer.py``) does
everything else: batches, epochs, checkpoints, resuming, provenance, the card.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import torch
import transformers
from torch import Tensor, nn

from calib_adapters.training.schema import Recipe


@dataclass(frozen=True)
class TrainingContext:
    """What the frame gives to a method.

    Attributes:
        recipe: the checked recipe.
        model: folder or Hub id of the base model.
        data: folder of the data set.
        work: folder for files that should survive an interruption, such as caches.
        device: where this process computes.
        asked: the model's arguments when it is asked; see `data.asked_with`.
    """

    recipe: Recipe
    model: str
    data: Path
    work: Path
    device: torch.device
    asked: Mapping[str, Any] = field(default_factory=dict)


class Loss(NamedTuple):
    """A batch's loss, as a sum, so that processes with unequal batches are averaged correctly.

    Attributes:
        total: sum over the units (rows or tokens), a scalar with gradient.
        count: number of units, a scalar.
        predicted: what validation reads, one entry per row, shape (B, ...).
        nll: sum of the units' negative log-likelihoods, in nats, without penalties; logged, with
            the perplexity. None: the loss has no such part.
    """

    total: Tensor
    count: Tensor
    predicted: Tensor
    nll: Tensor | None = None


@dataclass(frozen=True)
class Job:
    """What is trained, on what, and how it is judged and saved.

    Attributes:
        model: the module with the trainable parameters; the Trainer checkpoints it.
        train, validation: encoded rows with a column ``length``, by which batches are grouped.
        collate: rows to a batch of tensors; it holds ``label``, which validation compares with.
        loss: of a batch. Runs inside the model's forward, where DDP and FSDP see it.
        validate: scores of the validation split, ``nll`` among them, by which the epoch is chosen.
        finish: called with the trainer after training, the best epoch loaded; returns what
            ``calibration.json`` holds (JSON values).
        save: writes the weights into a folder.
        title, description: for the card; Markdown.
        data_facts: fingerprint and sizes, for ``training.json``.
        tokens: tokens per epoch that go through the model, for the speed that is reported.
        callbacks: for the Trainer. Their state must survive an interruption: they store it in
            `work` by step, and read it when training starts after step 0.
    """

    model: nn.Module
    train: datasets.Dataset
    validation: datasets.Dataset
    collate: Callable[[list[dict[str, Any]]], dict[str, Tensor]]
    loss: Callable[[nn.Module, dict[str, Tensor]], Loss]
    validate: Callable[[transformers.EvalPrediction], dict[str, float]]
    finish: Callable[[transformers.Trainer], dict[str, Any]]
    save: Callable[[Path], None]
    title: str
    description: str
    data_facts: Mapping[str, Any]
    tokens: int
    callbacks: tuple[transformers.TrainerCallback, ...] = field(default=())
