"""Give the entries of a store the scores that newer versions compute, from their kept samples."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from calib_leaderboards.store.add import locked, replace_entries
from calib_leaderboards.store.entry import Entry, Score
from calib_leaderboards.store.paths import entry_path, samples_path
from calib_leaderboards.store.read import read_entries
from calib_leaderboards.store.samples import Samples, unpack_samples
from calib_leaderboards.store.scoring import METRICS, metric_of, score_columns

_DRAWN = re.compile(r"\|boot:(\d+)\|seed:(\d+)")
_RATE = re.compile(r"\|base_rate:([0-9.]+)\|")


def rescore(store: Path) -> list[Path]:
    """Add to every entry the scores that it lacks; return the files that changed.

    Only entries of confidence tasks whose samples were kept can be rescored. Existing scores stay
    as they are, and are checked: a value that the samples do not give is a ValueError that names
    the entry, and no file is changed. The Brier skill is relative to the best constant in
    hindsight. Raises as `read_entries` does.
    """
    store = Path(store)
    with locked(store):
        changed = dict(_rescored(store))
        replace_entries(store, changed)
    return [store / path for path in changed]


def _rescored(store: Path) -> Iterator[tuple[PurePosixPath, Entry]]:
    for entry in read_entries(store):
        path = entry_path(entry)
        if entry.samples.file is None or entry.task.source != "calibench":
            continue
        samples = unpack_samples(entry, Path(samples_path(store / path)))
        scores = [_score(score, samples, store / path) for score in entry.scores]
        if scores != entry.scores:
            yield path, entry.model_copy(update={"scores": scores})


def columns_of(score: Score, samples: Samples) -> tuple[list[float | None], list[int]]:
    """Confidence and correct of the graded answers of a method with confidences."""
    column = samples.column(score.method)
    assert column is not None
    graded = ~np.isnan(column[1])
    confidence = [None if math.isnan(value) else value for value in column[0][graded].tolist()]
    return confidence, [int(value) for value in column[1][graded]]


def options_of(score: Score) -> tuple[float | None, int, int]:
    """The base rate of the skill, the resamples and the seed that a score's signatures state."""
    signatures = [metric.signature for metric in score.metrics.values()]
    drawn = next(filter(None, map(_DRAWN.search, signatures)), None)
    rate = next(filter(None, map(_RATE.search, signatures)), None)
    resamples, seed = (int(drawn[1]), int(drawn[2])) if drawn else (1000, 0)
    return (float(rate[1]) if rate else None), resamples, seed


def _score(score: Score, samples: Samples, file: Path) -> Score:
    if samples.correct is None or score.method not in samples.confidence:
        raise ValueError(
            f"'{file}' has a method {score.method!r} that its samples lack; add the run again with "
            "--replace."
        )
    confidence, correct = columns_of(score, samples)
    _, resamples, seed = options_of(score)
    complete = score.metrics.keys() >= set(METRICS) - {"nll"}
    found = score_columns(
        confidence, correct, score.method, None, 0 if complete else resamples, seed
    )
    for name, metric in score.metrics.items():
        again = found.get(name)
        if again is None or name == "brier_skill":
            continue
        value = math.nan if metric.value is None else metric.value
        if not math.isclose(again.value, value, rel_tol=1e-8, abs_tol=1e-9) and not (
            math.isnan(again.value) and math.isnan(value)
        ):
            raise ValueError(
                f"'{file}' says that {name} of {score.method} is {metric.value}, and its samples "
                f"give {again.value}: the entry was edited. Add the run again with --replace."
            )
    new = {name: metric_of(found[name]) for name in found if name not in score.metrics}
    if not new:
        return score
    order = [*METRICS, *(name for name in score.metrics if name not in METRICS)]
    metrics = {**score.metrics, **new}
    return score.model_copy(
        update={"metrics": {name: metrics[name] for name in order if name in metrics}}
    )
