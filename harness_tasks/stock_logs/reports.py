"""The reports of a log: each method, a group's tasks pooled and averaged, parts by a field."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calib_metrics.option_scores import OPTION_METRICS, option_scores
from calib_metrics.report import Report, make_report
from calib_metrics.scores import Score
from harness_tasks.stock_logs.fitted import Fitted, fit_on, fitted_scores
from harness_tasks.stock_logs.table import Column, LogTable

DEFAULT = ("acc", "ece", "auroc", "brier", "answered")
DEFAULT_OF_OPTIONS = (*DEFAULT, "nll", "aurc", "classwise_ece", "multiclass_nll")
DEFAULT_OF_RANKS = ("acc", "auroc", "average_precision", "aurc", "prr", "answered")
_OF_CURVES = ("ece", "auroc", "aurc")
_NORMAL = 1.959963984540054  # the 97.5 % quantile of the normal distribution


def reports(
    table: LogTable,
    metrics: Sequence[str] | None,
    *,
    method: str = "",
    group: str | None = None,
    by: str | None = None,
    curves: bool = False,
    validation: Mapping[str, LogTable] | float | None = None,
    alpha: float = 0.1,
    **options: Any,
) -> Iterator[tuple[Report, list[Report]]]:
    """Score the methods of a table.

    metrics: those of `calib_metrics.registry`, and of `OPTION_METRICS` where a table holds the
    probabilities of all options; None for defaults by what it holds. method: the only one, "" for
    all. by: a field; None: by task where several were pooled. curves: whether to add the metrics
    that figures need. validation: by method the table that cutoffs and conformal sets are fitted
    on, or the share of these rows; see `harness_tasks.stock_logs.fitted`, as for alpha. options:
    those of `make_report`.

    Yields the report of all rows and those of the parts, whose last is the mean of the others.
    Raises ValueError for bad input.
    """
    if method and method not in table.columns:
        raise ValueError(
            f"{table.source}: there is no method '{method}', only {', '.join(table.columns)}."
        )
    by = by or ("task" if table.pooled else None)
    for name in [method] if method else table.columns:
        asked = _metrics(table.columns[name], metrics, options.get("scale"))
        asked += [each for each in _OF_CURVES if curves and each not in asked]
        fitted = _fit(table, name, validation, alpha, options)
        pooled = _report(table, name, asked, group, fitted, **options)
        parts = []
        if by is not None:
            divided = table.parts(by)
            scored = None if fitted is None else _scored(table, fitted).parts(by)
            if scored is not None and scored.keys() != divided.keys():
                raise ValueError(
                    f"{table.source}: of '{by}' some values have no row that the fit leaves to "
                    "score: give a smaller share, or a validation log."
                )
            for label, part in divided.items():
                report = _report(part, name, asked, group, **options)
                if fitted is not None and scored is not None:
                    report = _with_fitted(report, scored[label], name, group, fitted, options)
                parts.append(report)
            if len(parts) > 1:
                parts.append(_mean(parts, f"mean of {len(parts)}", pooled))
        yield pooled, parts


def _fit(
    table: LogTable,
    method: str,
    validation: Mapping[str, LogTable] | float | None,
    alpha: float,
    options: Mapping[str, Any],
) -> Fitted | None:
    if validation is None:
        return None
    names = ("scale", "clip", "seed")
    shared = {"alpha": alpha, **{name: options[name] for name in names if name in options}}
    if not isinstance(validation, Mapping):
        return fit_on(table, method, validation, **shared)
    if method not in validation:
        raise ValueError(
            f"{table.source}: the validation rows have no method '{method}', only "
            f"{', '.join(validation)}."
        )
    return fit_on(table, method, validation[method], **shared)


def _scored(table: LogTable, fitted: Fitted) -> LogTable:
    """Return the rows that a fit leaves to score."""
    return table if fitted.scored is None else table.rows_at(fitted.scored)


def _with_fitted(
    report: Report,
    table: LogTable,
    method: str,
    group: str | None,
    fitted: Fitted,
    options: Mapping[str, Any],
) -> Report:
    groups = table.rows(method, group).groups
    found = fitted_scores(fitted, table.columns[method], groups, method=method, **options)
    return replace(
        report,
        scores={**report.scores, **found},
        notes=tuple(dict.fromkeys((*report.notes, *fitted.notes))),
    )


def _metrics(column: Column, metrics: Sequence[str] | None, scale: str | None) -> list[str]:
    if metrics is not None:
        return list(metrics)
    if scale == "rank":
        return list(DEFAULT_OF_RANKS)
    return list(DEFAULT if column.probabilities is None else DEFAULT_OF_OPTIONS)


def _report(
    table: LogTable,
    method: str,
    metrics: Sequence[str],
    group: str | None,
    fitted: Fitted | None = None,
    **options: Any,
) -> Report:
    rows = table.rows(method, group)
    plain = [name for name in metrics if name not in OPTION_METRICS]
    report = make_report(table.name, rows, plain, method=method, **options)
    scores, notes = report.scores, [*table.notes, *report.notes]
    if table.probabilities and table.columns[method].probabilities is not None and "acc" in scores:
        # An accuracy does not involve confidences, but needs to know which option is the answer.
        signature = f"{scores['acc'].signature}|answer:{method}"
        scores = {**scores, "acc": replace(scores["acc"], signature=signature)}
    if of_options := [name for name in metrics if name in OPTION_METRICS]:
        found = _option_scores(table, method, of_options, rows.groups, **options)
        scores = {name: found[name] if name in found else scores[name] for name in metrics}
        if without := max(score.n_missing for score in found.values()):
            notes.append(
                f"{', '.join(of_options)}: without {without} questions that have no one right "
                "option, or no likelihood."
            )
    report = replace(report, scores=scores, notes=tuple(dict.fromkeys(notes)))
    if fitted is None:
        return report
    return _with_fitted(report, _scored(table, fitted), method, group, fitted, options)


def _option_scores(
    table: LogTable,
    method: str,
    metrics: Sequence[str],
    groups: NDArray[np.object_] | None,
    **options: Any,
) -> dict[str, Score]:
    """Score the probabilities of all options of the questions that have one right option."""
    column = table.columns[method]
    if column.probabilities is None or column.gold is None:
        raise ValueError(
            f"{table.source}: {', '.join(metrics)} need the probabilities of all options, which "
            "only logs of multiple choice hold."
        )
    known = [
        at
        for at, (shares, gold) in enumerate(zip(column.probabilities, column.gold, strict=True))
        if gold >= 0 and not np.isnan(shares).any()
    ]
    if not known:
        nothing = (math.nan,) * 4
        without = len(column.gold)
        return {name: Score(name, *nothing, 0, without, False, f"{name}|n:0") for name in metrics}
    names = ("bins", "strategy", "norm", "resamples", "interval", "seed")
    found = option_scores(
        [column.probabilities[at] for at in known],
        column.gold[known],
        metrics,
        method=method,
        groups=None if groups is None else groups[known],
        **{key: options[key] for key in names if key in options},
    )
    without = len(column.gold) - len(known)
    return {name: replace(score, n_missing=without) for name, score in found.items()}


def _mean(parts: Sequence[Report], name: str, pooled: Report) -> Report:
    """Return the unweighted mean of each score over the parts where it is defined.

    The parts are independent, so the variance of the mean is the sum of theirs over k squared; the
    interval is normal.
    """
    scores, notes = {}, []
    for key, whole in pooled.scores.items():
        found = [part.scores[key] for part in parts if key in part.scores]
        found = [score for score in found if math.isfinite(score.value)]
        if len(found) < len(parts):
            notes.append(
                f"{key}: mean of {len(found)} of {len(parts)}, as the others leave it undefined."
            )
        scores[key] = _mean_score(found, whole)
    if "ece" in scores:
        notes.append(
            "Chance raises the ECE of a small part, so the mean tends to lie above the ECE of all "
            "rows: compare means of the same parts only."
        )
    return Report(name, pooled.method, scores, None, tuple(notes), pooled.rows)


def _mean_score(found: Sequence[Score], whole: Score) -> Score:
    value = error = math.nan
    if found:
        value = math.fsum(score.value for score in found) / len(found)
        error = math.sqrt(math.fsum(score.stderr**2 for score in found)) / len(found)
    parts = whole.signature.split("|")
    n = sum(score.n for score in found)
    missing = sum(score.n_missing for score in found)
    kept = [f"n:{n}" if part.startswith("n:") else part for part in parts]
    kept.append(f"mean:{len(found)}")
    kept += [] if math.isnan(error) else ["interval:normal"]
    return replace(
        whole,
        value=value,
        low=value - _NORMAL * error,
        high=value + _NORMAL * error,
        stderr=error,
        n=n,
        n_missing=missing,
        signature="|".join(part for part in kept if part),
    )


def parts_to_text(parts: Sequence[Report], *, whole: bool) -> str:
    """Return the parts as a table of a line each; without `whole` only their mean, the last."""
    shown = parts if whole else parts[-1:]
    names = list(parts[-1].scores)
    table = [["", "n", *names]]
    for part in shown:
        count = max((score.n for score in part.scores.values()), default=0)
        found = [part.scores[name].value if name in part.scores else math.nan for name in names]
        cells = ["n/a" if math.isnan(value) else f"{value:.4f}" for value in found]
        table.append([part.name, f"{count:,}", *cells])
    ends = [(parts[-1].scores[name].low, parts[-1].scores[name].high) for name in names]
    if not all(math.isnan(low) for low, _ in ends):
        spans = ["" if math.isnan(low) else f"{low:.4f}–{high:.4f}" for low, high in ends]
        table.append(["95 % interval", "", *spans])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, *rest in table:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    for note in parts[-1].notes:
        lines += ["", *textwrap.wrap(note, 96, initial_indent="  ", subsequent_indent="  ")]
    return "\n".join(lines)
