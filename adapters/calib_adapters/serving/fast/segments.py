"""Attention over keys in three segments, so that shared keys are stored once.

A row attends to a *prefix* shared by the whole batch, to the rest of its *question*, shared by
the question's samples or options, and to its *own* tokens. For each segment, one matrix product
computes the scores of all rows that share its keys. The softmax runs over the three segments
together, so the result equals ordinary attention over the whole sequence.

Keys and values are tensors of shape (layers, 2, rows, heads, tokens, size). Only models whose
layers call transformers' attention interface can run this way; see `network.Network`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

NAME = "calib_segments"
# Shared keys are copied for every row if that is faster: from `MANY` new tokens on, unless there
# are `TIMES` as many shared ones. Past `LONG` new tokens the scores would take more memory.
MANY, TIMES, LONG = 16, 8, 128
_current: list[View] = []


class NotServed(Exception):
    """The model needs a kind of attention that is not implemented here; the message says which."""


@dataclass
class Past:
    """Questions that rows continue: `keys` (L, 2, B, h, S, d); `mask` (B, S) is false on padding.

    `question` (R,) is each row's index into B. `slots` (R,) is its place in an array that holds
    `width` rows for every question.
    """

    keys: Tensor
    mask: Tensor
    question: Tensor
    slots: Tensor = field(init=False)
    width: int = field(init=False)

    def __post_init__(self) -> None:
        counts = torch.bincount(self.question, minlength=len(self.mask))
        self.width = int(counts.max())
        order = self.question.argsort(stable=True)
        rank = torch.empty_like(order)
        starts = (counts.cumsum(0) - counts)[self.question[order]]
        rank[order] = torch.arange(len(order), device=order.device) - starts
        self.slots = self.question * self.width + rank


@dataclass
class View:
    """The segments of one forward pass over `new` tokens in each of R rows.

    Attributes:
        prefix: (L, 2, 1, h, P, d) or ``None``.
        past: the questions, or ``None``.
        own: (L, 2, R, h, C, d), where new keys are stored; ``None`` to keep none.
        lengths: (R,) tokens already in `own`; all 0 if more than one token is new.
        places: (N,) of the tokens among the R x `new` places, if rows differ in length: the layers
            get all tokens in one row then. ``None`` if they get the rows as they are.
        window: set by the pass: the smallest attention window that a layer asked for.
        shape: set by the pass: heads and size of the keys, which must agree in all layers.
    """

    prefix: Tensor | None
    past: Past | None
    own: Tensor | None
    lengths: Tensor
    new: int
    places: Tensor | None = None
    window: int | None = None
    layers: set[int] = field(default_factory=set)
    shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self.bias = self._bias()
        self._within: dict[int, Tensor] = {}

    def within(self, window: int | None) -> Tensor:
        """The bias for a layer in which a token sees the last `window` tokens, itself included."""
        if window is None or self.bias.shape[-1] <= window:
            return self.bias
        if window not in self._within:
            far = self._distances() >= window
            narrow = self.bias.masked_fill(far[:, None], -torch.inf) if far.any() else self.bias
            self._within[window] = narrow
        return self._within[window]

    def _distances(self) -> Tensor:
        """Return the distance in tokens from each key back from each new token, shape (R, T, S)."""
        device = self.lengths.device
        prefix = 0 if self.prefix is None else self.prefix.shape[4]
        before = torch.full_like(self.lengths, prefix)
        if self.past is not None:
            before = before + self.past.mask.sum(1)[self.past.question]
        shared = torch.arange(self.shared, device=device).expand(len(before), -1)
        own = before[:, None] + torch.arange(self.bias.shape[-1] - self.shared, device=device)
        new = (before + self.lengths)[:, None] + torch.arange(self.new, device=device)
        return new[:, :, None] - torch.cat([shared, own], -1)[:, None]

    def _bias(self) -> Tensor | None:
        """Return a bias (R or 1, 1, T, S), -inf on masked keys; ``None`` if nothing is masked."""
        rows, device = len(self.lengths), self.lengths.device
        parts = []
        if self.prefix is not None:
            parts.append(torch.ones(1, self.new, self.prefix.shape[4], device=device).bool())
        if self.past is not None:
            parts.append(self.past.mask[self.past.question][:, None].expand(-1, self.new, -1))
        if self.new > 1:
            own = torch.ones(self.new, self.new, device=device).bool().tril()[None]
        else:
            columns = torch.arange(int(self.lengths.max()) + 1, device=device)
            own = (columns <= self.lengths[:, None])[:, None]
        parts.append(own)
        if any(len(part) > 1 for part in parts):
            parts = [part.expand(rows, -1, -1) for part in parts]
        allowed = torch.cat(parts, -1)[:, None]
        return torch.zeros(allowed.shape, device=device).masked_fill(~allowed, -torch.inf)

    def padded(self, values: Tensor) -> Tensor:
        """Put the values (N, ...) of the tokens into rows (R, T, ...), with zeros elsewhere."""
        rows = len(self.lengths)
        found = values.new_zeros(rows * self.new, *values.shape[1:])
        return found.index_copy_(0, self.places, values).unflatten(0, (rows, self.new))

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the new keys of a layer; all of the rows' own keys, (R, h, C, d), and values."""
        if self.own is None:
            return keys, values
        if self.new > 1:
            self.own[layer, 0, :, :, : self.new] = keys
            self.own[layer, 1, :, :, : self.new] = values
            return keys, values
        rows = torch.arange(len(keys), device=keys.device)
        self.own[layer, 0, rows, :, self.lengths] = keys[:, :, 0]
        self.own[layer, 1, rows, :, self.lengths] = values[:, :, 0]
        used = self.bias.shape[-1] - self.shared
        return self.own[layer, 0, :, :, :used], self.own[layer, 1, :, :, :used]

    @property
    def shared(self) -> int:
        """Return the number of columns of the prefix and the questions."""
        prefix = 0 if self.prefix is None else self.prefix.shape[4]
        return prefix + (0 if self.past is None else self.past.mask.shape[1])


@contextmanager
def attending(config: Any, view: View) -> Iterator[View]:
    """Context manager: a model with this `config` attends to the segments of `view`."""
    before = config._attn_implementation
    config._attn_implementation = NAME
    _current.append(view)
    try:
        yield view
    finally:
        _current.pop()
        config._attn_implementation = before


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention function for transformers: maps `query` (R, H, T, d) to (R, T, H, d).

    With `View.places`, `query` is (1, H, N, d) and the result (1, N, H, d).

    Raises:
        NotServed: the layer has an attention sink, a mask of its own, or dropout.
    """
    view = _current[-1]
    special = [] if kwargs.get("s_aux") is None else ["a sink"]
    special += ["a mask"] if attention_mask is not None else []
    if special or dropout or not getattr(module, "is_causal", True):
        raise NotServed(f"its attention needs {', '.join(special) or 'dropout or no order'}")
    window = kwargs.get("sliding_window") or None
    if window:
        view.window = min(window, view.window or window)
    if view.shape not in (None, (key.shape[1], key.shape[3])) or key.shape != value.shape:
        raise NotServed("its layers have keys or values of different sizes")
    layer = module.layer_idx
    view.shape = (key.shape[1], key.shape[3])
    view.layers.add(layer)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    if view.places is not None:
        query, key, value = (
            view.padded(each[0].transpose(0, 1)).transpose(1, 2) for each in (query, key, value)
        )
    own = view.write(layer, key, value)
    copied = view.new > LONG or (view.new >= MANY and view.shared <= TIMES * view.new)
    if copied and not softcap:
        mixed = _whole(query, own, view, layer, scaling, view.within(window))
    else:
        mixed = _by_segment(query, own, view, layer, scaling, view.within(window), softcap)
    mixed = mixed.transpose(1, 2)
    if view.places is not None:
        return mixed.flatten(0, 1)[view.places][None], None
    return mixed.contiguous(), None


def _whole(
    query: Tensor, own: tuple[Tensor, Tensor], view: View, layer: int, scaling: float, bias: Tensor
) -> Tensor:
    """Ordinary attention with keys of its own for every row; for rows of many new tokens."""
    rows = len(query)
    # With a mask, the fused attention of GPUs wants as many heads of keys as of queries.
    grouped = query.device.type == "cpu"
    groups = 1 if grouped else query.shape[1] // own[0].shape[1]
    keys, values = (
        torch.cat(
            [
                *([] if view.prefix is None else [view.prefix[layer, i].expand(rows, -1, -1, -1)]),
                *([] if view.past is None else [view.past.keys[layer, i][view.past.question]]),
                part,
            ],
            dim=2,
        ).repeat_interleave(groups, dim=1)
        for i, part in enumerate(own)
    )
    alone = view.prefix is None and view.past is None and view.new > 1 and bias is view.bias
    return functional.scaled_dot_product_attention(
        query,
        keys,
        values,
        attn_mask=None if alone else bias.to(query.dtype),
        is_causal=alone,
        scale=scaling,
        enable_gqa=grouped,
    )


def _by_segment(
    query: Tensor, own: tuple[Tensor, Tensor], view: View, layer: int, scaling: float,
    bias: Tensor, softcap: float | None,
) -> Tensor:  # fmt: skip
    rows, past = len(query), view.past
    segments = [(*own, rows, 1, None)]
    if past is not None:
        kept = past.keys[layer]
        segments.insert(0, (kept[0], kept[1], len(past.mask), past.width, past.slots))
    if view.prefix is not None:
        segments.insert(0, (view.prefix[layer, 0], view.prefix[layer, 1], 1, rows, None))
    query = query * scaling
    scores = torch.cat(
        [_product(query, keys.transpose(-1, -2), *place) for keys, _, *place in segments], -1
    )
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    weights = torch.softmax(scores.float() + bias, -1).to(query.dtype)
    parts = weights.split([keys.shape[2] for keys, *_ in segments], -1)
    mixed = [
        _product(part, values, *place)
        for part, (_, values, *place) in zip(parts, segments, strict=True)
    ]
    return sum(mixed[1:], start=mixed[0])


def _product(left: Tensor, right: Tensor, number: int, width: int, slots: Tensor | None) -> Tensor:
    """Multiply `left` (R, H, T, a) by the shared matrices `right` (B, h, a, b): (R, H, T, b).

    Rows that share a matrix are placed side by side, `width` per matrix, at the places `slots`.
    """
    rows, heads, new, _ = left.shape
    kept = right.shape[1]
    if slots is not None:
        placed = left.new_zeros(number * width, *left.shape[1:])
        left = placed.index_copy(0, slots, left)
    left = left.reshape(number, width, kept, heads // kept, new, -1).transpose(1, 2)
    product = left.reshape(number, kept, -1, left.shape[-1]) @ right
    product = product.reshape(number, kept, width, heads // kept, new, -1).transpose(1, 2)
    product = product.reshape(number * width, heads, new, -1)
    return product if slots is None else product[slots]


AttentionInterface.register(NAME, attend)
