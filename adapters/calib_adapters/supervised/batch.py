"""Batches of prompts with completions, and the model's distributions where they are read.

Only the positions that write a completion reach the output head, and what the prompts of a batch
have in common runs once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from calib_adapters.calibration.objective import hidden_states, pad_rows
from calib_adapters.training.base_model import without_adapter

SUMMARY = 5  # columns of `summarise` before the candidates


def collate(rows: list[dict[str, Any]], pad: int, width: int = 0) -> dict[str, Tensor]:
    """Batch of encoded rows.

    Args:
        rows: of `encode_rows`, with or without ``candidates``.
        pad: id to fill with.
        width: most candidates that a row of the whole data set has.

    Returns:
        ``text_*``: `pad_rows` of the sequences to run. ``at`` (2, P): sequence and column, from the
        end of the prefix, of each position that is read; the first T of them write the rows' own
        completions, whose tokens are ``targets`` (T,), ``target_row`` (T,), ``classes`` (T, K) as
        in `penalties`, and ``ending`` (T,), which is true for tokens that only end the text.
        ``candidate`` (4, C): position, token, row and number of each token of a candidate.
        ``has`` (B, width): which candidates a row has. ``label`` (B,).
    """
    sequences: list[list[int]] = []
    places: dict[tuple[int, int], int] = {}
    targets, candidate, limits = [], [], []

    def place(sequence: int, column: int) -> int:
        return places.setdefault((sequence, column), len(places))

    for i, row in enumerate(rows):
        ids, start = row["input_ids"], row["start"]
        sequences.append(ids[:-1])
        limits.append(start - 1)
        for j in range(start, len(ids)):
            place(i, j - 1)
            last = j >= len(ids) - row["ends"]
            targets.append((ids[j], i, row["classes"][j - start], last))
    known = {tuple(sequence): k for k, sequence in enumerate(sequences)}
    for i, row in enumerate(rows):
        start = row["start"]
        for number, ids in enumerate(row.get("candidates") or ()):
            needed = ids[:-1]
            if sequences[i][: len(needed)] == needed:
                sequence = i
            else:
                sequence = known.setdefault(tuple(needed), len(sequences))
                if sequence == len(sequences):
                    sequences.append(needed)
                    limits.append(start - 1)
            read = range(start, len(ids))
            candidate += [(place(sequence, j - 1), ids[j], i, number) for j in read]
    text = pad_rows(sequences, limits, pad)
    at = torch.tensor(list(places)).T
    at[1] -= len(text["prefix"])
    most = max(1, max(len(classes) for _, _, classes, _ in targets))
    filled = [[*classes, *[-1] * (most - len(classes))] for _, _, classes, _ in targets]
    counts = torch.tensor([[len(row.get("candidates") or ())] for row in rows])
    return {
        **{f"text_{name}": value for name, value in text.items()},
        "at": at,
        "targets": torch.tensor([token for token, *_ in targets]),
        "target_row": torch.tensor([row for _, row, _, _ in targets]),
        "classes": torch.tensor(filled),
        "ending": torch.tensor([last for *_, last in targets]),
        "candidate": torch.tensor(candidate, dtype=torch.long).reshape(-1, 4).T,
        "has": torch.arange(width) < counts,
        "label": torch.tensor([row["label"] for row in rows]),
    }


def read_logits(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Logits at the positions ``at``, shape (P, V); the completions' own come first."""
    hidden = hidden_states(model, batch, "text")
    head = without_adapter(model).get_output_embeddings()
    return head(hidden[batch["at"][0], batch["at"][1]])


def summarise(logits: Tensor, nll: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """What validation reads of each row, shape (B, 5 + width), float32.

    The columns: NLL and number of the completion's tokens, without those that only end the text;
    NLL and number of the tokens that do; 1 if greedy decoding writes the completion or a candidate,
    else 0; then the log-likelihood of each candidate, -inf for those that a row does not have.
    """
    rows, ending = batch["target_row"], batch["ending"]
    size = len(batch["label"])
    text, end = (~ending).float(), ending.float()
    sums = torch.stack([nll * text, text, nll * end, end])
    parts = nll.new_zeros(4, size).index_add(1, rows, sums)
    best = logits.argmax(-1)
    wrong = ((best[: len(nll)] != batch["targets"]) & ~ending).float()
    misses = nll.new_zeros(size).index_add(0, rows, wrong)
    greedy = misses == 0
    has = batch["has"]
    scores = nll.new_full(has.shape, float("-inf"))
    if batch["candidate"].numel():
        at, token, row, number = batch["candidate"]
        log_p = logits.float().log_softmax(-1)[at, token]
        flat = row * has.shape[1] + number
        total = nll.new_zeros(has.numel()).index_add(0, flat, log_p).view_as(has)
        missed = (best[at] != token).float()
        missed = nll.new_zeros(has.numel()).index_add(0, flat, missed).view_as(has)
        scores = torch.where(has, total, scores)
        greedy = greedy | (has & (missed == 0)).any(-1)
    return torch.cat([torch.stack([*parts, greedy.float()], dim=1), scores], dim=1).detach()
