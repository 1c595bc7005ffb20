"""Check that a run was made like its baseline; an error names what differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calib_leaderboards.gate.asked import generation, plain
from calib_leaderboards.gate.baseline import Baseline, Metric, Task
from calib_leaderboards.gate.measure import definition
from calib_leaderboards.gate.runs import CannotDecide, TaskRun
from calib_leaderboards.gate.samples import Column, Samples
from calib_metrics.registry import find_or_none

_UPDATE = "Evaluate it as the baseline was, or update the baseline."


def only_run(task: str, found: Sequence[TaskRun]) -> TaskRun:
    """The one run of a task. Raises CannotDecide for none or several."""
    if not found:
        raise CannotDecide(f"The results have no task {task}; evaluate it, or remove it here.")
    if len(found) > 1:
        raise CannotDecide(
            f"{task} was evaluated twice, in '{found[0].run.path}' and '{found[1].run.path}'; give "
            "the folder of one run."
        )
    return found[0]


def check_settings(held: Baseline, task: Task, tested: TaskRun) -> None:
    """Raise CannotDecide if the run was not made as the baseline says."""
    run, now = tested
    pairs = [
        ("back end", held.backend, run.backend),
        ("dtype", held.dtype, run.model.dtype),
        ("task version", task.version, now.version),
        ("number of few-shot examples", held.num_fewshot_of(task), now.num_fewshot),
        ("sha256 of the chat template", task.chat_template, run.chat_template or "none"),
        ("sha256 of the system prompt", task.system_prompt, run.system_prompt or "none"),
    ]
    pairs = [pair for pair in pairs if pair[1] is not None]  # missing keys are not checked
    for what, old, new in [*pairs, ("--limit", held.limit_of(task), run.limit)]:
        if not _same(old, new):
            raise CannotDecide(
                f"The {what} of {task.name} is {_shown(new)} in the run and {_shown(old)} in the "
                f"baseline. {_UPDATE}"
            )


def check_asked(held: Baseline, tested: TaskRun) -> None:
    """Raise CannotDecide if the model was not run and asked as the baseline says."""
    run = tested.run
    chat, old = run.chat_template is not None, held.apply_chat_template
    # A name chooses among a tokenizer's templates; the sha256 tells which one it was.
    pairs: list[tuple[str, Any, Any]] = [
        ("apply_chat_template", None if old is None else bool(old), chat),
        ("fewshot_as_multiturn", held.fewshot_as_multiturn, bool(run.multiturn)),
    ]
    if held.gen_kwargs is not None:
        pairs.append(("gen_kwargs", generation(held.gen_kwargs), generation(run.generation)))
    for key, value in (held.model_args or {}).items():
        pairs.append((f"model argument {key}", value, run.arguments.get(key)))
    for what, old, new in pairs:
        if old is None and what != "gen_kwargs":
            continue
        if old != new and (new is None or plain(old) != plain(new)):
            raise CannotDecide(
                f"The {what} of {tested.task.name} is {_shown(new)} in the run and {_shown(old)} "
                f"in the baseline. {_UPDATE}"
            )


def check_questions(task: Task, tested: TaskRun, base: Samples | None, new: Samples) -> None:
    """Raise CannotDecide unless both were asked the same and, if frozen, judge the same answers."""
    if base is not None and base.keys != new.keys:
        differ = sorted(set(base.keys) ^ set(new.keys))
        raise CannotDecide(
            f"{len(differ)} questions of {task.name} are in only one of baseline "
            f"({len(base.keys)}) and run ({len(new.keys)}), such as {differ[0]!r}. {_UPDATE}"
        )
    if task.n not in (None, len(new.keys)):
        raise CannotDecide(
            f"{task.name} has {len(new.keys)} questions in the run and {task.n} in the baseline. "
            f"{_UPDATE}"
        )
    if task.questions not in (None, new.questions):
        raise CannotDecide(f"The questions of {task.name} are not the baseline's. {_UPDATE}")
    if None not in (task.prompts, new.prompts) and task.prompts != new.prompts:
        raise CannotDecide(
            f"The prompts of {task.name} are worded differently than in the baseline. {_UPDATE}"
        )
    frozen = task.answers is not None and "frozen" in (task.answers, tested.task.answers)
    if frozen and task.answers_sha256 != new.answers:
        raise CannotDecide(
            f"{task.name} judges different answers ({tested.task.answers} in the run, "
            f"{task.answers} in the baseline); freeze the baseline's answers, or update the "
            "baseline."
        )


def check_scored_alike(metric: Metric, method: str, column: Column) -> None:
    """Raise CannotDecide if confidences are elicited or scored differently than before."""
    for what, old, new in (
        ("asked for", metric.elicitation, column.elicitation),
        ("scored", metric.signature, definition(metric.name, method, column)),
    ):
        if old not in (None, new):
            raise CannotDecide(
                f"Confidences are {what} differently: '{new}' in the run, '{old}' in the "
                f"baseline. {_UPDATE}"
            )


def find_column(task: str, filter_: str | None, samples: Samples) -> tuple[str, Column]:
    """A filter and its column; without a name, the only one there is."""
    # A filter with scores that lm-eval printed, before what their options' likelihoods give.
    scored = [name for name, column in samples.filters.items() if column.values]
    named = scored if len(scored) == 1 else list(samples.filters)
    if filter_ is None and len(named) == 1:
        return named[0], samples.filters[named[0]]
    if filter_ not in samples.filters:
        asked = "no filter is named" if filter_ is None else f"there is no filter '{filter_}'"
        raise CannotDecide(f"{task}: {asked}; the samples have {', '.join(samples.filters)}.")
    return filter_, samples.filters[filter_]


def higher_is_better(metric: Metric, column: Column, tested: TaskRun) -> bool:
    """Which way is better: by the baseline, else by the metric's definition or the task."""
    if metric.direction is not None:
        return metric.direction == "higher"
    if column.confidence is not None and (known := find_or_none(metric.name)):
        return known.higher_is_better
    if metric.name in tested.task.directions:
        return tested.task.directions[metric.name]
    raise CannotDecide(
        f"Nothing says which way {metric.name} is better; write `direction: higher` or `lower`."
    )


def _same(one: object, other: object) -> bool:
    try:
        return float(one) == float(other)  # 250 and 250.0, 1 and "1.0"
    except (TypeError, ValueError):
        return one == other


def _shown(value: object) -> str:
    return "not set" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
