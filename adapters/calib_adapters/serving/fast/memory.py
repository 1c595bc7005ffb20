"""A cache of what a run may need again: keys of prefixes and prompts, and generated texts.

The samples of a question continue the same prompt as its answer, and a question about the answer
begins with the question itself. Entries are kept per adapter, so that the base model and an
adapter never see each other's keys.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from calib_adapters.serving.fast.network import Network, Prefilled
from calib_adapters.serving.fast.sharing import Tokens, shared

PREFIXES = 8  # kept
WORTH_A_COPY = 8  # tokens


@dataclass(frozen=True)
class Written:
    """Generated tokens, their log-probabilities, and whether each was the most likely one."""

    tokens: Tokens
    logprobs: tuple[float, ...]
    likeliest: tuple[bool, ...]


class Memory:
    """Keeps prompts as long as there is `room`, in bytes.

    A new entry never evicts an old one: the next call visits the questions in the same order, so
    that the evicted entry would always be the one it needs next.
    """

    def __init__(self, network: Network, room: int):
        self._network, self._room, self._free = network, room, room
        self._prefixes: dict[tuple[str | None, Tokens], Tensor | None] = {}
        # By adapter and prefix, the prompts behind it in order; the keys of each, (L, 2, h, S, d),
        # and its last hidden state, (H,).
        self._sorted: dict[tuple[str | None, Tokens], list[Tokens]] = {}
        self._keys: dict[tuple[str | None, Tokens, Tokens], tuple[Tensor, Tensor]] = {}
        self._written: dict[tuple[str | None, Tokens], list[Written]] = {}

    def forget(self) -> None:
        """Drop all entries; called before new questions are asked."""
        self._free = self._room
        for kept in (self._sorted, self._keys, self._written):
            kept.clear()

    def prefix(self, adapter: str | None, tokens: Tokens) -> Tensor | None:
        """Keys of `tokens` under the `adapter` that is on; the least recently used are dropped."""
        key = adapter, tokens
        found = self._prefixes.pop(key) if key in self._prefixes else self._network.prefix(tokens)
        self._prefixes[key] = found
        while len(self._prefixes) > PREFIXES:
            del self._prefixes[next(iter(self._prefixes))]
        return found

    def read(self, adapter: str | None, prefix: Tokens, rows: Sequence[Tokens]) -> Prefilled:
        """The state after `rows`, which follow `prefix`, under the `adapter` that is on."""
        if all((adapter, prefix, row) in self._keys for row in rows):
            kept = [self._keys[adapter, prefix, row] for row in rows]
            read = self._side_by_side([keys for keys, _ in kept])
            return replace(read, last=torch.stack([last for _, last in kept]))
        begun = self._begun((adapter, prefix), rows)
        read = self._network.prefill(rows, self.prefix(adapter, prefix), begun)
        for i, row in enumerate(rows):
            keys = read.keys[:, :, i, :, : len(row)]
            if (adapter, prefix, row) not in self._keys and keys.nbytes <= self._free:
                self._keys[adapter, prefix, row] = keys.clone(), read.last[i].clone()
                insort(self._sorted.setdefault((adapter, prefix), []), row)
                self._free -= keys.nbytes
        return read

    def _begun(self, where: tuple[str | None, Tokens], rows: Sequence[Tokens]) -> Prefilled | None:
        """The longest beginnings of `rows` that are kept, a token short of the whole at most."""
        kept = self._sorted.get(where, [])
        found: list[Tensor | None] = []
        for row in rows:
            # In order, the rows that share most with this one stand next to where it belongs.
            place = bisect_left(kept, row)
            near = [(shared(other, row), other) for other in kept[max(0, place - 1) : place + 1]]
            number, other = max(near, default=(0, ()))
            number = min(number, len(row) - 1)
            worth = number >= WORTH_A_COPY
            found.append(self._keys[(*where, other)][0][:, :, :, :number] if worth else None)
        return self._side_by_side(found) if any(keys is not None for keys in found) else None

    def _side_by_side(self, rows: Sequence[Tensor | None]) -> Prefilled:
        """Copies of the keys of some prompts; ``None`` stands for one of no tokens."""
        lengths = [0 if keys is None else keys.shape[3] for keys in rows]
        found = self._network.memory(len(rows), max(lengths))
        for i, keys in enumerate(rows):
            if keys is not None:
                found[:, :, i, :, : lengths[i]] = keys
        return Prefilled(found, self._network.numbers(lengths))

    def remember(self, adapter: str | None, row: Tokens, texts: Iterable[Written]) -> None:
        """Keep what was written after a prompt."""
        self._written.setdefault((adapter, row), []).extend(texts)

    def look_up(
        self, adapter: str | None, row: Tokens, continuation: Tokens
    ) -> tuple[float, bool] | None:
        """Log-likelihood of a continuation that begins something written, and if it is greedy."""
        n = len(continuation)
        for text in self._written.get((adapter, row), ()):
            if text.tokens[:n] == continuation:
                return sum(text.logprobs[:n]), all(text.likeliest[:n])
        return None
