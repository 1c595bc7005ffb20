"""The base model's states at the answers, which the JSD term compares with; computed once."""

from __future__ import annotations

import os
from pathlib import Path

import datasets
import numpy as np
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from calib_adapters.calibration.objective import Put, reference_states
from calib_adapters.training.job import TrainingContext


def with_starts(rows: datasets.Dataset) -> datasets.Dataset:
    """Add to each row the place of its first reference state."""
    ends = np.cumsum([len(positions) for positions in rows["answer_positions"]])
    return rows.add_column("reference_start", [0, *ends[:-1].tolist()])


def kept_reference(
    model: nn.Module, train: datasets.Dataset, pad: int, put: Put | None, context: TrainingContext
) -> Tensor:
    """The base model's hidden states at the answers, from the work folder if they are there."""
    file: Path = context.work / "reference.safetensors"
    if not file.exists():
        model.eval()
        rows = 4 * context.recipe.optimiser.batch_size  # without gradients, larger batches fit
        states = reference_states(model, train.to_list(), pad, rows, put)
        part = Path(f"{file}.part")
        save_file({"states": states.contiguous()}, part)
        os.replace(part, file)
    return load_file(file)["states"]
