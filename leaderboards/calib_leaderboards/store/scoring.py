"""Recompute every score from a log's columns and compare it with the one that lm-eval printed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import calib_metrics
from calib_leaderboards.labels import label_of
from calib_leaderboards.runs import Log, Run, Task
from calib_leaderboards.runs.run import agree
from calib_leaderboards.store.entry import Cost, Metric, Reliability, RiskCoverage, Score
from calib_metrics.scores import resample
from calib_metrics.signature import SIGNATURE_VERSION, Options

Floats = NDArray[np.float64]
METRICS = ("acc", "brier_skill", "ece", "auroc", "aurc", "brier", "answered", "rms", "nll")
BINS = 10
POINTS = 101  # points of a risk-coverage curve
# Metrics whose aggregation is the mean in lm-eval where a task names none.
_MEANS = (
    "acc",
    "acc_norm",
    "acc_mutual_info",
    "acc_bytes",
    "acc_all",
    "exact_match",
    "likelihood",
)


def confidence_scores(
    run: Run,
    task: Task,
    log: Log,
    costs: Mapping[str, int],
    base_rate: float | None,
    resamples: int,
    seed: int,
) -> list[Score]:
    """The scores of every method of a confidence task.

    costs: requests per question by method. base_rate: of the Brier skill, see `brier_skill`.
    Ungraded answers are left out of every score and counted as missing. Raises ValueError if a
    score differs from lm-eval's, or no answer is graded.
    """
    graded = ~np.isnan(log.correct)
    if not graded.any():
        raise ValueError(f"'{log.path}': no answer is graded, so there is nothing to score.")
    correct = [int(value) for value in log.correct[graded]]
    options = Options(resamples=resamples, seed=seed)
    scores = []
    for method, column in log.confidence.items():
        if "|" in method:
            raise ValueError(
                f"'{log.path}': the method {method!r} has a '|', which separates the parts of a "
                "signature; give it another name and run the evaluation again."
            )
        confidence = [None if math.isnan(value) else value for value in column[graded].tolist()]
        found = score_columns(confidence, correct, method, base_rate, resamples, seed)
        for name, score in found.items():
            _check_printed(run, task, log, name, method, score.value)
        metrics = {name: metric_of(score) for name, score in found.items()}
        metrics |= _means(run, task, log, method, options)
        cost = costs.get(method)
        scores.append(_score(run, log, method, metrics, usable_rows(confidence, correct), cost))
    _check_filters(run, task, log)
    return scores


def _score(
    run: Run,
    log: Log,
    method: str,
    metrics: dict[str, Metric],
    known: tuple[list[float], list[int]],
    cost: int | None = None,
) -> Score:
    return Score(
        method=method,
        label=label_of(method, run.adapted(method)),
        elicitation=log.signatures.get(method, ""),
        n=len(log.ids),
        n_missing=len(log.ids) - len(known[0]),
        metrics=metrics,
        reliability=reliability_of(*known) if known[0] else None,
        risk_coverage=risk_coverage_of(*known) if known[0] else None,
        cost=None if cost is None else Cost(requests_per_question=float(cost)),
    )


def option_scores(run: Run, log: Log, resamples: int, seed: int) -> list[Score]:
    """The scores of the softmax over options, in a multiple-choice task of lm-eval's own.

    One for each of lm-eval's accuracies, which choose different answers. The answers were checked
    against lm-eval's when the log was read.
    """
    scores = []
    for method, verdicts in log.verdicts.items():
        column = log.confidence[method].tolist()
        confidence = [None if math.isnan(value) else value for value in column]
        correct = [int(value) for value in verdicts]
        found = score_columns(confidence, correct, method, None, resamples, seed)
        metrics = {name: metric_of(score) for name, score in found.items()}
        scores.append(_score(run, log, method, metrics, usable_rows(confidence, correct)))
    return scores


def stock_scores(
    run: Run, task: Task, log: Log, resamples: int, seed: int
) -> tuple[list[Score], list[tuple[str, str]]]:
    """The scores of another task of lm-eval that are means over questions, by filter.

    Also returns (metric, filter) of those that lm-eval printed and that are not such means: they
    cannot be recomputed, and are left out. Raises ValueError if a mean differs from lm-eval's.
    """
    options = Options(resamples=resamples, seed=seed)
    scores, left_out = [], []
    for name in log.filters:
        metrics = _means(run, task, log, name, options)
        printed = [key.removesuffix(f",{name}") for key in task.printed if key.endswith(f",{name}")]
        left_out += [
            (metric, name)
            for metric in printed
            if metric not in metrics and not metric.endswith("_stderr")
        ]
        if metrics:
            scores.append(
                Score(
                    method=name,
                    label="Answers" if name == "none" else name,
                    elicitation="",
                    n=len(log.ids),
                    n_missing=0,
                    metrics=metrics,
                    reliability=None,
                    risk_coverage=None,
                    cost=None,
                )
            )
    _check_filters(run, task, log)
    return scores, left_out


def usable_rows(
    confidence: Sequence[float | None], correct: Sequence[int]
) -> tuple[list[float], list[int]]:
    """Return both columns without the rows whose confidence is missing."""
    pairs = [pair for pair in zip(confidence, correct, strict=True) if pair[0] is not None]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def score_columns(
    confidence: list[float | None],
    correct: list[int],
    method: str,
    base_rate: float | None,
    resamples: int,
    seed: int,
) -> dict[str, calib_metrics.Score]:
    """Score one method; scores without a finite value (nll of a confidence of 0 or 1) are left out.

    base_rate: of the Brier skill; None for the best constant in hindsight.
    """
    present = usable_rows(confidence, correct)
    finite = bool(present[0]) and math.isfinite(calib_metrics.nll(*present))
    asked = {name: name for name in METRICS if finite or name != "nll"}
    if base_rate:
        asked["brier_skill"] = f"brier_skill@{base_rate:.6f}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an undefined score is null
        found = calib_metrics.score(
            confidence,
            correct,
            tuple(asked.values()),
            method=method,
            resamples=resamples,
            seed=seed,
        )
    return {name: found[full] for name, full in asked.items()}


def metric_of(score: calib_metrics.Score) -> Metric:
    """A score in the form that entries use."""
    return _metric(**score.to_dict())


def _means(run: Run, task: Task, log: Log, filter_: str, options: Options) -> dict[str, Metric]:
    """The printed scores of a filter that are the mean of a value in the log."""
    stated = task.aggregations
    columns = {}
    for name, column in log.values.get(filter_, {}).items():
        value = float(np.mean(column))
        by_default = stated.get(name) is None and name in _MEANS
        if stated.get(name) == "mean" or by_default:
            if not math.isfinite(value):
                where = log.ids[int(np.flatnonzero(~np.isfinite(column))[0])]
                raise ValueError(
                    f"'{log.path}': {name} of question '{where}' is not a finite number, so "
                    f"{name} has no mean; run the evaluation again."
                )
            _check_printed(run, task, log, name, filter_, value)
        printed = task.printed.get(f"{name},{filter_}")
        if printed is not None and math.isfinite(value) and agree(printed, value):
            columns[name] = column
    n = len(log.ids)
    intervals = {}
    if columns and n > 1:
        matrix = np.stack(list(columns.values()), axis=1)

        def statistic(counts: Floats) -> dict[str, Floats]:
            return dict(zip(columns, (counts @ matrix / n).T, strict=True))

        values = {name: float(np.mean(column)) for name, column in columns.items()}
        intervals = resample(statistic, values, n, options)
    metrics = {}
    for name, column in columns.items():
        low, high, stderr = intervals.get(name, (None, None, None))
        metrics[name] = _metric(
            value=float(np.mean(column)),
            low=low,
            high=high,
            stderr=stderr,
            higher_is_better=task.directions.get(name),
            signature=f"{name}|aggregation:mean|filter:{filter_}|n:{n}|v:{SIGNATURE_VERSION}"
            f"|boot:{options.resamples}|seed:{options.seed}",
        )
    return metrics


def _check_printed(run: Run, task: Task, log: Log, name: str, filter_: str, value: float) -> None:
    printed = task.printed.get(f"{name},{filter_}")
    if printed is not None and not agree(printed, value):
        raise ValueError(
            f"'{run.path}' gives {name},{filter_} = {printed!r} for {task.name}, but its "
            f"samples in '{log.path.name}' give {value!r}: one of the two files was changed or cut "
            "short, so run the evaluation again."
        )


def _check_filters(run: Run, task: Task, log: Log) -> None:
    """Raise ValueError unless results and log have the same filters."""
    printed = {key.partition(",")[2] for key in task.printed if "," in key}
    if odd := sorted(printed ^ set(log.filters)):
        place = f"'{run.path}'" if odd[0] in printed else f"'{log.path}'"
        raise ValueError(
            f"Only {place} has scores of the filter '{odd[0]}' for {task.name}: results and "
            "samples come from different runs, or one of them was changed."
        )


def _metric(
    value: Any,
    low: Any,
    high: Any,
    stderr: Any,
    higher_is_better: bool | None,
    signature: str,
    **_: Any,
) -> Metric:
    return Metric(
        value=_rounded(value),
        low=_rounded(low),
        high=_rounded(high),
        stderr=_rounded(stderr),
        higher_is_better=higher_is_better,
        signature=signature,
    )


def reliability_of(confidence: list[float], correct: list[int]) -> Reliability:
    """Ten bins of equal width, of rows with a confidence."""
    bins = calib_metrics.reliability_bins(confidence, correct, bins=BINS)
    columns = {
        name: [_rounded(value) for value in np.asarray(getattr(bins, name)).tolist()]
        for name in ("lower", "upper", "confidence", "accuracy")
    }
    return Reliability(**columns, count=[int(value) for value in bins.count])


def risk_coverage_of(confidence: list[float], correct: list[int]) -> RiskCoverage:
    """Return at most 101 evenly chosen points of the curve, including the last."""
    curve = calib_metrics.risk_coverage(confidence, correct)
    size = curve.coverage.size
    chosen = np.unique(np.linspace(0, size - 1, min(size, POINTS)).round().astype(int))
    return RiskCoverage(
        coverage=[_rounded(value) for value in curve.coverage[chosen].tolist()],
        risk=[_rounded(value) for value in curve.risk[chosen].tolist()],
    )


def _rounded(value: Any) -> float | None:
    """Round to ten digits, which are the same on every machine; None if undefined."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(f"{value:.10g}")
