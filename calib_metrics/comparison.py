"""Two methods, or two models, on the same questions: the difference and its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_groups, check_pairs, sort_order
from calib_metrics.cells import Drawn, make_cells
from calib_metrics.registry import check_metrics, find, may_merge
from calib_metrics.scores import Score, resample
from calib_metrics.signature import Options, check_method, make_signature
from calib_metrics.values import plain_value, resampled_metric


def compare(
    confidence_a: ArrayLike,
    correct_a: ArrayLike,
    confidence_b: ArrayLike,
    correct_b: ArrayLike,
    metrics: Sequence[str] = ("acc", "ece", "auroc", "brier"),
    *,
    method_a: str = "a",
    method_b: str = "b",
    groups: Sequence[object] | None = None,
    **options: Any,
) -> dict[str, Score]:
    """Difference a - b of each metric, with a paired bootstrap interval.

    Row i of all columns is one question, so a resample draws questions and both sides see the same
    ones. What makes a question hard for both cancels out, and the interval is much narrower than
    the two separate intervals suggest. Rows where either side lacks a confidence are left out of
    both, except for "acc".

    confidence_a, confidence_b: (n,) in [0, 1], None or NaN where missing. correct_a, correct_b:
    (n,) in {0, 1}; the same column twice when two methods judge the same answers. metrics, groups:
    as in `score`, without "answered". method_a, method_b: names for the signature.
    options: bins, strategy, norm, debias, resamples, interval, level, seed of `score`.

    Returns a Score per metric: value, low, high and stderr are those of the difference. If the
    interval excludes 0, the two differ at its level. Raises ValueError on bad input.
    Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8.
    """
    metrics = check_metrics(metrics)
    if "answered" in metrics:
        raise ValueError('"answered" is not compared: call score() for each side.')
    for method in (method_a, method_b):
        check_method(method)
    settings = Options(**options)
    a = check_pairs(confidence_a, correct_a, allow_missing=True)
    b = check_pairs(confidence_b, correct_b, allow_missing=True)
    if a[0].size != b[0].size:
        raise ValueError(
            f"a has {a[0].size} rows and b has {b[0].size}: give one row of each per question."
        )
    missing = np.isnan(a[0]) | np.isnan(b[0])
    sides = [(np.where(missing, np.nan, confidence), correct) for confidence, correct in (a, b)]
    if groups is None:
        unit = np.empty(missing.size, dtype=np.int64)
        unit[sort_order(*sides[0], *sides[1])] = np.arange(missing.size)  # whatever the rows' order
    else:
        unit = check_groups(groups, missing.size)

    values: dict[str, list[float]] = {name: [] for name in metrics}
    resampled = []
    for confidence, correct in sides:
        order = sort_order(confidence, correct, unit)
        confidence, correct = confidence[order], correct[order]
        cells = make_cells(confidence, correct, unit[order], merge=may_merge(metrics))
        functions = {}
        for name in metrics:
            values[name].append(plain_value(name, confidence, correct, settings))
            if not math.isnan(values[name][-1]):
                functions[name] = resampled_metric(name, cells, settings.binning)
        resampled.append((Drawn(cells), functions))
    differences = {name: first - second for name, (first, second) in values.items()}
    asked = {name: find(name).metric for name in metrics}
    units = {True: cells.units, False: cells.units_answered}
    enough = {name: units[metric.all_rows] >= 2 for name, metric in asked.items()}
    drawable = [name for name in metrics if enough[name] and not math.isnan(differences[name])]

    def statistic(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        one, other = (
            {name: functions[name](drawn) for name in drawable}
            for drawn, functions in ((side.load(counts), made) for side, made in resampled)
        )
        return {name: one[name] - other[name] for name in drawable}

    uncertainty = resample(statistic, differences, cells.units, settings)
    scores = {}
    for name, metric in asked.items():
        n_missing = 0 if metric.all_rows else int(missing.sum())
        n = missing.size - n_missing
        method = f"{method_a}-{method_b}"
        clusters = None if groups is None else cells.units
        signature = make_signature(name, n, method, "exclude", clusters, settings)
        scores[name] = Score(
            name,
            differences[name],
            *uncertainty.get(name, (math.nan,) * 3),
            n,
            n_missing,
            metric.higher_is_better,
            f"{signature}|paired",
        )
    return scores


def equal_columns(confidences: Mapping[str, ArrayLike]) -> list[tuple[str, ...]]:
    """Find columns that are identical in every row, to the last bit; missing values are equal.

    Two methods hardly ever agree like that by chance, unless both are constant: usually one of them
    has read the other's responses. confidences: (n,) by name; columns of different lengths, or with
    fewer than two values, are never equal.

    Returns each set of two or more identical columns, as names in their order.
    """
    alike: dict[bytes, list[str]] = {}
    for name, column in confidences.items():
        values = np.asarray(column, dtype=np.float64) + 0.0  # -0.0 is 0.0
        values[np.isnan(values)] = np.nan
        if np.count_nonzero(~np.isnan(values)) >= 2:
            alike.setdefault(values.tobytes(), []).append(name)
    return [tuple(names) for names in alike.values() if len(names) > 1]
