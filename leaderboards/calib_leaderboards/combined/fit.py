"""Fit a combination on runs or a table, and estimate how it does on rows that it has not seen."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import calib_metrics
from calib_leaderboards.combined.columns import (
    Columns,
    columns_of_logs,
    columns_of_table,
    logs_of_runs,
    pool,
)
from calib_leaderboards.labels import COMBINED
from calib_metrics.combination import Combination, cross_validate, fit

METRICS = ("ece", "auroc", "brier")


def fit_and_report(
    sources: Sequence[Path],
    methods: Sequence[str],
    output: Path,
    *,
    tasks: Sequence[str] | None = None,
    by: str | None = None,
    folds: int = 5,
    seed: int = 0,
    clip: float | None = None,
    correct: str = "correct",
    id: str | None = None,
    resamples: int = 1000,
) -> str:
    """Fit the methods of `sources`, write the fit to `output`, and return a report.

    sources: folders of lm-eval runs, whose tasks are pooled, or one table. methods: columns, see
    `calib_leaderboards.combined.columns`. tasks: those of the runs to fit on, by default all. by:
    rows with the same value of this field are in the same fold of the cross-validation. correct,
    id: columns of a table. Raises ValueError for bad input.
    """
    if len(set(methods)) < len(methods):
        raise ValueError("A method is named twice.")
    read = read_columns(sources, methods, tasks=tasks, correct=correct, id=id, by=by)
    confidences = read.confidences
    made = fit(confidences, read.correct, rows=read.keys, clip=clip, seed=seed)
    unseen = cross_validate(
        confidences, read.correct, groups=read.labels, folds=folds, seed=seed, clip=clip
    )
    report = _report(read, made, unseen, by, folds, seed, resamples)
    made.save(output)
    return report


def read_columns(
    sources: Sequence[Path],
    methods: Sequence[str],
    *,
    tasks: Sequence[str] | None,
    correct: str,
    id: str | None,
    by: str | None,
) -> Columns:
    """Return the rows of a table, or of the `tasks` of some runs, by default all."""
    tables = [source for source in sources if not source.is_dir()]
    if not tables:
        if id is not None:
            raise ValueError("--id names a column of a table; the questions of a run have ids.")
        logs = logs_of_runs(sources)
        if missing := [name for name in tasks or () if name not in logs]:
            raise ValueError(
                f"--tasks: no run has the task '{missing[0]}', only {', '.join(logs)}."
            )
        logs = {name: logs[name] for name in tasks or logs}
        return pool([columns_of_logs(task, each, methods, by) for task, each in logs.items()])
    if tasks is not None:
        raise ValueError("--tasks names tasks of runs, and a table has none.")
    if len(sources) > 1:
        raise ValueError(
            f"{tables[0]} is a table, and {len(sources)} sources are given: give one table with a "
            "column for each method, or folders of runs."
        )
    return columns_of_table(tables[0], methods, correct=correct, id=id, by=by)


def _report(
    read: Columns,
    made: Combination,
    unseen: NDArray[np.float64],
    by: str | None,
    folds: int,
    seed: int,
    resamples: int,
) -> str:
    groups = None if read.labels is None else list(read.labels)
    options: dict[str, Any] = {"groups": groups, "resamples": resamples, "seed": seed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # undefined scores are shown as n/a
        scores = {
            name: calib_metrics.score(values, read.correct, METRICS, method=name, **options)
            for name, values in {**read.confidences, COMBINED: unseen}.items()
        }
        best = min(made.methods, key=lambda name: scores[name]["brier"].value)
        gained = calib_metrics.compare(
            unseen,
            read.correct,
            read.confidences[best],
            read.correct,
            METRICS,
            method_a=COMBINED,
            method_b=best,
            **options,
        )
    table = [["", "n", "ECE ↓", "AUROC ↑", "Brier ↓"]]
    for name, found in scores.items():
        table.append([name, f"{found['brier'].n:,}", *map(_cell, found.values())])
    table.append([f"{COMBINED} - {best}", "", *map(_cell, gained.values())])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [read.name, ""]
    for first, *rest in table:
        cells = [
            first.ljust(widths[0]),
            *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True)),
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    how = "questions" if by is None else f"values of '{by}'"
    notes = [
        f"The row '{COMBINED}' is cross-validated: each confidence comes from a fit on the other "
        f"{folds - 1} of {folds} folds, which share no {how} with it (seed {seed}). Its interval "
        "leaves out the variance of these fits.",
        f"Fitted on {made.n:,} rows"
        + (f", without {made.n_missing:,} that lack a confidence" if made.n_missing else "")
        + f": {made.signature}",
    ]
    if read.keys is None:
        notes.append(
            "Without --id the rows have no names: only a table of exactly these rows will be "
            "refused when the fit is applied, not one that shares some with it."
        )
    for note in notes:
        lines += ["", *textwrap.wrap(note, 96, break_on_hyphens=False, break_long_words=False)]
    return "\n".join(lines)


def _cell(score: calib_metrics.Score) -> str:
    if score.value != score.value:
        return "n/a"
    if score.low != score.low:
        return f"{score.value:.3f}"
    return f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})"
