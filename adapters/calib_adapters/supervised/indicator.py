"""Which rows a model knows: those whose negative log-likelihood is at most a threshold.

CogCalib, ACL 2025, arXiv 2505.20903, as far as its abstract and secondary sources describe it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_adapters.supervised.batch import SUMMARY


@dataclass(frozen=True)
class Cut:
    """A threshold on the NLL, and how well it tells known rows from unknown ones.

    Attributes:
        threshold: rows with an NLL up to it count as known.
        tpr, tnr: share of the known (unknown) rows that fall on the right side; None without any.
        accuracy: share of all rows that do.
        known: share of the rows that are known by their label.
        n: rows.
    """

    threshold: float
    tpr: float | None
    tnr: float | None
    accuracy: float
    known: float
    n: int


def find_cut(nll: ArrayLike, known: ArrayLike) -> Cut:
    """The threshold with the greatest TPR + TNR, of all midpoints between neighbouring values.

    Ties go to the lowest. If every row is known, the threshold is the greatest NLL; if none is, it
    is 0, and only what is certain counts as known.

    Args:
        nll: (n,), in nats.
        known: (n,), 0 or 1.

    Raises:
        ValueError: no rows, or an NLL that is not a number.
    """
    nll, known = np.asarray(nll, dtype=np.float64), np.asarray(known).astype(bool)
    if not nll.size or not np.isfinite(nll).all():
        raise ValueError("a threshold needs at least one row, and every NLL must be a number.")
    if known.all() or not known.any():
        return rate_cut(float(nll.max()) if known.all() else 0.0, nll, known)
    values, group = np.unique(nll, return_inverse=True)
    below = np.cumsum(np.bincount(group, known)) / known.sum()
    below_unknown = np.cumsum(np.bincount(group, ~known)) / (~known).sum()
    best = int(np.argmax(np.append(below - below_unknown, 0.0)[:-1]))
    above = values[best + 1] if best + 1 < len(values) else values[best]
    return rate_cut(float((values[best] + above) / 2), nll, known)


def rate_cut(threshold: float, nll: ArrayLike, known: ArrayLike) -> Cut:
    """How well `threshold` tells the known rows from the unknown ones."""
    low, known = np.asarray(nll) <= threshold, np.asarray(known).astype(bool)
    return Cut(
        threshold=threshold,
        tpr=float(low[known].mean()) if known.any() else None,
        tnr=float((~low[~known]).mean()) if (~known).any() else None,
        accuracy=float((low == known).mean()),
        known=float(known.mean()),
        n=int(known.size),
    )


def knowledge(
    table: NDArray[np.float64], gold: NDArray[np.int_], nll: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """NLL and label of each row of a pass over the calibration split.

    A row with options is known if the right one is the most likely; another row if greedy decoding
    writes an accepted answer, token for token.

    Args:
        table: rows of `summarise`.
        gold: (n,), the right option of each row, -1 for rows without options.
        nll: "mean" over the completion's tokens, or their "sum".
    """
    value = table[:, 0] / table[:, 1] if nll == "mean" else table[:, 0]
    known = table[:, SUMMARY - 1] == 1
    has = gold >= 0
    if has.any():  # without any, the table has no columns for options
        known[has] = table[has, SUMMARY:].argmax(axis=1) == gold[has]
    return value, known


@dataclass
class Indicator:
    """The threshold in force, and its history on disk, from which an interrupted run resumes.

    Attributes:
        file: where the history is kept.
        history: one entry per threshold, with the step after which it was in force.
        labels: what the base model knew, if labels are the base model's.
    """

    file: Path
    history: list[dict[str, Any]] = field(default_factory=list)
    labels: list[bool] | None = None

    @property
    def threshold(self) -> float | None:
        """The threshold in force; None during style adaptation."""
        return self.history[-1]["threshold"] if self.history else None

    def at(self, step: int) -> dict[str, Any] | None:
        """The entry that was in force at `step`."""
        found = [entry for entry in self.history if entry["step"] <= step]
        return found[-1] if found else None

    def rewind(self, step: int) -> None:
        """Read the history from disk and forget what came after `step`.

        Raises:
            ValueError: the file is missing.
        """
        try:
            stored = json.loads(self.file.read_text(encoding="utf-8"))
        except OSError:
            if step == 0:
                return
            raise ValueError(
                f"{self.file} is missing, so the interrupted run cannot go on; delete "
                f"{self.file.parent} and start again."
            ) from None
        self.labels = stored["labels"]
        self.history = [entry for entry in stored["history"] if entry["step"] <= step]

    def write(self) -> None:
        """Replace the file in one step."""
        part = self.file.with_suffix(".part")
        content = {"labels": self.labels, "history": self.history}
        part.write_text(json.dumps(content), encoding="utf-8")
        os.replace(part, self.file)
