"""Accuracy, precision, recall, F1 and cross-entropy of predicted classes."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from calib_metrics.text._checks import check_lengths


@dataclass(frozen=True)
class PrecisionRecallF1:
    """Precision, recall and F1, in [0, 1], and the number of references they rest on."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class ClassScores:
    """macro: unweighted mean over the classes. micro: all decisions pooled. per_class: by label."""

    macro: PrecisionRecallF1
    micro: PrecisionRecallF1
    per_class: dict[Hashable, PrecisionRecallF1]


def accuracy(predictions: Sequence[Hashable], references: Sequence[Hashable]) -> float:
    """Share of predictions equal to their reference, in [0, 1]. Raises ValueError on bad input."""
    from sklearn.metrics import accuracy_score

    _check_labels(predictions, references)
    return float(accuracy_score(list(references), list(predictions)))


def precision_recall_f1(
    predictions: Sequence[Hashable],
    references: Sequence[Hashable],
    *,
    labels: Sequence[Hashable] | None = None,
) -> ClassScores:
    """Precision tp / (tp + fp), recall tp / (tp + fn) and their harmonic mean F1, by scikit-learn.

    predictions, references: one label per answer, all texts or all whole numbers.
    labels: the classes that count (default: all that occur in either). Leave out, for instance, a
    label for unusable answers, which then costs recall and is no class of its own.

    A class that is never predicted has no precision, and one that no reference has, no recall.
    They count as 0, in the macro mean too, and a UserWarning names them. Raises ValueError on bad
    input.

    >>> precision_recall_f1(["a", "b", "b"], ["a", "b", "a"]).per_class["a"].recall
    0.5
    """
    from sklearn.metrics import precision_recall_fscore_support

    _check_labels(predictions, references)
    predictions, references = list(predictions), list(references)
    if labels is None:
        labels = sorted({*predictions, *references})  # type: ignore[type-var]
    labels = list(labels)
    if not labels or len(set(labels)) != len(labels):
        raise ValueError(f"labels is {labels!r}: list each class once, and at least one.")
    for without, column in (("precision", predictions), ("recall", references)):
        absent = [label for label in labels if label not in set(column)]
        if absent:
            name = "prediction" if without == "precision" else "reference"
            warnings.warn(
                f"No {name} is {', '.join(map(repr, absent))}: "
                f"{without} is undefined there and counts as 0.",
                stacklevel=2,
            )

    def scores(average: str | None) -> tuple[Any, ...]:
        return precision_recall_fscore_support(
            references, predictions, labels=labels, average=average, zero_division=0.0
        )

    columns = (column.tolist() for column in scores(None))
    per_class = {
        label: PrecisionRecallF1(*row) for label, *row in zip(labels, *columns, strict=True)
    }
    support = sum(each.support for each in per_class.values())
    macro, micro = (
        PrecisionRecallF1(float(p), float(r), float(f1), support)
        for p, r, f1, _ in (scores("macro"), scores("micro"))
    )
    return ClassScores(macro, micro, per_class)


def cross_entropy(
    probabilities: ArrayLike, references: Sequence[Hashable], *, labels: Sequence[Hashable]
) -> float:
    """Mean of -ln(probability given to the reference's class), in nats, in [0, inf]; 0 is best.

    probabilities: (n, classes), columns in the order of `labels`, each row summing to 1 (to 1e-3).
    A probability of 0 for the right class makes it inf; scikit-learn's `log_loss`, which it
    otherwise equals, replaces that 0 by about 2e-16. Raises ValueError on bad input.

    >>> round(cross_entropy([[0.5, 0.5], [0.25, 0.75]], ["no", "yes"], labels=["no", "yes"]), 4)
    0.4904
    """
    matrix = np.asarray(probabilities, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != len(labels):
        raise ValueError(
            f"probabilities has the shape {matrix.shape}: give one row per answer with "
            f"{len(labels)} columns, one per label."
        )
    check_lengths(matrix, references, "probabilities")
    if not ((matrix >= 0) & (matrix <= 1)).all() or np.abs(matrix.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError(
            "probabilities must lie in the range [0, 1], none missing, and sum to 1 in each row: "
            "give softmax outputs, not logits."
        )
    column = {label: place for place, label in enumerate(labels)}
    unknown = [label for label in references if label not in column]
    if unknown:
        raise ValueError(f"references holds {unknown[0]!r}, which is not among labels.")
    chosen = matrix[np.arange(len(matrix)), [column[label] for label in references]]
    with np.errstate(divide="ignore"):  # -ln 0 = inf is meant
        return float(np.mean(-np.log(chosen)))


def _check_labels(predictions: Sequence[Hashable], references: Sequence[Hashable]) -> None:
    check_lengths(predictions, references)
    kinds = set()
    for name, column in (("predictions", predictions), ("references", references)):
        for label in column:
            if not isinstance(label, (str, int, np.integer, np.bool_)):
                raise ValueError(
                    f"{name} holds {label!r}: a label is text or a whole number "
                    '(give an answer without one a label of its own, such as "none").'
                )
            kinds.add(isinstance(label, str))
    if len(kinds) == 2:
        raise ValueError("Some labels are texts and some numbers: give all in one form.")
