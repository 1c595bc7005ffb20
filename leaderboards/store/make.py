"""Makes entries from a run: every score recomputed from the samples and held against lm-eval's."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from calib_leaderboards.provenance import describe
from calib_leaderboards.rows import limit_of
from calib_leaderboards.runs import Run
from calib_leaderboards.store.cost import requests_per_question
from calib_leaderboards.store.entry import FORMAT, Entry, Score
from calib_leaderboards.store.log import Log, read_log
from calib_leaderboards.store.paths import entry_path, samples_path
from calib_leaderboards.store.results import check_file, log_of, tasks_of
from calib_leaderboards.store.samples import pack_samples, samples_of
from calib_leaderboards.store.scoring import confidence_scores, stock_scores
from calib_leaderboards.store.setting import describe_model, describe_setting

LARGEST_SAMPLES = 4 * 2**20  # bytes, packed: more is not kept in a repository
_UNSET: dict[str, Any] = {"file": None, "sha256": None}


def make_entries(
    run: Run, *, adapters: Mapping[str, Path] | None = None, resamples: int = 1000, seed: int = 0
) -> tuple[list[tuple[Entry, bytes | None]], list[str]]:
    """Make an entry for every task of a run, and its packed samples (None if too large to keep).

    adapters: folders of adapters by the names that runs give them, to record their weights' sha256.
    resamples, seed: of the bootstrap behind the intervals.

    Returns the entries, and a sentence for all that is left out: scores that are no mean over
    questions, samples that are too large.

    Raises ValueError for a run that asked only a part of the questions, a log that is damaged or
    belongs to other results, or a score that is not the one lm-eval printed; FileNotFoundError for
    results without logged samples.
    """
    made: list[tuple[Entry, bytes | None]] = []
    notes: list[str] = []
    for task in tasks_of(run):
        try:
            entry, packed = _make(run, task, adapters or {}, resamples, seed, notes)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in (error.title, *problem["loc"]))
            raise ValueError(
                f"'{run.path}' cannot become an entry of {task}: {place}: {problem['msg']}."
            ) from error
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(
                f"'{run.path}' is not a whole results file of lm_eval (what it says of {task} ends "
                f"in {error!r}); run the evaluation again or remove the file."
            ) from error
        if entry is not None:
            made.append((entry, packed))
    return made, notes


def _make(
    run: Run, task: str, adapters: Mapping[str, Path], resamples: int, seed: int, notes: list[str]
) -> tuple[Entry | None, bytes | None]:
    _refuse_parts(run, task)
    log = _read_log(run, task)
    config = run.results["configs"][task]
    ours = log.correct is not None
    form = _text(config.get("output_type"))
    left_out: list[tuple[str, str]] = []
    if ours:
        metadata = config.get("metadata") or {}
        costs = requests_per_question(task, form, metadata)
        scores = confidence_scores(run, task, log, costs, resamples, seed)
    else:
        scores, left_out = stock_scores(run, task, log, resamples, seed)
    if left_out:
        names = sorted({metric for metric, _ in left_out})
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        notes.append(
            f"{task}: without {', '.join(names[:5])}{more}, which are no mean of a number that its "
            "log holds for every question."
        )
    if not scores:
        notes.append(f"{task} is left out: it has no score that is a mean over its questions.")
        return None, None
    fields = _finite(_fields(run, task, log, scores, adapters, form))
    entry = Entry.model_validate({**fields, "samples": _UNSET})
    published = [(metric, score.method) for score in scores for metric in score.metrics]
    packed = pack_samples(samples_of(log, published))
    if len(packed) > LARGEST_SAMPLES:
        notes.append(f"{task}: its samples are not kept; they have {len(packed):,} bytes, packed.")
        return entry, None
    kept = {
        "file": samples_path(entry_path(entry)).name,
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    return Entry.model_validate({**entry.model_dump(), "samples": kept}), packed


def _fields(
    run: Run, task: str, log: Log, scores: list[Score], adapters: Mapping[str, Path], form: Any
) -> dict[str, Any]:
    config, results = run.results["configs"][task], run.results
    ours = log.correct is not None
    described = describe(run, [task], stock=not ours)
    names = (
        "command", "backend", "model_args", "device", "batch_size", "seeds", "versions", "hardware",
        "date", "wall_time_seconds", "chat_template_sha", "system_instruction_sha", "results",
    )
    return {
        "format": FORMAT,
        "model": describe_model(run, adapters).model_dump(),
        "task": {
            "name": task,
            "version": str(results["versions"].get(task)),
            "split": _text(config.get("test_split") or config.get("validation_split")),
            "form": form,
            "source": "calibench" if ours else "lm_eval",
        },
        "setting": describe_setting(run, task, log).model_dump(),
        "n": len(log.ids),
        "scores": [score.model_dump() for score in scores],
        "provenance": {
            **{name: described[name] for name in names},
            "prompts_sha256": log.prompts,
            "data_fingerprint": log.data,
            "answers_fingerprint": log.said,
            "samples": {"file": log.path.name, "sha256": log.sha256, "rows": log.rows},
        },
    }


def _refuse_parts(run: Run, task: str) -> None:
    """Raise ValueError unless the run asked all questions of the task."""
    count = run.results["n-samples"].get(task)
    count = count if isinstance(count, dict) else {}
    whole, asked = count.get("original"), count.get("effective")
    limit = run.results["config"].get("limit")
    if not isinstance(whole, int) or not isinstance(asked, int):
        raise ValueError(
            f"'{run.path}' does not say how many questions {task} has and how many were asked "
            "('n-samples'), so that nobody knows if it is whole; run the evaluation again."
        )
    if limit is not None or limit_of(run, task) is not None:
        how = f"--limit {limit}" if limit is not None else "--samples"
        raise ValueError(
            f"'{run.path}' asked {asked} of the {whole} questions of {task} ({how}); only whole "
            "runs are published, so evaluate again without it."
        )


def _read_log(run: Run, task: str) -> Log:
    path = log_of(run, task)
    if not path.is_file():
        raise FileNotFoundError(
            f"'{run.path}' has no sample log for {task} beside it ('{path.name}'), and scores are "
            "recomputed from samples; run lm_eval with --log_samples."
        )
    check_file(path, run.path.parent)
    log = read_log(path, task)
    count = run.results["n-samples"][task]["effective"]
    if len(log.ids) != count:
        raise ValueError(
            f"'{path}' has samples of {len(log.ids)} questions, but '{run.path.name}' says that "
            f"{count} were asked; the file is cut off or of another run."
        )
    hashes = run.results.get("task_hashes")
    stated = hashes.get(task) if isinstance(hashes, dict) else None
    if stated is not None and stated != log.task_hash:
        raise ValueError(
            f"'{path}' does not hold the samples that '{run.path.name}' was made from: their "
            "'task_hashes' differ. Give the two files of one run."
        )
    return log


def _finite(value: Any) -> Any:
    """With null for each number that is not finite."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
