"""Scores with their intervals and signatures: what is published, compared and stored."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_choice, check_count, check_rows
from calib_metrics.bins import STRATEGIES
from calib_metrics.bootstrap import (
    distinct_rows,
    percentile_interval,
    resampled_counts,
    resampled_metric,
)
from calib_metrics.calibration import NORMS, brier, ece, nll
from calib_metrics.discrimination import auroc

VERSION = "0.1"  # in every signature: raise it with every change to what a score means

HIGHER_IS_BETTER = {
    "acc": True,
    "answered": True,
    "ece": False,
    "rms": False,
    "brier": False,
    "nll": False,
    "auroc": True,
}
_OF_ALL_ROWS = ("acc", "answered")


@dataclass(frozen=True)
class Score:
    """One metric of one method, with its uncertainty and the signature that makes it comparable.

    value; low, high: bounds of the interval; stderr: standard error (each NaN where undefined);
    n: rows used; n_missing: rows left out because they have no confidence;
    signature: everything that changes the number, as "key:value" joined by "|".
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
    def from_dict(cls, data: dict[str, object]) -> Score:
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
    bins: int = 10,
    strategy: str = "width",
    norm: str = "l1",
    missing: str = "exclude",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Score]:
    """Score the confidences of one method, every metric with a bootstrap interval.

    confidence: (n,) in [0, 1], None or NaN where the method gave none. correct: (n,) in {0, 1}.
    metrics: of "acc", "answered" (share of rows with a confidence), "ece", "rms", "brier", "nll",
    "auroc". "acc" and "answered" use all rows, the others the rows with a confidence.
    method: how the confidences were elicited; `conf` in the signature.
    bins, strategy, norm: as in `ece` (norm does not apply to "rms").
    missing: "exclude" leaves rows without a confidence out and counts them; "error" refuses them.
    resamples: rows are drawn with replacement that often (0: no intervals), the same draws for
    every metric, with bins fixed to those of the full sample. level: of the percentile interval.
    seed: of `numpy.random.default_rng`.

    Returns a Score per metric, in the order asked. It does not depend on the order of the rows.
    Low, high and stderr are NaN with fewer than two usable rows. Resamples where a metric is
    undefined are left out, with a UserWarning if they exceed 5 %. The plug-in ECE of a resample is
    biased upwards, so the interval of a very small ECE can lie above the ECE itself.
    Raises ValueError on bad input.

    Source of the interval: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in metrics:
        check_choice(name, "a metric", tuple(HIGHER_IS_BETTER))
    check_choice(strategy, "strategy", STRATEGIES)
    check_choice(norm, "norm", NORMS)
    check_choice(missing, "missing", ("exclude", "error"))
    bins = check_count(bins, "bins", 1)
    resamples = check_count(resamples, "resamples", 0)
    seed = check_count(seed, "seed", 0)
    if not 0 < level < 1:
        raise ValueError(f"level is {level!r}: give a share between 0 and 1, such as 0.95.")
    if "|" in method:
        raise ValueError(f"method is {method!r}: leave out '|', which separates a signature.")

    confidence, correct = check_rows(confidence, correct, allow_missing=missing == "exclude")
    answered = int(np.sum(~np.isnan(confidence)))
    options = {"bins": bins, "strategy": strategy, "norm": norm}
    resampled = _resample(confidence, correct, metrics, resamples, seed, options)

    scores = {}
    for name in metrics:
        n = confidence.size if name in _OF_ALL_ROWS else answered
        value = _value(name, confidence, correct, options)
        low = high = stderr = math.nan
        if n >= 2 and not math.isnan(value):
            low, high, stderr = percentile_interval(resampled[name], level)
            _warn_if_often_undefined(name, resampled[name])
        signature = _signature(name, n, method, missing, resamples, level, seed, options)
        better, n_missing = HIGHER_IS_BETTER[name], confidence.size - n
        scores[name] = Score(name, value, low, high, stderr, n, n_missing, better, signature)
    return scores


def _value(
    name: str, confidence: NDArray[np.float64], correct: NDArray[np.float64], options: dict
) -> float:
    given = ~np.isnan(confidence)
    if name == "acc":
        return float(np.mean(correct))
    if name == "answered":
        return float(np.mean(given))
    confidence, correct = confidence[given], correct[given]
    if confidence.size == 0:
        warnings.warn(f"{name} is undefined (NaN): no row has a confidence.", stacklevel=3)
        return math.nan
    if name == "ece":
        return ece(confidence, correct, **options)
    if name == "rms":
        return ece(confidence, correct, **{**options, "norm": "l2"})
    return {"brier": brier, "nll": nll, "auroc": auroc}[name](confidence, correct)


def _resample(
    confidence: NDArray[np.float64],
    correct: NDArray[np.float64],
    metrics: Sequence[str],
    resamples: int,
    seed: int,
    options: dict,
) -> dict[str, NDArray[np.float64]]:
    table = distinct_rows(confidence, correct)
    if table.answered == 0:
        metrics = [name for name in metrics if name in _OF_ALL_ROWS]
    functions = {name: resampled_metric(name, table, **options) for name in metrics}
    values: dict[str, list] = {name: [] for name in metrics}
    for counts in resampled_counts(table, resamples, seed):
        for name, function in functions.items():
            values[name].append(function(counts))
    return {name: np.concatenate([np.empty(0), *parts]) for name, parts in values.items()}


def _warn_if_often_undefined(name: str, values: NDArray[np.float64]) -> None:
    undefined = np.mean(np.isnan(values)) if values.size else 0.0
    if undefined > 0.05:
        warnings.warn(
            f"{name} was undefined in {undefined:.0%} of the resamples, which its interval leaves "
            "out: too few rows, or almost all answers are right or wrong.",
            stacklevel=3,
        )


def _signature(
    name: str,
    n: int,
    method: str,
    missing: str,
    resamples: int,
    level: float,
    seed: int,
    options: dict,
) -> str:
    parts = [name]
    if name in ("ece", "rms"):
        norm = "l2" if name == "rms" else options["norm"]
        parts += [f"bins:{options['bins']}", f"strategy:{options['strategy']}", f"norm:{norm}"]
    if name != "acc" and method:
        parts.append(f"conf:{method}")
    if name not in _OF_ALL_ROWS:
        parts.append(f"missing:{missing}")
    parts += [f"n:{n}", f"v:{VERSION}"]
    if resamples:
        parts += [f"boot:{resamples}", f"seed:{seed}"]
        parts += [] if level == 0.95 else [f"level:{level:g}"]
    return "|".join(parts)
