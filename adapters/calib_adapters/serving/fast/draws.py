"""Random numbers fixed for each sampled text, and tokens drawn with them.

A sampled text depends only on the seed, the prompt and the index of the repetition. It does not
depend on the batch, on the other questions, or on where an interrupted run resumed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

BLOCK = 256  # tokens that are drawn from together


def numbers_of(key: str, prompt: Sequence[int], repetitions: int, most: int) -> np.ndarray:
    """Numbers in [0, 1), two for each of at most `most` tokens: (repetitions, most, 2).

    A number depends on `key`, `prompt`, its repetition and its token, not on how many there are.
    """
    tokens = np.asarray(prompt, "<i8").tobytes()
    digest = hashlib.sha256(hashlib.sha256(key.encode()).digest() + tokens).digest()
    words = np.frombuffer(digest[:16], "<u8")
    found = np.empty((repetitions, 2 * most), np.uint64)
    for repetition, row in enumerate(found):
        # Streams so far apart in one sequence that they do not meet.
        row[:] = np.random.Philox(counter=[0, 0, 0, repetition], key=words).random_raw(len(row))
    return ((found >> np.uint64(11)) * 2.0**-53).reshape(repetitions, most, 2)


def together(numbers: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """Arrays (n, 2), one for each row of a batch, as (rows, greatest n, 2), padded with zeros."""
    counts = np.fromiter(map(len, numbers), int, len(numbers))
    flat = np.concatenate(numbers)
    padded = np.zeros((len(counts), counts.max(), 2))
    padded[np.arange(padded.shape[1]) < counts[:, None]] = flat
    return torch.from_numpy(padded).to(_exact(device)).to(device)


def pick(masses: Tensor, numbers: Tensor) -> Tensor:
    """Places in the rows of `masses` (N, V), drawn by `numbers` (N, C, 2): (N, C).

    First a block of places by the one number, then a place in it by the other. That takes less time
    than to sum up all places one by one. It is also less sensitive: by a single number that falls
    among thousands of unlikely tokens, the rounding of another batch size draws a neighbour.
    """
    width = masses.shape[-1]
    if width <= BLOCK:
        return _place(masses, numbers[..., 1])
    whole = width // BLOCK * BLOCK
    sums = masses[:, :whole].unflatten(-1, (-1, BLOCK)).sum(-1)
    if whole < width:
        sums = torch.cat([sums, masses[:, whole:].sum(-1, keepdim=True)], -1)
    start = _place(sums, numbers[..., 0]) * BLOCK
    places = start[..., None] + torch.arange(BLOCK, device=masses.device)
    block = masses.gather(-1, places.clamp(max=width - 1).flatten(1)).view(places.shape)
    block = block.masked_fill(places >= width, 0)
    return start + _place(block.flatten(0, 1), numbers[..., 1].reshape(-1, 1)).view(start.shape)


def _place(masses: Tensor, numbers: Tensor) -> Tensor:
    """The inverse of the distribution function of each row (N, V), at `numbers` (N, C)."""
    sums = masses.cumsum(-1, dtype=_exact(masses.device))
    found = torch.searchsorted(sums, numbers * sums[:, -1:], right=True)
    # The product can be rounded up to the sum itself: then it is the last that has a mass.
    return torch.minimum(found, (sums < sums[:, -1:]).sum(-1, keepdim=True))


def _exact(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64  # which has no more
