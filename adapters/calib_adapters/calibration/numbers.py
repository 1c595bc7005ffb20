"""The numbers that a model can state, as a tree of tokens.

Tokenizers write "100%" as one token and a sign, or digit by digit; then "10%" and "100%" share
their first tokens, and no single position tells all numbers apart. So each number is scored whole,
up to its percent sign, by the tokens that write it behind the question. The tree of all of them, in
which tokens that numbers share occur once, runs behind a row's question in one pass: a token sees
the question and what leads to it in the tree, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from calib_adapters.calibration.lower import only_lower
from calib_adapters.training.base_model import without_adapter

# Nats a token: what the order of sums may change in float32, and in 16 bits.
NEAR = {torch.float32: 1e-3}
ROUGH = 0.25
ROWS = 32  # in a pass over the lower layers


class Numbers(NamedTuple):
    """Numbers that can be stated, with C of them, N tokens to run and E tokens to score.

    Attributes:
        values: the numbers as probabilities, (C,), in rising order.
        tokens: of the tree, (N,), without the last one of each number, which nothing follows.
        depths: how far each of them is behind the question, from 1, (N,).
        sees: whether a token comes from another, or is it, (N, N).
        scored: the tokens that are scored, (E,).
        behind: what each of them follows, (E,): 0 is the question, n the tree's token n - 1.
        paths: 1 where a scored token is part of a number, (C, E).
    """

    values: Tensor
    tokens: Tensor
    depths: Tensor
    sees: Tensor
    scored: Tensor
    behind: Tensor
    paths: Tensor

    def to(self, device: torch.device) -> Numbers:
        """The same on `device`."""
        return Numbers(*(part.to(device) for part in self))


def tree(values: Sequence[float], replies: Sequence[Sequence[int]]) -> Numbers:
    """`Numbers` of the probabilities `values`, which the token ids `replies` write.

    Raises:
        ValueError: a reply begins with another one, so that its probability is never the higher.
    """
    ways = [tuple(reply) for reply in replies]
    scored = sorted({way[: n + 1] for way in ways for n in range(len(way))})
    inner = [
        part
        for part in scored
        if any(len(way) > len(part) and way[: len(part)] == part for way in ways)
    ]
    if len(set(ways)) < len(ways) or set(inner) & set(ways) or () in ways:
        raise ValueError(
            "the tokenizer writes two of the numbers such that one begins with the other, so they "
            "cannot be told apart; use the model's own tokenizer."
        )
    place = {part: n for n, part in enumerate([(), *inner])}
    return Numbers(
        torch.tensor(values),
        torch.tensor([part[-1] for part in inner], dtype=torch.long),
        torch.tensor([len(part) for part in inner], dtype=torch.long),
        torch.tensor([[part[: len(other)] == other for other in inner] for part in inner]),
        torch.tensor([part[-1] for part in scored]),
        torch.tensor([place[part[:-1]] for part in scored]),
        torch.tensor([[float(way[: len(part)] == part) for part in scored] for way in ways]),
    )


def collate_numbers(
    queries: Sequence[Sequence[int]], numbers: Numbers, pad: int
) -> dict[str, Tensor]:
    """B rows of a query, filled to L tokens, behind which the tree's N tokens run.

    ``query_ids`` (B, L) and ``query_prefix`` (0,), as in `objective.collate`; ``positions``
    (B, L + N); ``sees`` (B, 1, L + N, L + N), true where a token (third axis) sees another;
    ``last`` (B,), the query's last token.
    """
    own = [torch.tensor(query) for query in queries]
    ids = nn.utils.rnn.pad_sequence(own, batch_first=True, padding_value=pad)
    rows, length = ids.shape
    count = len(numbers.tokens)
    last = torch.tensor([len(query) - 1 for query in queries])
    mask = torch.zeros(rows, 1, length + count, length + count, dtype=torch.bool)
    mask[..., :length, :length] = torch.ones(length, length, dtype=torch.bool).tril()
    mask[:, 0, length:, :length] = (torch.arange(length) <= last[:, None])[:, None]
    mask[..., length:, length:] = numbers.sees
    positions = torch.arange(length).expand(rows, length)
    behind = last[:, None] + numbers.depths
    return {
        "query_ids": ids,
        "query_prefix": ids.new_empty(0),
        "positions": torch.cat([positions, behind], dim=1),
        "sees": mask,
        "last": last,
    }


def number_logprobs(model: nn.Module, batch: dict[str, Tensor], numbers: Numbers) -> Tensor:
    """Log-probability of each number, all of its tokens, behind the query: (B, C), in nats.

    In place of token ids there may be states for the layers to go on from: ``query_ids`` then is
    (B, L, H), and ``tree_states`` (B, N, H).
    """
    numbers, last = numbers.to(batch["last"].device), batch["last"]
    hidden = _hidden(model, batch, numbers)
    rows = torch.arange(len(last), device=last.device)
    length = batch["query_ids"].shape[1]
    states = torch.cat([hidden[rows, last][:, None], hidden[:, length:]], dim=1)
    logits = without_adapter(model).get_output_embeddings()(states).float()
    scored = logits[:, numbers.behind, numbers.scored] - logits.logsumexp(-1)[:, numbers.behind]
    return scored @ numbers.paths.T


def _hidden(model: nn.Module, batch: dict[str, Tensor], numbers: Numbers) -> Tensor:
    """Final hidden states of the queries and of the tree behind each: (B, L + N, H)."""
    causal, query = without_adapter(model), batch["query_ids"]
    if query.is_floating_point():
        given, behind = "inputs_embeds", batch["tree_states"]
    else:
        given, behind = "input_ids", numbers.tokens.to(query.device).expand(len(query), -1)
    mask = torch.zeros(batch["sees"].shape, dtype=causal.dtype, device=query.device)
    mask.masked_fill_(~batch["sees"], torch.finfo(causal.dtype).min)
    return causal.get_decoder()(
        **{given: torch.cat([query, behind], dim=1)},
        position_ids=batch["positions"],
        attention_mask=mask,
        use_cache=False,
    ).last_hidden_state


@torch.no_grad()
def tree_states(
    model: nn.Module, queries: Sequence[Sequence[int]], numbers: Numbers, first: int, pad: int
) -> Tensor:
    """What the layers below number `first` make of the tree behind each query: (rows, N, H)."""
    order = sorted(range(len(queries)), key=lambda i: len(queries[i]))
    found: dict[int, Tensor] = {}
    with only_lower(model, first) as given:
        for start in tqdm(range(0, len(order), ROWS), desc="Lower layers, numbers"):
            chosen = order[start : start + ROWS]
            batch = collate_numbers([queries[i] for i in chosen], numbers, pad)
            batch = {name: value.to(model.device) for name, value in batch.items()}
            given.clear()
            _hidden(model, batch, numbers)
            length = batch["query_ids"].shape[1]
            found.update(zip(chosen, given[0][:, length:].cpu(), strict=True))
    return torch.stack([found[i] for i in range(len(queries))])


@torch.no_grad()
def check_numbers(
    model: nn.Module, query: Sequence[int], numbers: Numbers, replies: Any, pad: int
) -> None:
    """Check on one query that the tree gives what each number gives when it runs alone.

    Raises:
        ValueError: the architecture does not keep to the mask, or changes its logits.
    """
    device = model.device
    batch = {
        name: value.to(device) for name, value in collate_numbers([query], numbers, pad).items()
    }
    together = number_logprobs(model, batch, numbers)[0].tolist()
    for logprob, reply in zip(together, replies, strict=True):
        ids = torch.tensor([[*query, *reply]], device=device)
        logits = model(input_ids=ids).logits[0, len(query) - 1 : -1].float().log_softmax(-1)
        alone = logits.gather(-1, ids[0, len(query) :, None]).sum().item()
        if not abs(alone - logprob) <= NEAR.get(model.dtype, ROUGH) * len(reply):
            raise ValueError(
                f"{type(without_adapter(model)).__name__} gives a number another probability when "
                f"it runs beside others ({logprob:.3f} instead of {alone:.3f} nats), so it cannot "
                f"be taught to state one."
            )
