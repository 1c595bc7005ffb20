"""Decide, score by score, whether a run is worse than its baseline."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from calib_leaderboards.gate.baseline import Baseline, Metric, Task, read_baseline
from calib_leaderboards.gate.evidence import Evidence, detectable, holm
from calib_leaderboards.gate.measure import against_value, paired, value_of
from calib_leaderboards.gate.runs import CannotDecide, TaskRun, check_printed, tasks_below
from calib_leaderboards.gate.same import (
    check_asked,
    check_questions,
    check_scored_alike,
    check_settings,
    find_column,
    higher_is_better,
    only_run,
)
from calib_leaderboards.gate.samples import Column, Samples, read_baseline_samples, samples_of_log
from calib_leaderboards.runs import load_log

PASS, REGRESSION, UNDECIDED = "pass", "regression", "cannot decide"
CORRECTIONS = ("holm", "none")
_MOST = 1_000_000  # resamples


@dataclass(frozen=True)
class Judgement:
    """The verdict on one score, and why.

    baseline, value: the score then and now (value None where it is not available). p: corrected for
    the other tests of the file; evidence.p is as tested. detectable: the smallest harm that a run
    of this size would have shown. Both None without a test. reason: for no verdict.
    """

    task: str
    filter: str
    metric: str
    verdict: str
    baseline: float
    tolerance: float
    higher_is_better: bool | None = None
    value: float | None = None
    evidence: Evidence | None = None
    p: float | None = None
    detectable: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Report:
    """All verdicts of one gate, and the settings behind them.

    level: the chance of a false alarm; level_each: the level that the smallest p is held against.
    """

    baseline: Path
    baseline_sha256: str
    baseline_model: str
    models: tuple[str, ...]
    judgements: tuple[Judgement, ...]
    level: float
    level_each: float
    correction: str
    resamples: int
    seed: int

    @property
    def exit_code(self) -> int:
        """0: no regression. 1: one at least. 2: none seen, but some score could not be tested."""
        verdicts = {judgement.verdict for judgement in self.judgements}
        return 1 if REGRESSION in verdicts else 2 if UNDECIDED in verdicts else 0


def decide(
    baseline: Path,
    results: Path,
    *,
    level: float = 0.05,
    correction: str = "holm",
    resamples: int = 5000,
    seed: int = 0,
) -> Report:
    """Test every score of a baseline file against lm-eval's results below a folder.

    level: the chance of a false alarm, in (0, 1): of the whole file with correction "holm", of each
    score with "none". resamples: sign patterns, bootstrap draws and simulations per test; raised
    where the correction needs a smaller p than they can yield. seed: of all of them.

    A score that cannot be compared (missing, other questions, another version, ...) gets a verdict
    that says so. Raises ValueError or FileNotFoundError if the baseline or the results as a whole
    cannot be read.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level!r}: give a share between 0 and 1, such as 0.05.")
    if correction not in CORRECTIONS:
        raise ValueError(f"correction is {correction!r}: choose one of {', '.join(CORRECTIONS)}.")
    if resamples < 100:
        raise ValueError(f"resamples is {resamples}: give 100 or more.")
    baseline = Path(baseline)
    held = read_baseline(baseline)
    runs = tasks_below(Path(results))
    tests = sum(metric.test != "threshold" for task in held.tasks for metric in task.metrics)
    each = level / tests if correction == "holm" and tests else level
    # The smallest possible p, 1 / draws, must be well below `each`.
    draws = max(resamples, math.ceil(10 / each))
    if draws > _MOST:
        raise ValueError(
            f"level {level:g} over {tests} tests needs {draws:,} resamples, more than {_MOST:,}: "
            "raise the level, or test fewer scores."
        )
    judgements: list[Judgement] = []
    used: list[TaskRun] = []
    for task in held.tasks:
        found = runs.get(task.name, [])
        used += found
        judgements += _judge_task(held, task, found, baseline.parent, draws, seed)
    return Report(
        baseline=baseline,
        baseline_sha256=hashlib.sha256(baseline.read_bytes()).hexdigest(),
        baseline_model=name_of(held.model_name, held.adapter),
        models=tuple(sorted({name_of(run.model.short, run.adapter_of()) for run, _ in used})),
        judgements=tuple(_verdicts(judgements, tests, level, each, correction)),
        level=level,
        level_each=each,
        correction=correction,
        resamples=draws,
        seed=seed,
    )


def name_of(model: str, adapter: str | None) -> str:
    """A model's name, with its adapter's."""
    return f"{model} + {adapter}" if adapter else model


def _verdicts(
    judgements: Sequence[Judgement], tests: int, level: float, each: float, correction: str
) -> list[Judgement]:
    """Correct the p of all tests together, and turn them into verdicts."""
    decided = list(judgements)
    tested = [
        place
        for place, judgement in enumerate(judgements)
        if judgement.evidence is not None and not judgement.reason
    ]
    p = [judgements[place].evidence.p for place in tested]
    for place, value in zip(tested, holm(p, tests) if correction == "holm" else p, strict=True):
        judgement = judgements[place]
        decided[place] = replace(
            judgement,
            verdict=REGRESSION if value <= level else PASS,
            p=value,
            detectable=detectable(judgement.evidence, judgement.tolerance, each),
        )
    return decided


def _judge_task(
    held: Baseline, task: Task, found: Sequence[TaskRun], folder: Path, resamples: int, seed: int
) -> list[Judgement]:
    judged = [
        Judgement(
            task=task.name,
            filter=metric.filter or "",
            metric=metric.name,
            verdict=UNDECIDED,
            baseline=metric.value,
            tolerance=held.tolerance_of(metric),
        )
        for metric in task.metrics
    ]
    try:
        run = only_run(task.name, found)
        check_settings(held, task, run)
        check_asked(held, run)
        new, base = samples_of_log(load_log(*run)), None
        if task.samples is not None:
            base = read_baseline_samples(folder / task.samples.path, task.samples.sha256)
        check_questions(task, run, base, new)
    except (ValueError, OSError) as error:
        return [replace(judgement, reason=str(error)) for judgement in judged]
    return [
        _judge(judgement, metric, run, base, new, resamples, seed)
        for judgement, metric in zip(judged, task.metrics, strict=True)
    ]


def _judge(
    judged: Judgement,
    metric: Metric,
    run: TaskRun,
    base: Samples | None,
    new: Samples,
    resamples: int,
    seed: int,
) -> Judgement:
    """Return a judgement with value and evidence, or with the reason why there is none."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            name, column = find_column(run.task.name, metric.filter, new)
            judged = replace(judged, filter=name, value=value_of(metric.name, column))
            check_printed(run, metric.name, name, judged.value)
            check_scored_alike(metric, name, column)
            judged = replace(judged, higher_is_better=higher_is_better(metric, column, run))
            if metric.test == "threshold":
                return _by_threshold(judged)
            old = None if base is None else find_column(run.task.name, name, base)[1]
            judged = replace(judged, evidence=_test(judged, metric, old, column, resamples, seed))
    except (ValueError, OSError) as error:
        return replace(judged, reason=str(error))
    if math.isnan(judged.evidence.p):
        why = str(caught[0].message) if caught else "too few answers are right or wrong."
        return replace(judged, reason=f"Undefined in the run or the baseline: {why}")
    return judged


def _test(
    judged: Judgement, metric: Metric, old: Column | None, new: Column, resamples: int, seed: int
) -> Evidence:
    options = {
        "higher": judged.higher_is_better,
        "tolerance": judged.tolerance,
        "resamples": resamples,
        "seed": seed,
    }
    if metric.test == "interval" or (metric.test is None and old is None):
        stderr = metric.stderr or 0.0
        return against_value(metric.name, metric.value, new, stderr=stderr, **options)
    if old is None:
        raise CannotDecide(
            "The baseline has no samples to pair with; make it again with `calibench gate "
            "--update ... --samples FOLDER`, or write `test: interval`."
        )
    before = value_of(metric.name, old)
    if not math.isclose(before, metric.value, rel_tol=1e-5, abs_tol=1e-9):
        raise CannotDecide(
            f"The baseline says {metric.name} = {metric.value!r}, but its samples give {before!r}; "
            "update it rather than edit values."
        )
    return paired(metric.name, old, new, **options)


def _by_threshold(judged: Judgement) -> Judgement:
    """Call a harm above the tolerance a regression, without statistics."""
    difference = judged.value - judged.baseline
    if math.isnan(difference):
        return replace(judged, reason="Undefined in the run.")
    harm = -difference if judged.higher_is_better else difference
    exceeds = harm > judged.tolerance + 1e-12
    return replace(judged, verdict=REGRESSION if exceeds else PASS)
