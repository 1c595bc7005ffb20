"""The layers below the adapter run once per text of a row; see ``calibration/lower.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
from torch import Tensor, nn

from calib_adapters.calibration.lower import keep_states, put_part

Put = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def keep_lower(
    model: nn.Module, splits: dict[str, datasets.Dataset], pad: int, file: Path
) -> Put | None:
    """Run the layers below the adapter on all texts of `splits`, and take them out of `model`.

    Args:
        model: a new adapter on a base model.
        splits: `encode_rows` of each split, the training rows first.
        pad: id to fill batches with.
        file: where what they make of the texts is kept, so that an interrupted run finds it.

    Returns:
        What puts it in a batch of `collate`, in place of token ids; ``None`` if all layers are
        trained, or if rows have to run whole, with the reason in the log.
    """
    texts = list(dict.fromkeys(text for rows in splits.values() for text in _texts(rows)))
    kept = keep_states(model, texts, pad, file)
    if kept is None:
        return None
    table, starts = kept
    begin = dict(zip(texts, starts, strict=True))

    def put(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        prefix, lengths = batch["text_prefix"].tolist(), batch["text_mask"].sum(1).tolist()
        own = zip(batch["text_ids"].tolist(), lengths, strict=True)
        run = [(*prefix, *ids[:length]) for ids, length in own]
        put_part(batch, "text", [(begin[text], len(text)) for text in run], table)
        return batch

    return put


def _texts(rows: datasets.Dataset) -> Iterator[tuple[int, ...]]:
    """What `collate` runs of each row: all but the last token of its completion and candidates."""
    row: dict[str, Any]
    for row in rows:
        yield tuple(row["input_ids"][:-1])
        yield from (tuple(ids[:-1]) for ids in row.get("candidates") or ())
