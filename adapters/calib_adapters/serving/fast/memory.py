"""A cache of what a run may need again: keys of prefixes and prompts, and generated texts.

The samples of a question continue the same prompt as its answer, and a question about the answer
begins with the question itself. Entries are kept per adapter, so that the base model and an
adapter never see each other's keys.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
        # By adapter and prefix, the prompts behind it in order; their keys, (L, 2, h, S, d) each.
        self._sorted: dict[tuple[str | None, Tokens], list[Tokens]] = {}
        self._keys: dict[tuple[str | None, Tokens, Tokens], Tensor] = {}
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
        begun = self._begun((adapter, prefix), rows)
        read = self._network.prefill(rows, self.prefix(adapter, prefix), begun)
        for i, row in enumerate(rows):
            keys = read.keys[:, :, i, :, : len(row)]
            if (adapter, prefix, row) not in self._keys and keys.nbytes <= self._free:
                self._keys[adapter, prefix, row] = keys.clone()
                insort(self._sorted.setdefault((adapter, prefix), []), row)
                self._free -= keys.nbytes
        return read

    def _begun(self, where: tuple[str | None, Tokens], rows: Sequence[Tokens]) -> Prefilled | None:
        """The longest beginnings of `rows` that are kept, a token short of the whole at most."""
        kept = self._sorted.get(where, [])
        found = []
        for row in rows:
            # In order, the rows that share most with this one stand next to where it belongs.
            place = bisect_left(kept, row)
            near = [(shared(other, row), other) for other in kept[max(0, place - 1) : place + 1]]
            number, other = max(near, default=(0, ()))
            number = min(number, len(row) - 1)
            found.append((number, other) if number >= WORTH_A_COPY else (0, ()))
        longest = max(number for number, _ in found)
        if not longest:
            return None
        keys = self._network.memory(len(rows), longest)
        for i, (number, other) in enumerate(found):
            if number:
                keys[:, :, i, :, :number] = self._keys[(*where, other)][:, :, :, :number]
        lengths = torch.tensor([number for number, _ in found], device=self._network.device)
        return Prefilled(keys, lengths)

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
