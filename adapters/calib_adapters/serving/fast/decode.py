"""Generate texts with one prefill per question, however many samples it has.

Samples of a question share a row of the batch as long as their tokens are equal, and split where
different tokens are drawn. Finished rows leave the batch, and further questions take their place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from calib_adapters.serving.fast.draws import pick, together
from calib_adapters.serving.fast.memory import Written
from calib_adapters.serving.fast.network import Network, Prefilled
from calib_adapters.serving.fast.segments import Past
from calib_adapters.serving.fast.sharing import Tokens
from calib_adapters.serving.fast.sizes import Sizes, batches

ROOM = 8  # tokens by which the rows' memory grows
LOW = 0.5  # share of the possible rows or requests below which new questions are let in
FEW = 0.25  # share of the questions that still have rows, below which the others are dropped


@dataclass(frozen=True)
class Choice:
    """How the next token is chosen: the likeliest, or drawn.

    Attributes:
        sampled: draw the token instead of taking the most likely one.
        temperature: divides the logits.
        top_k: keep this many of the most likely tokens; 0 keeps all.
        top_p: keep the fewest most likely tokens whose total probability reaches this.
    """

    sampled: bool
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def draw(self, logits: Tensor, numbers: Tensor) -> Tensor:
        """Draw tokens (N, C) for the rows of `logits` (N, V) with `numbers` (N, C, 2)."""
        scores, tokens = logits / self.temperature, None
        if 0 < self.top_k < scores.shape[-1]:
            scores, tokens = scores.topk(self.top_k)
        elif self.top_p < 1:
            scores, tokens = scores.sort(descending=True)
        masses = torch.softmax(scores, -1)
        if self.top_p < 1:  # a token stays if it is the first or those before have less than top_p
            before = masses.cumsum(-1) - masses
            masses = masses.masked_fill((before > 0) & (before >= self.top_p), 0)
        if tokens is None:
            return pick(masses, numbers)
        tokens, order = tokens.sort()  # rounding, which differs by batch, would swap near equals
        return tokens.gather(-1, pick(masses.gather(-1, order), numbers))


@dataclass(frozen=True)
class Prompt:
    """A question: its place, its tokens after the prefix, and how many texts it needs.

    `numbers` returns the random numbers of these texts, shape (count, tokens of a text, 2).
    """

    place: int
    tokens: Tokens
    count: int
    numbers: Callable[[], np.ndarray]


@dataclass
class _Row:
    """The samples of a question whose tokens are equal so far."""

    place: int
    question: int  # its place among the questions whose keys are there
    samples: np.ndarray  # their numbers
    draws: np.ndarray  # their random numbers
    text: Written


def decode(
    network: Network,
    prompts: Sequence[Prompt],
    read: Callable[[Sequence[Tokens]], Prefilled],
    prefix: Tensor | None,
    choice: Choice,
    ended: Callable[[Tokens], bool],
    most: int,
    limits: Sizes,
) -> Iterator[tuple[int, list[Written]]]:
    """Generate what the model writes after each of `prompts`, which follow `prefix`.

    Args:
        network: the model.
        prompts: the questions, longest first.
        read: prefills some of them.
        prefix: keys of the prefix that all of them share.
        choice: how tokens are chosen.
        ended: whether these tokens are a finished text.
        most: greatest number of tokens in a text.
        limits: batch sizes.

    Yields:
        ``(place, texts)`` of each prompt once all its texts are finished.
    """
    waiting = list(reversed(prompts))
    wanted = {prompt.place: prompt.count for prompt in prompts}
    done: dict[int, dict[int, Written]] = {prompt.place: {} for prompt in prompts}
    live = _Live(network, prefix, choice)
    while waiting or live.rows:
        if chosen := _let_in(waiting, live.rows, live.held, limits):
            lengths = [len(prompt.tokens) for prompt in chosen]
            live.make_room(len(chosen), max(lengths))
            for places in batches(range(len(chosen)), lengths, limits):
                batch = [chosen[place] for place in places]
                live.add(batch, read([prompt.tokens for prompt in batch]))
        else:
            live.step()
        for row in live.leave(lambda text: len(text.tokens) == most or ended(text.tokens)):
            texts = done[row.place]
            texts.update(dict.fromkeys(row.samples.tolist(), row.text))
            if len(texts) == wanted[row.place]:
                yield row.place, [texts[number] for number in range(len(texts))]
                del done[row.place]


def _let_in(waiting: list[Prompt], rows: Sequence[_Row], held: int, limits: Sizes) -> list[Prompt]:
    """Take from `waiting` the prompts to begin now; none while `rows` fill the batch.

    The questions of `rows` hold keys of `held` tokens.
    """
    room = limits.rows - sum(len(row.samples) for row in rows)
    places = len(waiting)
    if limits.requests is not None:
        places = limits.requests - len({row.place for row in rows})
        if rows and places <= LOW * limits.requests:
            return []
    if rows and room <= LOW * limits.rows:
        return []
    chosen: list[Prompt] = []
    while waiting and len(chosen) < places:
        tokens = held + (len(chosen) + 1) * len((chosen or waiting[-1:])[0].tokens)
        if (chosen and waiting[-1].count > room) or ((chosen or rows) and tokens > limits.keys):
            break
        chosen.append(waiting.pop())
        room -= chosen[-1].count
    return chosen


class _Live:
    """The questions in progress and the rows of the batch that answer them."""

    def __init__(self, network: Network, prefix: Tensor | None, choice: Choice):
        self._network, self._prefix, self._choice = network, prefix, choice
        self.rows: list[_Row] = []
        # Keys (L, 2, B, h, S, d) and number of the tokens of the questions.
        self._keys, self._tokens = network.memory(0, 0), network.numbers([])
        self._past: Past | None = None
        # Keys (L, 2, R, h, C, d) and number of the tokens that the rows wrote before their last.
        self._own, self._lengths = network.memory(0, ROOM), network.numbers([])

    @property
    def held(self) -> int:
        """Return the number of tokens that the questions with rows take up."""
        return len(self._questions()) * self._keys.shape[4]

    def make_room(self, number: int, longest: int) -> None:
        """Make room for `number` more questions of at most `longest` tokens."""
        if len(self._free()) < number or longest > self._keys.shape[4]:
            self._move(number, longest)

    def add(self, prompts: Sequence[Prompt], read: Prefilled) -> None:
        """Add `prompts`, whose prefill is `read`, and choose the first token after each."""
        network, empty = self._network, Written((), (), ())
        none = np.empty((1, 0, 2))  # the likeliest tokens are not drawn
        places = self._free()[: len(prompts)]
        for i, place in enumerate(places):
            # Another question's keys may stand behind those of a shorter one; they are masked.
            self._keys[:, :, place, :, : read.keys.shape[4]] = read.keys[:, :, i]
        self._tokens[network.numbers(places)] = read.lengths
        starts = [
            _Row(
                p.place, i, np.arange(p.count), p.numbers() if self._choice.sampled else none, empty
            )
            for i, p in zip(places, prompts, strict=True)
        ]
        new, _ = self._choose(read.last, starts)
        columns = self._own.shape[4] if self.rows else ROOM
        self._own = torch.cat([self._own[..., :columns, :], network.memory(len(new), columns)], 2)
        self._lengths = torch.cat([self._lengths, network.numbers([0] * len(new))])
        self._past = None
        self._go_on(self.rows + new)

    def step(self) -> None:
        """Generate one more token for every row."""
        if int(self._lengths.max()) == self._own.shape[4]:
            more = self._network.memory(len(self.rows), ROOM)
            self._own = torch.cat([self._own, more], 4)
        tokens = self._network.numbers([row.text.tokens[-1] for row in self.rows])
        before = self._tokens[self._past.question]
        hidden = self._network.step(
            tokens, self._past, before, self._own, self._lengths, self._prefix
        )
        self._lengths = self._lengths + 1
        rows, parents = self._choose(hidden, self.rows)
        self._take(parents)
        self._go_on(rows)

    def leave(self, stopped: Callable[[Written], bool]) -> list[_Row]:
        """Remove the rows whose texts have `stopped`."""
        over = [stopped(row.text) for row in self.rows]
        left = [row for row, out in zip(self.rows, over, strict=True) if out]
        order = _closed_up(over)
        # The last rows move into the gaps: to copy all the others would take as long as a step.
        gaps = [place for place, row in enumerate(order) if place != row]
        if gaps:
            self._own[:, :, gaps] = self._own[:, :, [order[place] for place in gaps]]
        if left:
            self._own = self._own[:, :, : len(order)]
            self._lengths = self._lengths[self._network.numbers(order)]
        self._go_on([self.rows[i] for i in order])
        if self.rows and len(self._questions()) <= FEW * len(self._tokens):
            self._move()
            self._go_on(self.rows)
        return left

    def _questions(self) -> list[int]:
        """Return the places of the questions that have rows."""
        return sorted({row.question for row in self.rows})

    def _free(self) -> list[int]:
        """Return the other places."""
        return sorted(set(range(len(self._tokens))) - set(self._questions()))

    def _move(self, number: int = 0, longest: int = 0) -> None:
        """Move the questions that have rows to the front, with `number` free places behind them."""
        kept, before = self._questions(), self._keys
        columns = before.shape[4] if kept else 0
        self._keys = self._network.memory(len(kept) + number, max(columns, longest))
        self._keys[:, :, : len(kept), :, :columns] = before[:, :, kept, :, :columns]
        tokens = self._tokens[self._network.numbers(kept)]
        self._tokens = torch.cat([tokens, self._network.numbers([0] * number)])
        places = {old: new for new, old in enumerate(kept)}
        for row in self.rows:
            row.question = places[row.question]
        self._past = None

    def _take(self, parents: list[int]) -> None:
        """Replace the rows; each new row continues one of the old ones."""
        if parents != list(range(len(self.rows))):
            index = self._network.numbers(parents)
            self._own, self._lengths = self._own.index_select(2, index), self._lengths[index]

    def _go_on(self, rows: list[_Row]) -> None:
        questions = [row.question for row in rows]
        if rows and (self._past is None or questions != [row.question for row in self.rows]):
            mask = Prefilled(self._keys, self._tokens).mask
            self._past = Past(self._keys, mask, self._network.numbers(questions))
        self.rows = rows

    def _choose(self, hidden: Tensor, rows: Sequence[_Row]) -> tuple[list[_Row], list[int]]:
        """Return the continuations of `rows` by one token, and the row that each continues."""
        numbers = None
        if self._choice.sampled:
            drawn_by = [row.draws[:, len(row.text.tokens)] for row in rows]
            numbers = together(drawn_by, hidden.device)
        found: list[_Row] = []
        parents: list[int] = []
        for start, logits in self._network.logits(hidden):
            best = logits.argmax(-1, keepdim=True)
            drawn = best
            if numbers is not None:
                drawn = self._choice.draw(logits, numbers[start : start + len(logits)])
            logprobs = (logits.gather(-1, drawn) - logits.logsumexp(-1, keepdim=True)).tolist()
            likeliest = best[:, 0].tolist()
            for i, (tokens, values) in enumerate(zip(drawn.tolist(), logprobs, strict=True)):
                row = rows[start + i]
                text, value = row.text, dict(zip(tokens, values, strict=True))
                for token, samples, draws in _parted(row, tokens):
                    longer = Written(
                        (*text.tokens, token),
                        (*text.logprobs, value[token]),
                        (*text.likeliest, token == likeliest[i]),
                    )
                    found.append(_Row(row.place, row.question, samples, draws, longer))
                    parents.append(start + i)
        return found, parents


def _parted(row: _Row, tokens: list[int]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Return the distinct `tokens` that follow a row, and the samples that each belongs to."""
    chosen = tokens[: len(row.samples)]
    different = dict.fromkeys(chosen)
    if len(different) == 1:
        yield chosen[0], row.samples, row.draws
        return
    for token in different:
        mine = [place for place, other in enumerate(chosen) if other == token]
        yield token, row.samples[mine], row.draws[mine]


def _closed_up(over: Sequence[bool]) -> list[int]:
    """Return the order of the remaining rows, with rows from the end moved into the gaps."""
    kept = [place for place, out in enumerate(over) if not out]
    order = list(range(len(kept)))
    gaps = [place for place in order if over[place]]
    for gap, place in zip(gaps, reversed(kept), strict=False):  # there are fewer gaps
        order[gap] = place
    return order
