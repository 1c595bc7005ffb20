"""The loss of calibration tuning (LoRA + Prompt): yes/no cross-entropy + kappa · JSD.

Kapoor et al. 2024, section 4, arXiv 2406.08391. The first term is taken on the query, the second
on the prompt that was answered. The output head is frozen, so the base model's distribution is its
final hidden state times that head, and only the hidden states at the answer's positions (a few
hundred numbers each) are kept, once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from calib_adapters.training.base_model import without_adapter

Put = Callable[[dict[str, Tensor], list[dict[str, Any]]], dict[str, Tensor]]
WORTH_A_RUN = 64  # tokens; an estimate: two shared tokens, run alone, took a seventh of a step


def pad_rows(rows: Sequence[Sequence[int]], limits: Sequence[int], pad: int) -> dict[str, Tensor]:
    """Right-padded token lists, with the tokens that all of them begin with split off.

    Few-shot prompts share most of their tokens, and these are worth one row of work, not B. A few
    shared tokens stay with their rows: a run of their own would read all weights once more.

    Args:
        rows: B lists of token ids.
        limits: per row, the first position that will be read; it is not split off.
        pad: id to fill with.

    Returns:
        ``prefix`` of shape (S,), and ``ids`` and ``mask`` of shape (B, L) with what follows it.
    """
    first, last, limit = min(rows), max(rows), min(limits)
    # What the least and the greatest of the lists share, all lists between them share.
    same = (one == other for one, other in zip(first[:limit], last[:limit], strict=True))
    shared = sum(1 for _ in itertools.takewhile(bool, same))
    shared = shared if shared * (len(rows) - 1) >= WORTH_A_RUN else 0
    own = [torch.tensor(row[shared:]) for row in rows]
    ids = nn.utils.rnn.pad_sequence(own, batch_first=True, padding_value=pad)
    mask = torch.arange(ids.shape[1]) < torch.tensor([[len(row)] for row in own])
    return {"prefix": torch.tensor(rows[0][:shared]).long(), "ids": ids, "mask": mask.long()}


def collate(
    rows: list[dict[str, Any]], pad: int, reference: Tensor | None = None
) -> dict[str, Tensor]:
    """Batch of encoded rows.

    ``query_*`` and ``answer_*`` are `pad_rows` of the queries and of the answered prompts; ``last``
    (B,) is the position before the reply, ``answer_rows`` and ``answer_columns`` (P,) the answers'
    positions, all counted from the end of the prefix; ``yes``, ``no`` and ``label`` are (B,).

    The answers are left out unless `reference` is given: the base model's hidden states of all
    rows, one after the other; a row's begin at its ``reference_start``. Where replies have several
    tokens, ``reply_*`` is added, see `collate_replies`.
    """
    batch = collate_queries(rows, pad)
    batch["yes"] = torch.tensor([row["yes"] for row in rows])
    batch["no"] = torch.tensor([row["no"] for row in rows])
    batch["label"] = torch.tensor([row["label"] for row in rows])
    if any(row["yes_tail"] or row["no_tail"] for row in rows):
        batch |= collate_replies(rows, pad)
    return batch | collate_reference(rows, pad, reference)


def collate_queries(rows: list[dict[str, Any]], pad: int) -> dict[str, Tensor]:
    """The queries of `rows`: ``query_*`` and ``last`` as in `collate`."""
    last = [len(row["input_ids"]) - 1 for row in rows]
    query = pad_rows([row["input_ids"] for row in rows], last, pad)
    batch = {f"query_{name}": value for name, value in query.items()}
    return {**batch, "last": torch.tensor(last) - len(query["prefix"])}


def collate_reference(
    rows: list[dict[str, Any]], pad: int, reference: Tensor | None
) -> dict[str, Tensor]:
    """The answered prompts and the `reference` to compare them with, as in `collate`, if given."""
    if reference is None or "reference_start" not in rows[0]:  # in validation
        return {}
    starts = ((row["reference_start"], len(row["answer_positions"])) for row in rows)
    kept = torch.cat([reference[start : start + n] for start, n in starts])
    return {**collate_answers(rows, pad), "reference": kept}


def collate_answers(rows: list[dict[str, Any]], pad: int) -> dict[str, Tensor]:
    """The answered prompts of `rows`: ``answer_*`` as in `collate`."""
    limits = [row["answer_positions"][0] for row in rows]
    answers = pad_rows([row["answer_ids"] for row in rows], limits, pad)
    batch = {f"answer_{name}": value for name, value in answers.items()}
    pairs = [(i, column) for i, row in enumerate(rows) for column in row["answer_positions"]]
    batch["answer_rows"] = torch.tensor([row for row, _ in pairs])
    batch["answer_columns"] = torch.tensor([column for _, column in pairs]) - len(answers["prefix"])
    return batch


def collate_replies(rows: list[dict[str, Any]], pad: int) -> dict[str, Tensor]:
    """The queries with their replies, first all that say yes, then all that say no.

    ``reply_*`` as in `collate`, without the last token, which is only predicted; ``reply_rows``,
    ``reply_columns`` and ``reply_tokens`` (P,): where which token of a reply is predicted.
    """
    texts = [(row["input_ids"], [row[r], *row[f"{r}_tail"]]) for r in ("yes", "no") for row in rows]
    limits = [len(ids) - 1 for ids, _ in texts]
    replies = pad_rows([ids + reply[:-1] for ids, reply in texts], limits, pad)
    batch = {f"reply_{name}": value for name, value in replies.items()}
    places = [
        (i, len(ids) - 1 + k, token)
        for i, (ids, reply) in enumerate(texts)
        for k, token in enumerate(reply)
    ]
    for name, values in zip(("rows", "columns", "tokens"), zip(*places, strict=True), strict=True):
        batch[f"reply_{name}"] = torch.tensor(values)
    batch["reply_columns"] -= len(replies["prefix"])
    return batch


def hidden_states(model: nn.Module, batch: dict[str, Tensor], part: str) -> Tensor:
    """Final hidden states after the shared prefix, shape (B, L, H), before the output head.

    `model` may have an adapter; `part` is "query", "reply" or "answer". In place of token ids there
    may be states for the layers to go on from, see ``lower.py``.

    The prefix runs once; its keys and values are repeated for every row, and gradients flow back
    through them, so the result is that of running every row whole.
    """
    decoder = without_adapter(model).get_decoder()
    prefix, ids, mask = (batch[f"{part}_{name}"] for name in ("prefix", "ids", "mask"))
    given, cache = "inputs_embeds" if ids.is_floating_point() else "input_ids", None
    if shared := len(prefix):
        cache = decoder(**{given: prefix[None]}, use_cache=True).past_key_values
        cache.batch_repeat_interleave(len(ids))
        # transformers asks the first layer how long the prefix is, which may not have run.
        ran = next(i for i, layer in enumerate(cache.layers) if layer.get_seq_length())
        cache.layers[:ran] = [cache.layers[ran]] * ran
        mask = torch.cat([mask.new_ones(len(ids), shared), mask], dim=1)
    return decoder(
        **{given: ids}, attention_mask=mask, past_key_values=cache, use_cache=cache is not None
    ).last_hidden_state


def log_odds(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """The log-odds log P(yes) - log P(no) as the reply to the query, shape (B,), float32.

    For replies of one token, two rows of the output head are enough: the normaliser of the softmax
    cancels. Longer ones ("(ii)" and "(i)") take a forward pass of their own.
    """
    if "reply_ids" in batch:
        return _reply_log_odds(model, batch)
    hidden = hidden_states(model, batch, "query")
    head = without_adapter(model).get_output_embeddings()
    rows = torch.arange(len(hidden), device=hidden.device)
    states = hidden[rows, batch["last"]].float()
    difference = head.weight[batch["yes"]].float() - head.weight[batch["no"]].float()
    odds = (states * difference).sum(-1)
    if head.bias is not None:
        odds = odds + head.bias[batch["yes"]] - head.bias[batch["no"]]
    return odds


def _reply_log_odds(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    hidden = hidden_states(model, batch, "reply")
    head = without_adapter(model).get_output_embeddings()
    logits = head(hidden[batch["reply_rows"], batch["reply_columns"]])
    logprobs = logits.float().log_softmax(-1).gather(-1, batch["reply_tokens"][:, None])[:, 0]
    totals = logprobs.new_zeros(len(hidden)).index_add(0, batch["reply_rows"], logprobs)
    yes, no = totals.chunk(2)
    return yes - no


def jensen_shannon(logits: Tensor, reference: Tensor) -> Tensor:
    """Jensen–Shannon divergence in nats between softmax(logits) and softmax(reference), per row.

    JSD = ½ KL(p‖m) + ½ KL(q‖m), m = (p + q)/2; in [0, log 2]. Shapes (P, V), (P, V) -> (P,).
    """
    p, q = logits.float().log_softmax(-1), reference.float().log_softmax(-1)
    m = torch.logaddexp(p, q) - math.log(2)
    return 0.5 * ((p.exp() * (p - m)).sum(-1) + (q.exp() * (q - m)).sum(-1))


def answer_drift(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Sum over the answer's tokens of the JSD to the base model, mean over the batch; a scalar."""
    hidden = hidden_states(model, batch, "answer")
    head = without_adapter(model).get_output_embeddings()
    now = head(hidden[batch["answer_rows"], batch["answer_columns"]])
    with torch.no_grad():
        before = head(batch["reference"].to(now.dtype))
    return jensen_shannon(now, before).sum() / len(hidden)


def query_loss(odds: Tensor, label: Tensor) -> Tensor:
    """Two-way cross-entropy of the reply, -log P(the right one of yes and no), mean over rows."""
    return functional.binary_cross_entropy_with_logits(odds, label)


def check_head(model: nn.Module, batch: dict[str, Tensor]) -> None:
    """Check that the output head alone turns hidden states into the model's logits, for one row.

    Raises:
        ValueError: the architecture scales or caps its logits, which this objective leaves out.
    """
    ids = torch.cat([batch["query_prefix"], batch["query_ids"][0]])[None]
    with torch.no_grad():
        whole = model(input_ids=ids, output_hidden_states=True)
        logits = without_adapter(model).get_output_embeddings()(whole.hidden_states[-1])
    if not torch.allclose(logits, whole.logits, rtol=1e-2, atol=1e-2):
        raise ValueError(
            f"{type(model.get_base_model()).__name__} changes its logits after the output head "
            f"(a scale or a cap), which calibration tuning does not support."
        )


@torch.no_grad()
def reference_states(
    model: nn.Module, rows: Any, pad: int, batch_size: int, put: Put | None = None
) -> Tensor:
    """Hidden states of the base model at the answer positions of all rows, in row order.

    Args:
        model: with an adapter.
        rows: encoded rows.
        pad: id to fill batches with.
        batch_size: rows that run at a time.
        put: puts the rows' kept states into their batch, as `lower.put_states` does.

    Returns:
        Shape (total number of answer positions, H), in the base model's dtype.
    """
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["answer_ids"]))
    found: dict[int, Tensor] = {}
    with model.disable_adapter():
        for start in tqdm(range(0, len(order), batch_size), desc="Reference answers"):
            chosen = order[start : start + batch_size]
            batch = collate_answers([rows[i] for i in chosen], pad)
            batch = put(batch, [rows[i] for i in chosen]) if put else batch
            batch = {name: value.to(model.device) for name, value in batch.items()}
            hidden = hidden_states(model, batch, "answer")
            states = hidden[batch["answer_rows"], batch["answer_columns"]]
            counts = [len(rows[i]["answer_positions"]) for i in chosen]
            found.update(zip(chosen, states.cpu().split(counts), strict=True))
    return torch.cat([found[i] for i in range(len(rows))])
