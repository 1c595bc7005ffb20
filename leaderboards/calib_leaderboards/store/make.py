"""Make entries from a run: recompute every score from the samples and compare it with lm-eval's."""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from pydantic import ValidationError

from calib_leaderboards.labels import CONSTANT
from calib_leaderboards.provenance import describe
from calib_leaderboards.runs import Log, Run, Task, load_log
from calib_leaderboards.store.cost import requests_per_question
from calib_leaderboards.store.entry import FORMAT, Entry, Score
from calib_leaderboards.store.paths import entry_path, samples_path
from calib_leaderboards.store.samples import pack_samples, samples_of
from calib_leaderboards.store.scoring import confidence_scores, option_scores, stock_scores
from calib_leaderboards.store.setting import describe_model, describe_setting

LARGEST_SAMPLES = 4 * 2**20  # packed bytes; larger samples are not kept in a repository
_UNSET: dict[str, Any] = {"file": None, "sha256": None}
_log = logging.getLogger(__name__)

Made = dict[PurePosixPath, tuple[Entry, bytes | None]]


def make_all(
    runs: Sequence[Run],
    *,
    adapters: Mapping[str, Path] | None = None,
    constant: float | None = None,
    note: str | None = None,
    preview: bool = False,
    resamples: int = 1000,
    seed: int = 0,
) -> Made:
    """Make an entry for every task of every run, and its packed samples, by their paths in a store.

    Samples that are too large to keep are None.

    adapters: folders of adapters by the names that runs give them, to record their weights' sha256.
    constant: adds to one entry of each confidence task, of a run without an adapter if there is
    one, the row of a model that always states this; the Brier skill of all methods that judge the
    same answers is relative to it. Elsewhere it is relative to the best constant in hindsight.
    note: what readers of the scores need to know.
    preview: accept runs of a part of the questions.
    resamples, seed: of the bootstrap behind the intervals.

    What is left out is logged as a warning: scores that are not means over questions, samples that
    are too large.

    Raises ValueError for a run that asked only a part of the questions, a log that is damaged or
    belongs to other results, a score that is not the one lm-eval printed, two runs of one entry,
    and runs without any score; FileNotFoundError for results without logged samples.
    """
    made: Made = {}
    bearers: dict[str, Run] = {}
    # The runs that bear the constant first.
    ordered = sorted(runs, key=lambda run: bool(run.adapters))
    for run in ordered:
        bearers = {task.name: run for task in run.tasks} | bearers
    rates: dict[tuple[str, str | None], float] = {}
    for run in ordered:
        for task in run.tasks:
            own_constant = constant if bearers[task.name] is run else None
            entry, packed = _checked(
                run, task, adapters or {}, own_constant, rates, note, preview, resamples, seed
            )
            if entry is None:
                continue
            path = entry_path(entry)
            if path in made:
                other = made[path][0].provenance.results.file
                raise ValueError(
                    f"'{other}' and '{run.path.name}' both make the entry '{path}'; give only "
                    "one of them."
                )
            made[path] = (entry, packed)
    if not made:
        names = ", ".join(f"'{run.path}'" for run in runs)
        raise ValueError(f"There are no scores to publish in {names}.")
    return made


def _checked(run: Run, task: Task, *options: Any) -> tuple[Entry | None, bytes | None]:
    """Call `_make`; if a field is missing, raise a sentence that names the file."""
    try:
        return _make(run, task, *options)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in (error.title, *problem["loc"]))
        raise ValueError(
            f"'{run.path}' cannot become an entry of {task.name}: {place}: {problem['msg']}."
        ) from error
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(
            f"'{run.path}' is not a whole results file of lm_eval (reading {task.name} ends in "
            f"{error!r}); run the evaluation again or remove the file."
        ) from error


def _make(
    run: Run,
    task: Task,
    adapters: Mapping[str, Path],
    constant: float | None,
    rates: dict[tuple[str, str | None], float],
    note: str | None,
    preview: bool,
    resamples: int,
    seed: int,
) -> tuple[Entry | None, bytes | None]:
    _check_whole(run, task, preview)
    log = load_log(run, task)
    if log.correct is not None:
        if constant is not None:
            rates[task.name, log.answers_fingerprint] = constant
            always = np.full(len(log.ids), constant)
            log = replace(log, confidence={**log.confidence, CONSTANT: always})
        costs = requests_per_question(task.name, task.form, task.metadata)
        rate = rates.get((task.name, log.answers_fingerprint))
        scores = confidence_scores(run, task, log, costs, rate, resamples, seed)
    else:
        scores, left_out = stock_scores(run, task, log, resamples, seed)
        scores += option_scores(run, log, resamples, seed)
        if names := sorted({metric for metric, _ in left_out}):
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            _log.warning(
                "%s: without %s%s, which are not means of a number that its log holds for every "
                "question.",
                task.name,
                ", ".join(names[:5]),
                more,
            )
    if not scores:
        _log.warning("%s is left out: none of its scores is a mean over its questions.", task.name)
        return None, None
    fields = _finite(_fields(run, task, log, scores, adapters, note))
    entry = Entry.model_validate({**fields, "samples": _UNSET})
    published = [(metric, score.method) for score in scores for metric in score.metrics]
    packed = pack_samples(samples_of(log, published))
    if len(packed) > LARGEST_SAMPLES:
        _log.warning(
            "%s: its samples are not kept; they have %s bytes, packed.",
            task.name,
            f"{len(packed):,}",
        )
        return entry, None
    kept = {
        "file": samples_path(entry_path(entry)).name,
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    return Entry.model_validate({**entry.model_dump(), "samples": kept}), packed


def _fields(
    run: Run,
    task: Task,
    log: Log,
    scores: list[Score],
    adapters: Mapping[str, Path],
    note: str | None,
) -> dict[str, Any]:
    ours = log.correct is not None
    return {
        "format": FORMAT,
        "model": describe_model(run, adapters).model_dump(),
        "task": {
            "name": task.name,
            "version": str(task.version),
            "split": task.split,
            "form": task.form,
            "source": "calibench" if ours else "lm_eval",
        },
        "setting": describe_setting(run, task, log).model_dump(),
        "n": len(log.ids),
        "scores": [score.model_dump() for score in scores],
        "provenance": {
            "note": note,
            **describe(run, task, stock=not ours),
            "prompts_sha256": log.asked,
            "data_fingerprint": log.data,
            "answers_fingerprint": log.answers_fingerprint,
            "samples": {
                # A task's name, and so its log's, may have characters that a file name on a page
                # may not.
                "file": re.sub(r"[\\\x00-\x1f]", "_", log.path.name),
                "sha256": log.sha256,
                "rows": log.rows,
            },
        },
    }


def _check_whole(run: Run, task: Task, preview: bool) -> None:
    """Raise ValueError unless the run asked all questions or, with `preview`, a stated part."""
    if task.asked is None or task.available is None:
        raise ValueError(
            f"'{run.path}' does not say how many questions {task.name} has and how many were "
            "asked ('n-samples'), so that nobody can tell whether it is complete; run the "
            "evaluation again."
        )
    if task.part is not None and not preview:
        how = f"--limit {run.limit}" if run.limit is not None else "--samples"
        raise ValueError(
            f"'{run.path}' asked {task.asked} of the {task.available} questions of {task.name} "
            f"({how}); only complete runs are published, so evaluate again without it."
        )


def _finite(value: Any) -> Any:
    """Replace each number that is not finite by null."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
