"""Batch sizes, from the free memory unless the user sets a number of requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psutil
import torch

from calib_adapters.serving.fast.network import Network

# Past these a batch gains nothing. A CPU is busy with few tokens; a GPU wants many.
TOKENS = {"cpu": 2048}
ROWS = {"cpu": 256}
MANY_TOKENS, MANY_ROWS = 16_384, 2048
# Shares of the free memory: of one batch, and of questions kept for later calls.
BATCH, KEPT = 0.2, 0.1
# Bytes where memory is everybody's; the less for those who set a batch size.
KEPT_CPU, KEPT_CPU_SET = 2**30, 2**28


@dataclass(frozen=True)
class Sizes:
    """Limits of a batch.

    Attributes:
        tokens: tokens per prefill pass, padding included.
        rows: rows generated at a time; each sample is a row.
        keys: tokens of all prompts whose keys are held while they are continued.
        requests: prompts at a time, if the user set ``batch_size``.
        kept: bytes of keys kept from one call to the next.
    """

    tokens: int
    rows: int
    keys: int
    requests: int | None
    kept: int


def free_memory(device: torch.device) -> int:
    """Return the free memory of the device in bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def stock_rows(device: torch.device, longest: int, vocabulary: int, most: int) -> int:
    """Return how many rows of that length fit; the stock back end holds three copies of logits."""
    return max(1, min(most, int(BATCH * free_memory(device) / (12 * longest * vocabulary))))


def sizes(network: Network, batch_size: int | str) -> Sizes:
    """Return the limits for a model of this size on its device."""
    kind = network.device.type
    free = free_memory(network.device)
    fitting = int(BATCH * free / network.bytes_per_token)
    requests = None if batch_size == "auto" else int(batch_size)
    kept = int(KEPT * free)
    if kind == "cpu":
        kept = min(kept, KEPT_CPU if requests is None else KEPT_CPU_SET)
    return Sizes(
        tokens=max(1, min(TOKENS.get(kind, MANY_TOKENS), fitting)),
        rows=max(1, min(ROWS.get(kind, MANY_ROWS), fitting // 64)),
        keys=fitting,
        requests=requests,
        kept=kept,
    )


def batches(places: Sequence[int], lengths: Sequence[int], limits: Sizes) -> Iterator[list[int]]:
    """Split `places`, longest first, into batches within the limits on tokens and requests.

    `lengths` holds the tokens of each place. A batch has at least one row, however long.
    """
    batch: list[int] = []
    for place in places:
        full = len(batch) == limits.requests
        if batch and (full or (len(batch) + 1) * max(1, lengths[batch[0]]) > limits.tokens):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
