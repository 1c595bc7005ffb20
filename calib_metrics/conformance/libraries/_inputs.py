"""What the adapters share: the cases' inputs as arrays, and the way to decline a case."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


class NotOffered(Exception):
    """The library has no function for this metric with these options or inputs."""


ANY = object()


def need(options: dict, **allowed: Any) -> None:
    """Raise NotOffered for an option that `allowed` does not name as ANY, or with its value."""
    for name, value in options.items():
        choices = allowed.get(name, ())
        if choices is not ANY and value not in choices:
            raise NotOffered(f"{name}={value!r}")


def batches(inputs: dict) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (confidence, correct) of each batch, a missing confidence as NaN."""
    for batch in inputs.get("batches", [inputs]):
        confidence = [np.nan if each is None else each for each in batch["confidence"]]
        yield np.array(confidence, dtype=float), np.array(batch["correct"])


def rows(inputs: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return (confidence, correct) of all batches together."""
    confidence, correct = zip(*batches(inputs), strict=True)
    return np.concatenate(confidence), np.concatenate(correct)


def fit_rows(inputs: dict, options: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (confidence, correct) to fit on and the confidences to apply it to, in the dtype."""
    dtype = np.dtype(options.get("dtype", "float64"))
    confidence, correct = rows(inputs["fit"])
    return confidence.astype(dtype), correct, np.array(inputs["apply"], dtype=dtype)


def option_rows(inputs: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return (probabilities, gold) for a library documented to take an (n, k) array."""
    if len({len(row) for row in inputs["probabilities"]}) > 1:
        raise NotOffered("rows of different lengths")
    return np.array(inputs["probabilities"]), np.array(inputs["gold"])
