"""The loss of calibration tuning (LoRA + Prompt): yes/no cross-entropy + kappa · JSD.

Kapoor et al. 2024, section 4, arXiv 2406.08391. Attention is causal, so the positions of the
answer do not see the query behind it: one forward pass gives both terms. The output head is
frozen, so the base model's distribution is its final hidden state times that head, and only the
hidden states at the answer's positions (a few hundred numbers each) are kept, once.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm


def collate(rows: list[dict[str, Any]], pad: int, reference: Tensor | None) -> dict[str, Tensor]:
    """Right-padded batch of encoded rows; shapes (B, L), (B,) and (P,) for answer positions.

    ``reference`` holds the base model's hidden states of all rows, one after the other; a row's
    begin at its ``reference_start``.
    """
    width = max(row["length"] for row in rows)
    batch = {
        "input_ids": torch.full((len(rows), width), pad),
        "attention_mask": torch.zeros(len(rows), width, dtype=torch.long),
        "last": torch.tensor([row["length"] - 1 for row in rows]),
        "yes": torch.tensor([row["yes"] for row in rows]),
        "no": torch.tensor([row["no"] for row in rows]),
        "label": torch.tensor([row["label"] for row in rows]),
    }
    for i, row in enumerate(rows):
        batch["input_ids"][i, : row["length"]] = torch.tensor(row["input_ids"])
        batch["attention_mask"][i, : row["length"]] = 1
    pairs = [(i, column) for i, row in enumerate(rows) for column in row["answer_positions"]]
    batch["answer_rows"] = torch.tensor([row for row, _ in pairs], dtype=torch.long)
    batch["answer_columns"] = torch.tensor([column for _, column in pairs], dtype=torch.long)
    if reference is not None and "reference_start" in rows[0]:  # validation has no drift
        starts = ((row["reference_start"], len(row["answer_positions"])) for row in rows)
        batch["reference"] = torch.cat([reference[start : start + n] for start, n in starts])
    return batch


def hidden_states(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Final hidden states, shape (B, L, H), without the output head."""
    decoder = model.get_base_model().get_decoder()
    return decoder(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False
    ).last_hidden_state


def log_odds(model: nn.Module, hidden: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """log P(yes) - log P(no) as the reply to the query, shape (B,), float32.

    Two rows of the output head are enough: the normaliser of the softmax cancels.
    """
    head = model.get_base_model().get_output_embeddings()
    rows = torch.arange(len(hidden), device=hidden.device)
    states = hidden[rows, batch["last"]].float()
    difference = head.weight[batch["yes"]].float() - head.weight[batch["no"]].float()
    odds = (states * difference).sum(-1)
    if head.bias is not None:
        odds = odds + head.bias[batch["yes"]] - head.bias[batch["no"]]
    return odds


def jensen_shannon(logits: Tensor, reference: Tensor) -> Tensor:
    """Jensen–Shannon divergence in nats between softmax(logits) and softmax(reference), per row.

    JSD = ½ KL(p‖m) + ½ KL(q‖m), m = (p + q)/2; in [0, log 2]. Shapes (P, V), (P, V) -> (P,).
    """
    p, q = logits.float().log_softmax(-1), reference.float().log_softmax(-1)
    m = torch.logaddexp(p, q) - math.log(2)
    return 0.5 * ((p.exp() * (p - m)).sum(-1) + (q.exp() * (q - m)).sum(-1))


def answer_drift(model: nn.Module, hidden: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Sum over the answer's tokens of the JSD to the base model, mean over the batch; a scalar."""
    if not len(batch["answer_rows"]):
        return hidden.new_zeros((), dtype=torch.float32)
    head = model.get_base_model().get_output_embeddings()
    now = head(hidden[batch["answer_rows"], batch["answer_columns"]])
    with torch.no_grad():
        before = head(batch["reference"].to(now.dtype))
    return jensen_shannon(now, before).sum() / len(hidden)


def query_loss(odds: Tensor, label: Tensor) -> Tensor:
    """Two-way cross-entropy of the reply, -log P(the right one of yes and no), mean over rows."""
    return functional.binary_cross_entropy_with_logits(odds, label)


def check_head(model: nn.Module, batch: dict[str, Tensor]) -> None:
    """Check that the output head alone turns hidden states into the model's logits.

    Raises:
        ValueError: the architecture scales or caps its logits, which this objective leaves out.
    """
    with torch.no_grad():
        hidden = hidden_states(model, batch)[:, -1]
        logits = model.get_base_model().get_output_embeddings()(hidden)
        whole = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    if not torch.allclose(logits, whole[:, -1], rtol=1e-2, atol=1e-1):
        raise ValueError(
            f"{type(model.get_base_model()).__name__} changes its logits after the output head "
            f"(a scale or a cap), which calibration tuning does not support."
        )


@torch.no_grad()
def reference_states(model: nn.Module, rows: Any, pad: int, batch_size: int) -> Tensor:
    """Hidden states of the base model at the answer positions of all rows, in row order.

    Returns:
        Shape (total number of answer positions, H), in the base model's dtype.
    """
    order = sorted(range(len(rows)), key=lambda i: rows[i]["length"])
    found: dict[int, Tensor] = {}
    with model.disable_adapter():
        for start in tqdm(range(0, len(order), batch_size), desc="Reference answers"):
            chosen = order[start : start + batch_size]
            batch = collate([rows[i] for i in chosen], pad, reference=None)
            batch = {name: value.to(model.device) for name, value in batch.items()}
            states = hidden_states(model, batch)[batch["answer_rows"], batch["answer_columns"]]
            counts = [len(rows[i]["answer_positions"]) for i in chosen]
            found.update(zip(chosen, states.cpu().split(counts)))
    return torch.cat([found[i] for i in range(len(rows))])
