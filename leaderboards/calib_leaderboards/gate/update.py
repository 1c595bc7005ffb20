"""Make a baseline from the results of a run, or update an existing one."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from calib_leaderboards.gate.asked import generation
from calib_leaderboards.gate.baseline import (
    Baseline,
    KeptSamples,
    Metric,
    Task,
    read_baseline,
    write_baseline,
)
from calib_leaderboards.gate.measure import definition, standard_error, value_of
from calib_leaderboards.gate.runs import CannotDecide, TaskRun, check_printed, tasks_below
from calib_leaderboards.gate.same import find_column, higher_is_better, only_run
from calib_leaderboards.gate.samples import (
    FORMAT,
    Column,
    Samples,
    pack_baseline_samples,
    samples_of_log,
)
from calib_leaderboards.runs import load_log
from calib_metrics.outputs import write_atomically

# `answered` covers what the others leave out: questions without a confidence.
_KEPT = ("apply_chat_template", "fewshot_as_multiturn", "model_args")
OF_CONFIDENCES = ("brier", "auroc", "ece", "answered")


def make_baseline(
    baseline: Path, results: Path, *, samples: Path | None = None, command: str
) -> tuple[Baseline, list[str]]:
    """Write `baseline` from lm-eval's results below a folder.

    An existing baseline keeps its tasks, metrics, directions, tolerances and tests and gets new
    values. A new one holds every task with, for confidence tasks, accuracy and `OF_CONFIDENCES` of
    every method, and for others every score that is a mean over questions and whose direction is
    known.

    samples: folder to keep the questions' fingerprints and scores in, for paired tests; by default
    where the existing baseline has its own, if it has. command: becomes the first line.

    Returns the baseline, and a sentence for everything that was left out. Samples are written
    before the baseline that names them, each file atomically. Raises ValueError if a task or metric
    of an existing baseline is not in the results, FileExistsError if it would replace a file of
    another kind.
    """
    baseline = Path(baseline)
    old = read_baseline(baseline) if baseline.exists() else None
    runs = tasks_below(Path(results))
    wanted = sorted(runs) if old is None else [task.name for task in old.tasks]
    chosen = [only_run(name, runs.get(name, [])) for name in wanted]
    models = {(run.model.short, run.adapter_of(), run.model.dtype) for run, _ in chosen}
    if len(models) > 1:
        names = ", ".join(sorted(" + ".join(filter(None, each)) for each in models))
        raise ValueError(f"'{results}' holds several models ({names}); a baseline is of one.")
    tasks, files, notes = [], {}, []
    for place, tested in enumerate(chosen):
        before = None if old is None else old.tasks[place]
        logged = samples_of_log(load_log(*tested))
        metrics = _new_metrics(tested, logged, notes) if before is None else before.metrics
        if not metrics:
            notes.append(f"{tested.task.name} is left out: it has no score that the gate can test.")
            continue
        kept = None
        folder = samples or _folder(baseline, before)
        if folder is not None:
            name = re.sub(r"[^0-9A-Za-z_]", "_", tested.task.name)
            file = folder / f"{baseline.stem}__{name}.json.gz"
            if file in files:
                raise ValueError(
                    f"The samples of two tasks would both go to '{file}'; rename one task."
                )
            _refuse_foreign(file)
            files[file] = pack_baseline_samples(logged)
            kept = KeptSamples(
                path=Path(os.path.relpath(file, baseline.parent)).as_posix(),
                sha256=hashlib.sha256(files[file]).hexdigest(),
            )
        tasks.append(_task(tested, logged, metrics, kept))
    if not tasks:
        raise ValueError(f"Nothing below '{results}' can go into a baseline. {' '.join(notes)}")
    made = _shared(tasks, chosen, old)
    for file, content in files.items():
        write_atomically(file, content)
    write_baseline(baseline, made, command)
    return made, notes


def _task(
    tested: TaskRun, logged: Samples, metrics: list[Metric], kept: KeptSamples | None
) -> Task:
    run, task = tested
    return Task(
        name=task.name,
        version=task.version,
        num_fewshot=task.num_fewshot,
        limit=run.limit,
        n=len(logged.keys),
        answers=task.answers,
        answers_sha256=logged.answers,
        questions=logged.questions,
        prompts=logged.prompts,
        chat_template=run.chat_template or "none",
        system_prompt=run.system_prompt or "none",
        samples=kept,
        metrics=[_metric(metric, tested, logged) for metric in metrics],
    )


def _metric(metric: Metric, tested: TaskRun, logged: Samples) -> Metric:
    """The metric with the run's value and all that defines it."""
    name, column = find_column(tested.task.name, metric.filter, logged)
    value = value_of(metric.name, column)
    if not math.isfinite(value):
        raise ValueError(
            f"{tested.task.name}: {metric.name} of {name} is {value}, which cannot go into a "
            "baseline."
        )
    check_printed(tested, metric.name, name, value)
    stderr = standard_error(metric.name, column)
    return Metric(
        name=metric.name,
        filter=name,
        value=float(f"{value:.7g}"),
        stderr=float(f"{stderr:.3g}") if math.isfinite(stderr) else None,
        direction="higher" if higher_is_better(metric, column, tested) else "lower",
        tolerance=metric.tolerance,
        test=metric.test,
        elicitation=column.elicitation or None,
        signature=definition(metric.name, name, column),
    )


def _new_metrics(tested: TaskRun, logged: Samples, notes: list[str]) -> list[Metric]:
    """The metrics that a new baseline holds, in the order of the log's filters.

    Adds to `notes` why others are left out. Raises CannotDecide where a calibration score is not
    what lm-eval printed.
    """
    found: list[Metric] = []
    for name, column in logged.filters.items():
        for metric in _candidates(column):
            of_answers = column.confidence is not None and metric not in OF_CONFIDENCES
            if of_answers and any(other.name == metric for other in found):
                continue  # all methods judge the same answers
            trial = Metric(name=metric, filter=name, value=0)
            try:
                _metric(trial, tested, logged)
            except CannotDecide as error:
                if metric not in column.values:
                    raise
                notes.append(f"{tested.task.name}: {metric} of {name} is left out. {error}")
            except ValueError as error:
                notes.append(f"{tested.task.name}: {metric} of {name} is left out. {error}")
            else:
                found.append(trial)
    return found


def _candidates(column: Column) -> Iterator[str]:
    if column.confidence is not None:
        yield from ("acc", *OF_CONFIDENCES)
    yield from column.values


def _shared(tasks: list[Task], chosen: list[TaskRun], old: Baseline | None) -> Baseline:
    """The baseline; a limit and a number of shots that all tasks share are stated once."""
    common = {}
    for name in ("limit", "num_fewshot"):
        values = [getattr(task, name) for task in tasks]
        if all(value == values[0] for value in values):
            common[name] = values[0]
            tasks = [task.model_copy(update={name: None}) for task in tasks]
    return Baseline(
        model_name=chosen[0].run.model.short,
        adapter=chosen[0].run.adapter_of(),
        backend=chosen[0].run.backend,
        dtype=chosen[0].run.model.dtype,
        gen_kwargs=generation(chosen[0].run.generation),
        **({} if old is None else old.model_dump(include=set(_KEPT))),
        tasks=tasks,
        rtol=None if old is None else old.rtol,
        **common,
    )


def _folder(baseline: Path, before: Task | None) -> Path | None:
    """Where an existing baseline keeps its samples."""
    if before is None or before.samples is None:
        return None
    return (baseline.parent / before.samples.path).parent


def _refuse_foreign(file: Path) -> None:
    if not file.exists():
        return
    try:
        ours = FORMAT.encode() in gzip.decompress(file.read_bytes())[:100]
    except (OSError, EOFError, ValueError, zlib.error):
        ours = False
    if not ours:
        raise FileExistsError(
            f"'{file}' exists and does not hold the samples of a baseline; choose another folder."
        )
