"""The layers below the adapter run once per row, not once per row and epoch.

Where LoRA is in the upper layers alone (``lora.first_layer``), what the lower ones make of a row
never changes. Their output for every token is kept in one table, that for the few-shot prefix that
all rows share only once, and training goes on from there: neither forward nor backward passes touch
the lower layers again. The results are those of whole rows; `keep_states` checks this on a few rows
before it relies on it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from calib_adapters.calibration.objective import hidden_states, pad_rows
from calib_adapters.training.base_model import without_adapter

PARTS = {"query": "input_ids", "answer": "answer_ids"}  # of a batch, of a row
MOST = 2**30  # bytes of a table; rows that need more run whole
TOKENS = 2048  # in a pass over the lower layers, which is enough to keep a processor busy
TRIED = 4  # rows, which share a few-shot prefix
# Of the largest state: what the order of sums may change in float32, and in 16 bits.
NEAR = {torch.float32: 1e-4}
ROUGH = 5e-2


class Table(NamedTuple):
    """The output of the lower layers: of the tokens that all texts share, then of the others'."""

    states: Tensor  # (T, H)
    common: int  # how many tokens all texts share at their beginning

    def of(self, start: int, first: int, last: int) -> Tensor:
        """The output for the tokens `first` to `last` of a text whose own begin at `start`."""
        own = start - self.common
        states = self.states[own + max(first, self.common) : own + last]
        shared = self.states[first : min(last, self.common)]  # none behind a batch's prefix
        return torch.cat([shared, states]) if len(shared) else states


def run_lower(
    model: nn.Module,
    splits: dict[str, datasets.Dataset],
    answers: Sequence[str],
    pad: int,
    file: Path,
) -> tuple[Table, dict[str, datasets.Dataset]] | None:
    """Run the layers below the first trained one, and take them out of `model`.

    Args:
        model: a new adapter on a base model.
        splits: `encode_rows` of each split.
        answers: the splits of which the answered prompts are needed too, not only the queries.
        pad: id to fill batches with.
        file: where the table is kept, so that an interrupted run finds it.

    Returns:
        The table for `put_states`, and the splits with each row's places in it; ``None``
        if all layers are trained, or if rows have to run whole, with the reason in the log.
    """
    if not first_trained(model):
        return None
    texts = [
        (split, part, row[name])
        for split, rows in splits.items()
        for part, name in PARTS.items()
        if part == "query" or split in answers
        for row in rows.select_columns(name)
    ]
    tails = [(rows, tail) for rows in splits.values() for tail in ("yes_tail", "no_tail")]
    if any(any(rows[tail]) for rows, tail in tails if tail in rows.column_names):
        _say_whole("replies have several tokens, and are read in queries that continue with them")
        return None
    kept = keep_states(model, [ids for *_, ids in texts], pad, file)
    if kept is None:
        return None
    table, starts = kept
    placed = dict(splits)
    for split, part in dict.fromkeys((split, part) for split, part, _ in texts):
        places = [at for at, text in zip(starts, texts, strict=True) if text[:2] == (split, part)]
        placed[split] = placed[split].add_column(f"{part}_start", places)
    return table, placed


def keep_states(
    model: nn.Module, texts: Sequence[Sequence[int]], pad: int, file: Path
) -> tuple[Table, list[int]] | None:
    """Run `texts` through the layers below the first trained one, and take these out of `model`.

    Args:
        model: a new adapter on a base model.
        texts: token ids of each; the first ones are tried first.
        pad: id to fill batches with.
        file: where the table is kept, so that an interrupted run finds it.

    Returns:
        The table, and where the own tokens of each text begin in it; ``None`` if all layers are
        trained, or if rows have to run whole, with the reason in the log.
    """
    first = first_trained(model)
    if not first:
        return None
    common = _common(texts)
    *starts, tokens = _starts(texts, common)
    if reason := _why_whole(model, texts[:TRIED], tokens, first, pad):
        _say_whole(reason)
        return None
    if not file.exists():
        part = Path(f"{file}.part")
        save_file({"states": _states(model, texts, first, pad).states}, part)
        os.replace(part, file)
    _take_out(_layers(model)[:first])
    return Table(load_file(file)["states"], common), starts


def _say_whole(reason: str) -> None:
    logging.getLogger(__name__).warning(
        "The layers below the adapter run in every epoch: %s.", reason
    )


def put_states(
    batch: dict[str, Tensor], rows: Sequence[dict[str, Any]], table: Table
) -> dict[str, Tensor]:
    """`batch`, collated of `rows`, with states of `table` in place of its token ids."""
    for part, name in PARTS.items():
        if f"{part}_ids" in batch:
            places = [(row[f"{part}_start"], len(row[name])) for row in rows]
            put_part(batch, part, places, table)
    return batch


def put_part(
    batch: dict[str, Tensor], part: str, places: Sequence[tuple[int, int]], table: Table
) -> None:
    """Replace the token ids of a `part` by states, for `hidden_states` to go on from.

    ``*_prefix`` becomes (S, H) and ``*_ids`` (B, L, H). `places` says of each text where its own
    tokens begin in `table`, and how many tokens it has in all.
    """
    shared = len(batch[f"{part}_prefix"])
    own = [table.of(start, shared, length) for start, length in places]
    batch[f"{part}_ids"] = nn.utils.rnn.pad_sequence(own, batch_first=True)
    batch[f"{part}_prefix"] = table.of(places[0][0], 0, shared)


def _common(texts: Sequence[Sequence[int]]) -> int:
    """How many tokens all `texts` share at their beginning."""
    return len(os.path.commonprefix([min(texts), max(texts)]))


def _starts(texts: Sequence[Sequence[int]], common: int) -> list[int]:
    """Where the own tokens of each text begin in the table, and where the table ends."""
    return np.cumsum([common, *(len(ids) - common for ids in texts)]).tolist()


def _layers(model: nn.Module) -> Sequence[nn.Module]:
    return getattr(without_adapter(model).get_decoder(), "layers", ())


def first_trained(model: nn.Module) -> int:
    """How many layers there are below the first with weights to train."""
    trained = [any(p.requires_grad for p in layer.parameters()) for layer in _layers(model)]
    return trained.index(True) if True in trained else 0


def _pass_on(layers: Sequence[nn.Module]) -> None:
    """Replace `layers` by the identity."""
    for layer in layers:
        layer.forward = lambda hidden_states, *_, **__: hidden_states


def _take_out(layers: Sequence[nn.Module]) -> None:
    """Replace `layers` by the identity for good, and free their weights."""
    _pass_on(layers)
    for layer in layers:  # the modules stay: models ask them which attention they use
        for name, _ in list(layer.named_children()):
            delattr(layer, name)


@contextmanager
def only_lower(model: nn.Module, first: int) -> Iterator[list[Tensor]]:
    """Context manager: the layers from number `first` on do nothing; gives what reaches them."""
    layers = _layers(model)
    given: list[Tensor] = []
    hook = layers[first].register_forward_pre_hook(lambda _, inputs: given.extend(inputs[:1]))
    try:
        with _passing_on(layers[first:]):
            yield given
    finally:
        hook.remove()


@contextmanager
def _passing_on(layers: Sequence[nn.Module]) -> Iterator[None]:
    _pass_on(layers)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _why_whole(
    model: nn.Module, texts: Sequence[Sequence[int]], tokens: int, first: int, pad: int
) -> str | None:
    """Return the reason why rows cannot run in two parts, or ``None``; `texts` are tried."""
    config = without_adapter(model).config.get_text_config()
    size = tokens * config.hidden_size * model.dtype.itemsize
    if size > MOST:
        return f"their output takes {size / 2**30:.1f} GB, too much to keep"
    lower = _layers(model)[:first]
    dropped = [m.p for layer in lower for m in layer.modules() if isinstance(m, nn.Dropout)]
    if any(dropped) or getattr(config, "attention_dropout", 0):
        return "the base model has dropout, which differs in every pass"
    try:
        change = _largest_change(model, texts, first, pad)
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        return f"the model cannot be run in parts ({error})"
    if not change < NEAR.get(model.dtype, ROUGH):
        return f"run in parts, the model's states differ (by {change:.2g} of the largest)"
    return None


@torch.no_grad()
def _largest_change(
    model: nn.Module, texts: Sequence[Sequence[int]], first: int, pad: int
) -> float:
    """Return the largest relative change of the states of `texts` when they run in two parts."""
    batch = _batch(texts, pad, model.device)
    whole, real = hidden_states(model, batch, "text"), batch["text_mask"].bool()
    table = _states(model, texts, first, pad)
    table = table._replace(states=table.states.to(model.device))
    *starts, _ = _starts(texts, table.common)
    put_part(batch, "text", list(zip(starts, map(len, texts), strict=True)), table)
    with _passing_on(_layers(model)[:first]):
        difference = (hidden_states(model, batch, "text") - whole)[real].abs().max()
    return (difference / whole[real].abs().max()).item()


def _batch(texts: Sequence[Sequence[int]], pad: int, device: torch.device) -> dict[str, Tensor]:
    padded = pad_rows(texts, [len(text) - 1 for text in texts], pad)
    return {f"text_{name}": value.to(device) for name, value in padded.items()}


@torch.no_grad()
def _states(model: nn.Module, texts: Sequence[Sequence[int]], first: int, pad: int) -> Table:
    """The input of layer number `first` for the token ids `texts`."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    common = _common(texts)
    starts = _starts(texts, common)
    size = without_adapter(model).config.get_text_config().hidden_size
    table = torch.empty(starts[-1], size, dtype=model.dtype)
    # What reaches the upper layers: of the shared prefix, if there is one, and of the rows.
    with only_lower(model, first) as given, tqdm(total=len(texts), desc="Lower layers") as bar:
        while order:
            most = max(1, TOKENS // len(texts[order[-1]]))
            chosen, order = order[-most:], order[:-most]
            given.clear()
            hidden_states(model, _batch([texts[i] for i in chosen], pad, model.device), "text")
            *prefix, own = (states.cpu() for states in given)
            for i, states in zip(chosen, own, strict=True):
                whole = torch.cat([*(shared[0] for shared in prefix), states])
                table[:common] = whole[:common]
                table[starts[i] : starts[i + 1]] = whole[common : len(texts[i])]
            bar.update(len(chosen))
    return Table(table, common)
