"""The head of calibration tuning: an MLP that predicts correctness from a hidden state.

Kapoor et al. 2024, section 4, arXiv 2406.08391: the last hidden state at the final token of
context and answer, layers of 256, 128 and 64 with ReLU, two outputs, Xavier initialisation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from calib_adapters.calibration.encode import tokens
from calib_adapters.calibration.objective import hidden_states, pad_rows
from calib_adapters.training.base_model import base_name

FILE = "head.safetensors"


class CorrectnessHead(nn.Module):
    """MLP from a hidden state, shape (..., H), to log P(correct) - log P(wrong), shape (...)."""

    def __init__(self, hidden_size: int, sizes: Sequence[int]):
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise((hidden_size, *sizes, 2)):
            layer = nn.Linear(inputs, outputs, dtype=torch.float32)
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
            layers += [layer, nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, states: Tensor) -> Tensor:
        """The log-odds that the answers are correct, shape (B,), from hidden states (B, H)."""
        wrong, correct = self.layers(states.float()).unbind(-1)
        return correct - wrong  # the softmax over two outputs is the sigmoid of their difference


def save_head(weights: dict[str, Tensor], base: str, folder: Path) -> None:
    """Write a head's state dictionary; `base` is recorded as the model whose states it reads."""
    weights = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    save_file(weights, folder / FILE, metadata={"base_model": base_name(base)})


def load_head(folder: Path) -> tuple[CorrectnessHead, str]:
    """The head in `folder`, and the name of the base model whose hidden states it reads.

    Raises:
        FileNotFoundError: `folder` holds no head.
        ValueError: the head is damaged.
    """
    file = folder / FILE
    if not file.is_file():
        raise FileNotFoundError(
            f"{folder} holds no {FILE}; make it with `calibench tune` and a recipe of the method "
            f"'probe' or 'lora'."
        )
    try:
        with safe_open(file, framework="pt") as stored:
            base = (stored.metadata() or {})["base_model"]
            weights = {name: stored.get_tensor(name) for name in stored.keys()}
        shapes = [tuple(w.shape) for name, w in sorted(weights.items(), key=_layer) if w.dim() == 2]
        head = CorrectnessHead(shapes[0][1], [outputs for outputs, _ in shapes[:-1]])
        head.load_state_dict(weights)
    except (SafetensorError, LookupError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{file} is damaged or is not the head of a probe ({error}); train it again."
        ) from error
    return head.eval(), base


def _layer(item: tuple[str, Any]) -> int:
    return int(item[0].split(".")[1])  # layers.<number>.weight


def encode_answers(rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> datasets.Dataset:
    """Graded rows as ``answer_ids`` (the prompt with the answer), ``label`` and ``length``."""
    return rows.map(
        partial(_encode, tokenizer=tokenizer),
        remove_columns=rows.column_names,
        keep_in_memory=True,
        load_from_cache_file=False,
        desc="Tokenising",
    )


def _encode(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    ids = tokens(row["context"] + row["answer_text"], tokenizer)["input_ids"]
    return {"answer_ids": ids, "label": float(row["correct"]), "length": len(ids)}


def collate_ends(rows: list[dict[str, Any]], pad: int) -> dict[str, Tensor]:
    """Batch of `encode_answers` rows: ``answer_*`` (`pad_rows`), ``last`` and ``label`` (B,).

    ``last`` is the position of the final token, counted from the end of the shared prefix.
    """
    last = [len(row["answer_ids"]) - 1 for row in rows]
    answers = pad_rows([row["answer_ids"] for row in rows], last, pad)
    batch = {f"answer_{name}": value for name, value in answers.items()}
    batch["last"] = torch.tensor(last) - len(answers["prefix"])
    if "label" in rows[0]:
        batch["label"] = torch.tensor([row["label"] for row in rows])
    return batch


def end_states(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Last hidden state at the final token of every row of a `collate_ends` batch, (B, H)."""
    hidden = hidden_states(model, batch, "answer")
    return hidden[torch.arange(len(hidden), device=hidden.device), batch["last"]]


@torch.no_grad()
def all_end_states(model: nn.Module, rows: list[dict[str, Any]], pad: int, size: int) -> Tensor:
    """`end_states` of all `rows` in their order, (N, H), computed `size` rows at a time."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["answer_ids"]))
    found: dict[int, Tensor] = {}
    for start in tqdm(range(0, len(order), size), desc="Hidden states"):
        chosen = order[start : start + size]
        batch = collate_ends([rows[i] for i in chosen], pad)
        batch = {name: value.to(model.device) for name, value in batch.items()}
        found.update(zip(chosen, end_states(model, batch).cpu(), strict=True))
    return torch.stack([found[i] for i in range(len(rows))])
