"""Training rows in two kinds: those that a model answers correctly, and those that it does not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import datasets

from calib_adapters.data.prepare import (
    TEST_SAMPLES,
    TRAIN_SAMPLES,
    VALIDATION_SAMPLES,
    load_prepared,
)
from calib_adapters.data.training_data import PREPARED, fingerprint, save_data
from harness_tasks.elicitation.records import read_samples

KNOWN, UNKNOWN = "known", "unknown"


def divide_by_knowledge(data: Path, log: Path, method: str, out: Path) -> dict[str, int]:
    """Write the prepared data set `data` anew, its training rows as two tasks: known and unknown.

    A recipe mixes them by ``data.weights``. The other splits stay as they are.

    Args:
        data: a prepared data set of one task.
        log: a samples file with the base model's answers to its training rows.
        method: whose records are read.
        out: a folder that does not exist yet.

    Returns:
        How many rows each kind has.

    Raises:
        ValueError: no prepared data set, or a training row without a graded answer.
    """
    splits, described = load_prepared(data)
    correct = {
        record["id"]: record["correct"]
        for _, record in read_samples(log)
        if record["method"] == method
    }
    kinds = []
    for name in splits["train"]["id"]:
        if correct.get(name) is None:
            raise ValueError(f"{log} holds no graded answer to the training row {name!r}.")
        kinds.append(KNOWN if correct[name] else UNKNOWN)
    kept = splits["train"].remove_columns("task").add_column("task", kinds)
    splits["train"] = kept.cast(splits["validation"].features)
    counts = dict(Counter(kinds))
    described["splits"]["train"] = {"n": len(kinds), "by_task": counts}
    described["fingerprint"] = fingerprint(splits)
    names = (TEST_SAMPLES, VALIDATION_SAMPLES, TRAIN_SAMPLES)
    files: dict[str, Any] = {name: data / name for name in names if (data / name).is_file()}
    save_data(datasets.DatasetDict(splits), {PREPARED: described, **files}, out)
    return counts
