"""The rows that supervised methods train on: chosen tasks, mixed by weight."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from calib_adapters.data.prepare import load_prepared
from calib_adapters.training.job import TrainingContext


def load_prepared_rows(context: TrainingContext) -> tuple[datasets.DatasetDict, dict[str, Any]]:
    """Splits of a prepared data set as ``data`` in the recipe says, and facts about them.

    ``train`` is drawn by the seed; the other splits hold all rows of the chosen tasks.

    Raises:
        ValueError: no prepared data set, a task it does not have, or a split without rows.
    """
    data, prepared = load_prepared(context.data)
    settings = context.recipe.data
    if settings.tasks:
        data = _of_tasks(data, settings.tasks, context.data)
    for name in ("train", "validation"):
        if name not in data or not len(data[name]):
            raise ValueError(
                f"{context.data} has no rows in the split {name!r}"
                + (" for these tasks." if settings.tasks else ".")
                + " Prepare the data with both a train and a validation split."
            )
    chosen = mixture(
        data["train"]["task"],
        settings.weights,
        settings.max_train,
        settings.fraction,
        context.recipe.seed,
        context.data,
    )
    data["train"] = data["train"].select(chosen, keep_in_memory=True)
    facts = {
        "fingerprint": prepared["fingerprint"],
        **{name: len(split) for name, split in data.items() if name != "test"},
        "train_by_task": _counts(data["train"]["task"]),
    }
    return data, facts


def mixture(
    tasks: list[str],
    weights: Mapping[str, float] | None,
    limit: int | None,
    fraction: float,
    seed: int,
    data: Path | str = "the data set",
) -> list[int]:
    """Row numbers of a mixture, in an order drawn by the seed.

    Its size is ``min(limit, fraction · all rows of the weighted tasks)``. Without weights it is the
    first part of a shuffle of all rows. With weights each task gets its share, rounded to whole
    rows. A task with too few rows repeats them, each row as often as the others or once more.

    Raises:
        ValueError: a weighted task that has no rows, or fewer rows asked for than tasks.
    """
    rng = np.random.default_rng(seed)
    by_task = {name: np.flatnonzero(np.asarray(tasks) == name) for name in _counts(tasks)}
    if weights is None:
        size = min(limit or len(tasks), round(fraction * len(tasks)))
        return rng.permutation(len(tasks))[: max(size, 1)].tolist()
    if missing := [name for name in weights if name not in by_task]:
        raise ValueError(
            f"data.weights: {data} has no training rows of {', '.join(missing)}; it has "
            f"{', '.join(by_task)}."
        )
    available = sum(len(by_task[name]) for name in weights)
    size = min(limit or available, round(fraction * available))
    shares = _shares(weights, size)
    if size < len(weights) or not all(shares.values()):
        raise ValueError(
            f"data.weights: {size} training rows leave a task without any; ask for more of them, "
            f"or leave that task out."
        )
    drawn = []
    for name, count in shares.items():
        rows = by_task[name]
        rounds = [rng.permutation(rows) for _ in range(-(-count // len(rows)))]
        drawn.append(np.concatenate(rounds)[:count])
    return rng.permutation(np.concatenate(drawn)).tolist()


def _shares(weights: Mapping[str, float], size: int) -> dict[str, int]:
    """Whole numbers that add up to `size`, by largest remainder."""
    total = sum(weights.values())
    exact = {name: size * weight / total for name, weight in weights.items()}
    shares = {name: int(value) for name, value in exact.items()}
    by_rest = sorted(exact, key=lambda name: shares[name] - exact[name])
    for name in by_rest[: size - sum(shares.values())]:
        shares[name] += 1
    return shares


def _of_tasks(
    data: datasets.DatasetDict, tasks: tuple[str, ...], folder: Path
) -> datasets.DatasetDict:
    have = {name for split in data.values() for name in split.unique("task")}
    if missing := [name for name in tasks if name not in have]:
        raise ValueError(
            f"data.tasks: {folder} has no rows of {', '.join(missing)}; it has "
            f"{', '.join(sorted(have))}."
        )
    chosen = {}
    for name, split in data.items():
        keep = [i for i, task in enumerate(split["task"]) if task in tasks]
        chosen[name] = split.select(keep, keep_in_memory=True)
    return datasets.DatasetDict(chosen)


def _counts(tasks: list[str]) -> dict[str, int]:
    names, counts = np.unique(np.asarray(tasks), return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))
