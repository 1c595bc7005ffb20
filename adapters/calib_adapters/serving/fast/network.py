"""A causal language model split into layers, which run over segments, and an output head."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn

from calib_adapters.serving.fast.segments import NotServed, Past, View, attending

# Numbers of logits that exist at a time: 64 MB in float32.
LOGITS = 2**24
TRIAL = 24  # tokens
NARROW = 5  # of the sliding windows of a trial
# Probability that may be elsewhere in the trial: by its rounding alone bfloat16 moves some 0.04.
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}
ROUGH = 0.15
SAME = 1e-3  # by the same operations; on a GPU those of experts come in no fixed order


@dataclass
class Prefilled:
    """The state after prefilling prompts, or the beginnings of prompts.

    Attributes:
        keys: (L, 2, B, h, S, d), right-padded, without the shared prefix.
        lengths: (B,) number of tokens in `keys` without padding.
        last: (B, H) hidden state at each prompt's last token; ``None`` for beginnings.
    """

    keys: Tensor
    lengths: Tensor
    last: Tensor | None = None

    @property
    def mask(self) -> Tensor:
        """Return which columns hold a key, shape (rows, columns)."""
        columns = torch.arange(self.keys.shape[4], device=self.lengths.device)
        return columns < self.lengths[:, None]


class Network:
    """The layers and the head of `model`, which may be a PEFT model.

    `plain` maps token ids (B, T) to the logits (B, T, V) of the stock back end. A trial at
    construction compares the two.

    Raises:
        NotServed: the model cannot run this way; the message gives the reason.
    """

    def __init__(self, model: nn.Module, plain: Callable[[Tensor], Tensor]):
        causal = model
        if isinstance(model, PeftModel):
            causal = model.get_base_model()
            if any(config.is_prompt_learning for config in model.peft_config.values()):
                raise NotServed("its adapter puts tokens of its own before the prompt")
        self._layers, head = causal.base_model, causal.get_output_embeddings()
        if self._layers is causal or head is None:
            raise NotServed("it has no layers and output head of its own")
        self.config: Any = self._layers.config
        self._head = _with_scale(head, self.config)
        weight = head.weight
        self.device, self.dtype, self.vocabulary = weight.device, weight.dtype, weight.shape[0]
        self.window = math.inf
        self._try(plain)

    @torch.no_grad()
    def _try(self, plain: Callable[[Tensor], Tensor]) -> None:
        """Compare the logits of some tokens read in one piece and in three."""
        ids = (torch.arange(TRIAL, device=self.device) * 7919 + 11) % min(self.vocabulary, 1000)
        expected = plain(ids[None])[0, -TRIAL:].float().softmax(-1)
        view = View(None, None, None, torch.zeros(1, dtype=torch.long, device=self.device), TRIAL)
        try:
            states = self._layers(input_ids=ids[None])[0]
            with attending(self.config, view):
                self._layers(
                    input_ids=ids[None],
                    position_ids=torch.arange(TRIAL, device=self.device)[None],
                    use_cache=False,
                )
        except (TypeError, KeyError, AttributeError, ValueError, RuntimeError) as error:
            raise NotServed(f"its layers do not take these arguments ({error})") from error
        # Near in every dtype, unlike the trial in pieces: a scale or a cap of logits may be small.
        if _moved(self._head(states[0]), expected) > SAME:
            raise NotServed("its logits are others than its head's")
        if view.layers != set(range(len(view.layers))) or view.shape is None:
            raise NotServed("its layers do not call transformers' attention interface")
        self.count, (self.heads, self.size) = len(view.layers), view.shape
        near = TOLERANCE.get(self.dtype, ROUGH)
        moved = _moved(self._in_pieces(ids), expected[14:])
        if not moved < near:
            raise NotServed(f"in pieces its probabilities are others ({moved:.2g} of 1 moved)")
        bounds = dict(_bounds(self.config))
        if view.window:
            bounds["sliding_window"] = min(view.window, bounds.get("sliding_window", view.window))
            if self._slides(ids, plain, expected, near):
                del bounds["sliding_window"]
        self.window = min(bounds.values(), default=math.inf)

    def _slides(
        self, ids: Tensor, plain: Callable[[Tensor], Tensor], expected: Tensor, near: float
    ) -> bool:
        """Return whether a sliding window masks the same tokens as in the stock back end.

        The test uses a narrow window; if that changes the logits too little to tell, the answer
        is no.
        """
        with _narrowed(self._layers, self.config):
            narrow = plain(ids[None])[0, -TRIAL:].float().softmax(-1)
            moved = _moved(self._in_pieces(ids), narrow[14:])
        return moved < near < _apart(narrow, expected) / 2

    def _in_pieces(self, ids: Tensor) -> Tensor:
        """Return the logits (T, V) of the trial's tokens from the fifteenth on, in three passes."""
        prefix = self.prefix(ids[:9].tolist())
        read = self.prefill([ids[9:15].tolist(), ids[9:17].tolist()], prefix)
        rows = torch.tensor([0, 1, 0], device=self.device)
        tails = [ids[15:].tolist(), ids[17:].tolist(), ids[15:16].tolist()]
        hidden = self.follow(read, rows, tails, prefix)
        return torch.cat([self._head(read.last[:1]), self._head(hidden[0])])

    @property
    def bytes_per_token(self) -> int:
        """Return the memory of one token's keys and values in all layers."""
        return 2 * self.count * self.heads * self.size * self.dtype.itemsize

    def memory(self, rows: int, tokens: int) -> Tensor:
        """Allocate memory for the keys of `tokens` tokens in each of `rows` rows."""
        # Zeros: whatever else stood there might be no number, and 0 times that is no number.
        shape = (self.count, 2, rows, self.heads, tokens, self.size)
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    def numbers(self, values: Sequence[int]) -> Tensor:
        """Return a tensor of integers on the model's device."""
        return torch.tensor(values, dtype=torch.long, device=self.device)

    def _pad(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        ids = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
        return ids.to(self.device), self.numbers([len(row) for row in rows])

    def _run(self, view: View, ids: Tensor, start: Tensor, new: Tensor) -> Tensor:
        """Return the hidden states (R, T, H) of rows of `new` (R,) tokens from `start` (R,) on.

        Padding does not go through the layers, except for attention. It would also have positions
        that may not exist, and change a RoPE that depends on the greatest position.
        """
        columns = torch.arange(ids.shape[1], device=self.device)
        positions, real = start[:, None] + columns, columns < new[:, None]
        whole = bool(real.all())
        if not whole:
            view.places = real.flatten().nonzero()[:, 0]
            ids, positions = ids[real][None], positions[real][None]
        with torch.no_grad(), attending(self.config, view):
            found = self._layers(input_ids=ids, position_ids=positions, use_cache=False)[0]
        return found if whole else view.padded(found[0])

    def prefix(self, tokens: Sequence[int]) -> Tensor | None:
        """Return keys (L, 2, 1, h, P, d) of `tokens` for rows to share; ``None`` without tokens."""
        return self.prefill([tokens], None).keys if tokens else None

    def prefill(
        self,
        rows: Sequence[Sequence[int]],
        prefix: Tensor | None,
        begun: Prefilled | None = None,
    ) -> Prefilled:
        """Read `rows` that follow `prefix`; `begun`: but for the first tokens, which it holds.

        Each row must have at least a token to be read.
        """
        zeros = torch.zeros(len(rows), dtype=torch.long, device=self.device)
        starts = zeros if begun is None else begun.lengths
        ids, new = self._pad(
            [row[start:] for row, start in zip(rows, starts.tolist(), strict=True)]
        )
        own = self.memory(*ids.shape)
        each = torch.arange(len(rows), device=self.device)
        past = None if begun is None else Past(begun.keys, begun.mask, each)
        view = View(prefix, past, own, zeros, ids.shape[1])
        hidden = self._run(view, ids, starts + _tokens(prefix), new)
        last = hidden[each, new - 1]
        if begun is None:
            return Prefilled(own, new, last)
        keys = self.memory(len(rows), max(map(len, rows)))
        for i, (start, row) in enumerate(zip(starts.tolist(), rows, strict=True)):
            keys[:, :, i, :, :start] = begun.keys[:, :, i, :, :start]
            keys[:, :, i, :, start : len(row)] = own[:, :, i, :, : len(row) - start]
        return Prefilled(keys, starts + new, last)

    def follow(
        self,
        read: Prefilled,
        question: Tensor,
        rows: Sequence[Sequence[int]],
        prefix: Tensor | None,
    ) -> Tensor:
        """Return the hidden states (R, T, H) of `rows` after the questions `question` (R,)."""
        ids, new = self._pad(rows)
        start = read.lengths[question] + _tokens(prefix)
        past = Past(read.keys, read.mask, question)
        view = View(prefix, past, None, torch.zeros_like(start), ids.shape[1])
        return self._run(view, ids, start, new)

    def step(
        self, tokens: Tensor, past: Past, before: Tensor, own: Tensor, lengths: Tensor,
        prefix: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """Hidden states (R, H) after one more token per row, whose keys are put into `own`.

        `before` (R,) are the tokens of each row's question, `lengths` (R,) those in `own`.
        """
        view = View(prefix, past, own, lengths, 1)
        start = before + lengths + _tokens(prefix)
        return self._run(view, tokens[:, None], start, torch.ones_like(start))[:, 0]

    def logits(self, hidden: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield ``(first row, logits)`` of `hidden` (N, H) in float32, some rows at a time."""
        size = max(1, LOGITS // self.vocabulary)
        with torch.no_grad():
            for start in range(0, len(hidden), size):
                yield start, self._head(hidden[start : start + size]).float()

    def read_off(self, hidden: Tensor, rows: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return log p(targets[i]) after hidden[rows[i]], and whether that token is greedy."""
        logprobs = torch.empty(len(rows), device=self.device)
        greedy = torch.empty(len(rows), device=self.device, dtype=torch.bool)
        for start, logits in self.logits(hidden):
            chosen = ((rows >= start) & (rows < start + len(logits))).nonzero()[:, 0]
            local, target = rows[chosen] - start, targets[chosen]
            logprobs[chosen] = logits[local, target] - logits.logsumexp(-1)[local]
            greedy[chosen] = logits.argmax(-1)[local] == target
        return logprobs, greedy


def _with_scale(head: nn.Module, config: Any) -> Callable[[Tensor], Tensor]:
    """Return the head as a function from states to logits.

    It does what some models do to the head's output: Granite divides, Cohere scales, Gemma caps.
    """
    divisor = getattr(config, "logits_scaling", None) or 1
    factor = getattr(config, "logit_scale", None) or 1
    cap = getattr(config, "final_logit_softcapping", None)

    def logits(states: Tensor) -> Tensor:
        found = head(states) / divisor * factor
        return torch.tanh(found / cap) * cap if cap else found

    return logits if divisor != 1 or factor != 1 or cap else head


def _bounds(config: Any) -> Iterator[tuple[str, int]]:
    """Tokens past which a layer attends to some only, or turns all by other angles, and why."""
    for name in ("sliding_window", "attention_chunk_size"):
        if bound := getattr(config, name, None):
            yield name, bound
    ropes = getattr(config, "rope_parameters", None) or {}
    # Models with several kinds of layers have one for each.
    for name, rope in (("all", ropes), *ropes.items()):
        if isinstance(rope, dict) and rope.get("rope_type") in ("dynamic", "longrope"):
            bound = rope.get("original_max_position_embeddings") or config.max_position_embeddings
            yield f"rope of {name}", bound


@contextmanager
def _narrowed(layers: nn.Module, config: Any) -> Iterator[None]:
    """Context manager: all sliding windows of a model are `NARROW`, wherever it reads them from."""
    places = [
        place
        for place in (config, *layers.modules())
        if isinstance(getattr(place, "sliding_window", None), int)
    ]
    before = [place.sliding_window for place in places]
    try:
        for place in places:
            place.sliding_window = NARROW
        yield
    finally:
        for place, window in zip(places, before, strict=True):
            place.sliding_window = window


def _apart(one: Tensor, other: Tensor) -> float:
    """Probability that stands elsewhere in `one` (N, V) than in `other`, at the worst place."""
    return (one - other).abs().sum(-1).max().item() / 2


def _moved(logits: Tensor, expected: Tensor) -> float:
    """Probability that `logits` (N, V) put elsewhere than `expected` (N, V), at the worst place."""
    return _apart(logits.float().softmax(-1), expected)


def _tokens(keys: Tensor | None) -> int:
    return 0 if keys is None else keys.shape[4]
