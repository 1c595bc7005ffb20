"""Scores with intervals and signatures."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import (
    check_choice,
    check_groups,
    check_pairs,
    sort_order,
    sort_rows,
)
from calib_metrics.cells import Drawn, make_cells
from calib_metrics.intervals import bca_interval, leave_out, percentile_interval, standard_error
from calib_metrics.registry import check_metrics, find, may_merge
from calib_metrics.resampling import draws
from calib_metrics.signature import Options, check_method, make_signature
from calib_metrics.values import plain_value, resampled_metric
from calib_metrics.worst_case import worst_confidence

MISSING = ("exclude", "error", "worst_case")
Columns = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Score:
    """One metric of one method, with its uncertainty and its signature.

    value; low, high: bounds of the interval; stderr: standard error (each NaN where undefined);
    n: rows used; n_missing: rows without a confidence, left out or assumed the worst as the
    signature says; signature: everything that changes the number, as "key:value" joined by "|".
    """

    name: str
    value: float
    low: float
    high: float
    stderr: float
    n: int
    n_missing: int
    higher_is_better: bool
    signature: str

    def __str__(self) -> str:
        missing = f", {self.n_missing} missing" if self.n_missing else ""
        return (
            f"{self.name} {self.value:.4f} [{self.low:.4f}, {self.high:.4f}] "
            f"(n {self.n}{missing}) {self.signature}"
        )

    def to_dict(self) -> dict[str, object]:
        """Return a dict for strict JSON, which has neither NaN (None here) nor inf ("inf")."""
        return {key: _to_json(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Score:
        """Return the Score that `to_dict` wrote. Raises ValueError when fields are missing."""
        absent = [field.name for field in fields(cls) if field.name not in data]
        if absent:
            raise ValueError(f"A stored score lacks {', '.join(absent)}: write it with to_dict().")
        values = {field.name: data[field.name] for field in fields(cls)}
        for name in ("value", "low", "high", "stderr"):
            values[name] = math.nan if values[name] is None else float(values[name])
        return cls(**values)


def _to_json(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def score(
    confidence: ArrayLike,
    correct: ArrayLike,
    metrics: Sequence[str] = ("acc", "ece", "auroc", "brier", "answered"),
    *,
    method: str = "",
    missing: str = "exclude",
    groups: Sequence[object] | NDArray[Any] | None = None,
    bins: int = 10,
    strategy: str = "width",
    norm: str = "l1",
    debias: bool = False,
    resamples: int = 1000,
    interval: str = "percentile",
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Score]:
    """Score the confidences of one method, every metric with a bootstrap interval.

    confidence: (n,) in [0, 1], None or NaN where the method gave none. correct: (n,) in {0, 1}.
    metrics: names of `calib_metrics.registry` ("answered" is the share of rows with a confidence);
    "selective_accuracy@0.7" and "coverage_at_accuracy@0.95" for another share than 0.8 and 0.9;
    "brier_skill@0.4" against that constant rather than the best in hindsight;
    "ece:guo17" and so on for other definitions (`compat_ece`). "acc" and "answered" use all rows,
    the others only rows with a confidence.
    method: how the confidences were elicited; `conf` in the signature.
    missing: "exclude" leaves rows without a confidence out and counts them; "error" refuses them;
    "worst_case" gives them the confidences that make the metric worst (`worst_case` returns both
    bounds).
    groups: (n,) labels. Rows with the same label (for example questions on one subject) are drawn
    together, because they are not independent.
    bins, strategy, norm, debias: as in `ece`; "rms" and "mce" set their own norm.
    resamples: number of bootstrap draws of the rows or groups (0: no intervals). All metrics use
    the same draws, with the bins and bandwidth of the full sample.
    interval: "percentile" or "bca" (bias-corrected and accelerated). level: of the interval.
    seed: of `numpy.random.default_rng`.

    Returns a Score per metric, in the given order; the order of the rows does not matter. Low, high
    and stderr are NaN with fewer than two usable rows or groups. Resamples where a metric is
    undefined are left out, with a UserWarning if they exceed 5 %. The plug-in ECE of a resample
    is biased upwards, so the interval of a very small ECE can lie above the ECE itself.
    Raises ValueError on bad input.
    """
    metrics = check_metrics(metrics)
    check_method(method)
    check_choice(missing, "missing", MISSING)
    options = Options(bins, strategy, norm, debias, resamples, interval, level, seed)
    columns = check_pairs(confidence, correct, allow_missing=missing != "error")
    labels = None if groups is None else check_groups(groups, columns[0].size)
    absent = int(np.sum(np.isnan(columns[0])))
    if missing == "worst_case" and absent:
        scores: dict[str, Score] = {}
        for name in metrics:
            filled = columns
            if not find(name).metric.all_rows:
                filled = (worst_confidence(*columns, name, **options.binning), columns[1])
            scores |= _score(filled, labels, [name], method, missing, absent, options)
        return scores
    return _score(columns, labels, metrics, method, missing, absent, options)


def _score(
    columns: Columns,
    labels: NDArray[np.int64] | None,
    metrics: Sequence[str],
    method: str,
    missing: str,
    absent: int,
    options: Options,
) -> dict[str, Score]:
    if labels is None:
        unit, (confidence, correct) = None, sort_rows(*columns)
    else:
        order = sort_order(*columns, labels)
        unit, confidence, correct = labels[order], columns[0][order], columns[1][order]
    values = {name: plain_value(name, confidence, correct, options) for name in metrics}
    uncertainty = {}
    if options.resamples:
        uncertainty = _uncertainty(values, confidence, correct, unit, options)
    answered = confidence.size - int(np.count_nonzero(np.isnan(confidence)))
    clusters = None if labels is None else int(labels.max()) + 1
    scores = {}
    for name in metrics:
        metric = find(name).metric
        n = confidence.size if metric.all_rows else answered
        scores[name] = Score(
            name,
            values[name],
            *uncertainty.get(name, (math.nan,) * 3),
            n,
            0 if metric.all_rows else absent,
            metric.higher_is_better,
            make_signature(name, n, method, missing, clusters, options),
        )
    return scores


def _uncertainty(
    values: dict[str, float],
    confidence: NDArray[np.float64],
    correct: NDArray[np.float64],
    unit: NDArray[np.int64] | None,
    options: Options,
) -> dict[str, tuple[float, float, float]]:
    """Return low, high and standard error of the metrics in `values`, where there are any."""
    cells = make_cells(confidence, correct, unit, merge=may_merge(list(values)))
    units = {True: cells.units, False: cells.units_answered}
    enough = {name: units[find(name).metric.all_rows] >= 2 for name in values}
    drawable = [name for name in values if enough[name] and not math.isnan(values[name])]
    functions = {name: resampled_metric(name, cells, options.binning) for name in drawable}
    drawn = Drawn(cells)

    def statistic(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        drawn.load(counts)
        return {name: function(drawn) for name, function in functions.items()}

    return resample(statistic, values, cells.units, options)


Statistic = Callable[[NDArray[np.float64]], dict[str, NDArray[np.float64]]]


def resample(
    statistic: Statistic, values: dict[str, float], units: int, options: Options
) -> dict[str, tuple[float, float, float]]:
    """Return low, high and standard error of each statistic that `statistic` computes from counts.

    values: those of the full sample. units: how many units to draw from.
    """
    if options.resamples == 0:
        return {}
    resampled = _collect(statistic, draws(units, options.resamples, options.seed))
    left_out = {}
    if options.interval == "bca":
        left_out = _collect(statistic, leave_out(units, options.seed))
    found = {}
    for name, drawn in resampled.items():
        _warn_if_often_undefined(name, drawn)
        if options.interval == "bca":
            low, high = bca_interval(drawn, values[name], left_out[name], options.level)
        else:
            low, high = percentile_interval(drawn, options.level)
        found[name] = (low, high, standard_error(drawn))
    return found


def _collect(
    statistic: Statistic, chunks: Iterable[NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    parts = [statistic(counts) for counts in chunks]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _warn_if_often_undefined(name: str, values: NDArray[np.float64]) -> None:
    undefined = np.mean(np.isnan(values))
    if undefined > 0.05:
        warnings.warn(
            f"{name} was undefined in {undefined:.0%} of the resamples, which its interval leaves "
            "out: too few rows, or almost all answers are right or wrong.",
            stacklevel=5,
        )
