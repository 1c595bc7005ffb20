"""Scores of all options' probabilities in multiple choice, with intervals and signatures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from calib_metrics._checks import check_choice, check_groups
from calib_metrics.bins import bin_index
from calib_metrics.calibration import gap_norm
from calib_metrics.multiclass import (
    Probabilities,
    classwise_ece,
    multiclass_brier,
    multiclass_nll,
)
from calib_metrics.scores import Score, resample
from calib_metrics.signature import SIGNATURE_VERSION, Options, check_method

Floats = NDArray[np.float64]
# From how often each row was drawn to the metric, in each resample.
Resampled = Callable[[Floats], Floats]

OPTION_METRICS = ("classwise_ece", "multiclass_nll", "multiclass_brier")


class _Rows(NamedTuple):
    """The questions as a table, NaN where a question has no such option, in an order of its own."""

    table: Floats
    gold: NDArray[np.int64]
    unit: NDArray[np.int64]


def option_scores(
    probabilities: Probabilities,
    gold: ArrayLike,
    metrics: Sequence[str] = ("classwise_ece", "multiclass_nll"),
    *,
    method: str = "",
    groups: Sequence[object] | NDArray[np.object_] | None = None,
    bins: int = 10,
    strategy: str = "width",
    norm: str = "l1",
    resamples: int = 1000,
    interval: str = "percentile",
    seed: int = 0,
) -> dict[str, Score]:
    """Score the probabilities of all options, with bootstrap intervals.

    probabilities, gold: as in `top_label`; a row for each question, rows may differ in length.
    metrics: from "classwise_ece", "multiclass_nll" and "multiclass_brier", the functions of that
    name in `calib_metrics.multiclass`. The other arguments are those of `score`.
    Returns a Score per metric. Raises ValueError on bad input.
    """
    for name in metrics:
        check_choice(name, "a metric of all options", OPTION_METRICS)
    check_method(method)
    options = Options(bins, strategy, norm, resamples=resamples, interval=interval, seed=seed)
    functions: dict[str, Callable[[Probabilities, ArrayLike], float]] = {
        "classwise_ece": partial(classwise_ece, bins=bins, strategy=strategy, norm=norm),
        "multiclass_nll": multiclass_nll,
        "multiclass_brier": multiclass_brier,
    }
    values = {name: functions[name](probabilities, gold) for name in metrics}
    rows = _table(probabilities, gold, groups)
    units = int(rows.unit.max()) + 1
    drawable = {
        name: _resampled(name, rows, options)
        for name in metrics
        if math.isfinite(values[name]) and units >= 2
    }

    def statistic(counts: Floats) -> dict[str, Floats]:
        drawn = counts[:, rows.unit]
        return {name: function(drawn) for name, function in drawable.items()}

    found = resample(statistic, values, units, options)
    scores = {}
    for name in metrics:
        parts = [name]
        if name == "classwise_ece":
            parts += [f"bins:{bins}", f"strategy:{strategy}", f"norm:{norm}"]
        parts += [f"conf:{method}"] * bool(method) + [f"n:{len(rows.gold)}"]
        parts.append(f"v:{SIGNATURE_VERSION}")
        if resamples:
            parts += [f"boot:{resamples}", f"seed:{seed}"]
            parts += [] if groups is None else [f"clusters:{units}"]
            parts += [] if interval == "percentile" else [f"interval:{interval}"]
        low, high, error = found.get(name, (math.nan,) * 3)
        n = len(rows.gold)
        scores[name] = Score(name, values[name], low, high, error, n, 0, False, "|".join(parts))
    return scores


def _table(
    probabilities: Probabilities,
    gold: ArrayLike,
    groups: Sequence[object] | NDArray[np.object_] | None,
) -> _Rows:
    """Return the questions sorted, so that the draws do not depend on the order of the rows."""
    table = np.full((len(probabilities), max(map(len, probabilities))), np.nan)  # type: ignore[arg-type]
    for row, values in zip(table, probabilities, strict=True):
        row[: len(values)] = values  # type: ignore[arg-type]
    places = np.asarray(gold, dtype=np.int64)
    labels = np.zeros(len(table), np.int64) if groups is None else check_groups(groups, len(table))
    order = np.lexsort((labels, places, *table.T))
    unit = np.arange(len(table)) if groups is None else labels[order]
    return _Rows(table[order], places[order], unit)


def _resampled(name: str, rows: _Rows, options: Options) -> Resampled:
    if name == "classwise_ece":
        return _resampled_classwise(rows, options)
    if name == "multiclass_nll":
        values = -np.log(rows.table[np.arange(len(rows.gold)), rows.gold])
    else:
        right = np.arange(rows.table.shape[1]) == rows.gold[:, None]
        values = np.nansum((rows.table - right) ** 2, axis=1)
    return lambda drawn: (drawn @ values) / drawn.sum(axis=1)


def _resampled_classwise(rows: _Rows, options: Options) -> Resampled:
    """Return the mean over the positions of the ECE of each, in the bins of the full sample."""
    sums = []
    for k, column in enumerate(rows.table.T):
        has = np.flatnonzero(~np.isnan(column))
        has = has[np.argsort(column[has], kind="stable")]
        right = (rows.gold[has] == k).astype(float)
        index = bin_index(column[has], options.bins, options.strategy, right)
        shape = (len(column), int(index.max()) + 1)
        gap = csr_array((right - column[has], (has, index)), shape=shape)
        sums.append((gap, csr_array((np.ones(has.size), (has, index)), shape=shape)))

    def mean(drawn: Floats) -> Floats:
        errors = np.zeros(len(drawn))
        positions = np.zeros(len(drawn))
        for gap, count in sums:
            drawn_rows = drawn @ count
            there = drawn_rows.sum(axis=1) > 0  # a resample may lose all rows of a position
            errors[there] += gap_norm((drawn @ gap)[there], drawn_rows[there], options.norm)
            positions += there
        return errors / positions

    return mean
