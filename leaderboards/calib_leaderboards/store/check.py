"""Check a store that somebody else filled: do the entries agree with their samples?"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from calib_leaderboards.labels import label_of
from calib_leaderboards.store.entry import Entry, Metric, Score
from calib_leaderboards.store.paths import entry_path, samples_path
from calib_leaderboards.store.read import read_entries
from calib_leaderboards.store.rescore import columns_of, options_of
from calib_leaderboards.store.samples import Samples, unpack_samples
from calib_leaderboards.store.scoring import (
    metric_of,
    reliability_of,
    risk_coverage_of,
    score_columns,
    usable_rows,
)

_MOST = 10  # problems that an error lists


def check(store: Path, only: Collection[PurePosixPath] | None = None) -> int:
    """Recompute every score of every entry from its kept samples; return the number of entries.

    Of confidence tasks the values, their intervals, the counts, the bins, the curve and the names
    of methods are compared; of other tasks the means and the counts. What the samples cannot show,
    such as the model's name and the command, is not checked. only: paths of entries in the store;
    None for all.

    Raises ValueError that lists what differs, and for entries without samples, which cannot be
    checked; otherwise as `read_entries`.
    """
    store = Path(store)
    entries = [entry for entry in read_entries(store) if only is None or entry_path(entry) in only]
    problems = [
        f"{entry_path(entry)}: {problem}"
        for entry in entries
        for problem in _problems(entry, Path(samples_path(store / entry_path(entry))))
    ]
    if problems:
        more = f" and {len(problems) - _MOST:,} more" if len(problems) > _MOST else ""
        raise ValueError(
            f"'{store}' disagrees with its samples: {'; '.join(problems[:_MOST])}{more}. Make "
            "the entries with `calibench leaderboard add` and do not edit them."
        )
    return len(entries)


def _problems(entry: Entry, file: Path) -> Iterator[str]:
    if entry.samples.file is None:
        yield "its samples were not kept, so that its scores cannot be recomputed"
        return
    samples = unpack_samples(entry, file)
    if len(samples.ids) != entry.n:
        yield f"n is {entry.n:,}, and the samples have {len(samples.ids):,} questions"
        return
    if list(samples.ids) != sorted(set(samples.ids)):
        yield "the ids of its samples are not sorted, or one occurs twice"
    for score in entry.scores:
        known = samples.correct is not None or samples.column(score.method) is not None
        of_one = _confidences if known else _means
        yield from (f"{what} of {score.method}" for what in of_one(score, samples))


def _confidences(score: Score, samples: Samples) -> Iterator[str]:
    if score.method not in samples.confidence:
        yield "there are no samples"
        return
    confidence, correct = columns_of(score, samples)
    rate, resamples, seed = options_of(score)
    found = score_columns(confidence, correct, score.method, rate, resamples, seed)
    for name, metric in score.metrics.items():
        if name not in found:
            if name != "likelihood":  # a mean of logged values that the samples do not hold
                yield f"{name} is not a score that can be recomputed"
        elif not _same(metric.model_dump(), metric_of(found[name]).model_dump()):
            yield f"{name} is {_shown(metric)} instead of {_shown(metric_of(found[name]))}"
    known = usable_rows(confidence, correct)
    if score.n_missing != len(samples.ids) - len(known[0]):
        yield f"n_missing is {score.n_missing} instead of {len(samples.ids) - len(known[0])}"
    for name, made in (
        ("reliability", reliability_of(*known) if known[0] else None),
        ("risk_coverage", risk_coverage_of(*known) if known[0] else None),
    ):
        stated = getattr(score, name)
        if (stated is None) != (made is None) or (
            made is not None and not _same(stated.model_dump(), made.model_dump())
        ):
            yield f"{name} differs from that of the samples"
    if score.label not in (label_of(score.method, True), label_of(score.method, False)):
        yield f"the label {score.label!r} is not the name"


def _means(score: Score, samples: Samples) -> Iterator[str]:
    for name, metric in score.metrics.items():
        values = samples.values.get(f"{name},{score.method}")
        if values is None:
            yield f"there are no samples of {name}"
        elif metric.value is None or not math.isclose(
            metric.value, float(np.mean(values)), rel_tol=1e-8, abs_tol=1e-9
        ):
            yield f"{name} is {metric.value} instead of {float(np.mean(values)):.10g}"


def _same(one: Any, other: Any) -> bool:
    """Whether two contents are equal, numbers up to rounding that differs between machines."""
    if isinstance(one, dict) and isinstance(other, dict):
        # A signature of an older version may name fewer options; the numbers are compared anyway.
        keys = (one.keys() | other.keys()) - {"signature"}
        return all(_same(one.get(key), other.get(key)) for key in keys)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool) or not isinstance(one, (int, float)) or other is None:
        return one == other
    return math.isclose(one, other, rel_tol=1e-7, abs_tol=1e-8)


def _shown(metric: Metric) -> str:
    return f"{metric.value} ({metric.low} to {metric.high})"
