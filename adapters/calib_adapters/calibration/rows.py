"""Reading graded rows and scoring the validation split, for all methods of calibration tuning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import transformers

from calib_adapters.data.grade import FORM, STATED, load_graded
from calib_adapters.training.job import TrainingContext
from calib_adapters.training.schema import GradedData
from calib_adapters.training.temperature import fit_temperature, sigmoid
from calib_metrics import score

METRICS = ("ece", "auroc", "brier", "nll")


@dataclass(frozen=True)
class GradedRows:
    """The two splits, and what ``training.json`` says of them."""

    train: datasets.Dataset
    validation: datasets.Dataset
    facts: Mapping[str, Any]


def load_graded_rows(context: TrainingContext, columns: Sequence[str] = ()) -> GradedRows:
    """Graded rows, the training split in an order drawn by the seed and cut as the recipe says.

    Args:
        context: the data set and the recipe.
        columns: those of the prompts that the recipe's method trains on.

    Raises:
        ValueError: no graded dataset, one of another method, an empty split, or one in which all
            answers are alike.
    """
    graded, grading = load_graded(context.data)
    if missing := set(columns) - {name for split in graded.values() for name in split.features}:
        method = STATED if FORM in missing else "zero_shot_classifier"
        raise ValueError(
            f"{context.data} was graded for the method {grading['method']!r}, and this recipe "
            f"trains another question: ask the train and validation splits with {method}, and "
            f"grade them with `calibench grade --method {method}`."
        )
    _check(graded, context.data)
    settings = context.recipe.data
    assert isinstance(settings, GradedData)  # the other methods read prepared rows
    rows = graded["train"].shuffle(seed=context.recipe.seed, keep_in_memory=True)
    if settings.balance:
        chosen = balanced(rows["task"], rows["correct"])
        if not chosen:
            raise ValueError(
                f"data.balance leaves none of {len(rows)} training answers in {context.data}: each "
                f"task has correct ones or wrong ones only; leave it out, or add tasks with both."
            )
        rows = rows.select(chosen, keep_in_memory=True)
    limits = (len(rows), settings.max_train or len(rows), round(settings.fraction * len(rows)))
    graded["train"] = rows.select(range(min(limits)), keep_in_memory=True)
    if len(set(graded["train"]["correct"])) < 2:
        raise ValueError(
            f"data.fraction={settings.fraction:g} and data.max_train={settings.max_train} leave "
            f"{min(limits)} of {len(rows)} training answers in {context.data}, which do not hold "
            f"both correct and wrong ones; take more of them."
        )
    facts = {
        "fingerprint": grading["fingerprint"],
        "method": grading["method"],
        "asked": grading.get("asked", {}),
        **{name: len(graded[name]) for name in ("train", "validation")},
    }
    return GradedRows(graded["train"], graded["validation"], facts)


def balanced(tasks: Sequence[str], correct: Sequence[int]) -> list[int]:
    """The first rows of each task of which as many are correct as wrong, in their order.

    What is left says nothing about correctness by its task alone.
    """
    counts = Counter(zip(tasks, correct, strict=True))
    left = {key: min(counts[key[0], 0], counts[key[0], 1]) for key in counts}
    chosen = []
    for i, key in enumerate(zip(tasks, correct, strict=True)):
        if left[key]:
            left[key] -= 1
            chosen.append(i)
    return chosen


def _check(graded: datasets.DatasetDict, data: Path) -> None:
    for name in ("train", "validation"):
        if name not in graded or not len(graded[name]):
            raise ValueError(
                f"{data} has no rows in the split {name!r}; grade runs over both train and "
                f"validation."
            )
        if len(set(graded[name]["correct"])) < 2:
            word = "correct" if graded[name][0]["correct"] else "wrong"
            raise ValueError(
                f"all {len(graded[name])} answers in the split {name!r} of {data} are {word}: "
                f"there is nothing to tell apart. Use easier or harder questions, or check the "
                f"grading."
            )


def validation_scores(prediction: transformers.EvalPrediction) -> dict[str, float]:
    """ECE, AUROC, Brier and NLL of log-odds against labels, without intervals."""
    confidence = sigmoid(np.asarray(prediction.predictions, dtype=np.float64))
    found = score(confidence, prediction.label_ids, METRICS, resamples=0)
    return {name: found[name].value for name in METRICS}


def finish(trainer: transformers.Trainer, method: str = "zero_shot_classifier") -> dict[str, Any]:
    """A temperature fitted on the validation split, and its scores with intervals before that.

    `method` is the elicitation method that reads the confidence.
    """
    predicted = trainer.predict(trainer.eval_dataset)
    odds = np.asarray(predicted.predictions, dtype=np.float64)
    labels = predicted.label_ids.astype(int)
    scores = score(sigmoid(odds), labels, METRICS, method=method)
    return {
        **fit_temperature(odds, labels),
        "validation": {name: found.to_dict() for name, found in scores.items()},
    }
