"""Turns runs into table rows: label, scores, and the checks that make rows comparable."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import calib_metrics
from calib_metrics import Score

from calib_leaderboards.runs import Run, SampleLog, describe_difference

_LABELS = {
    "likelihood": "Likelihood",
    "zero_shot_classifier": "Zero-Shot Classifier",
    "p_ik": "P(IK)",
    "verbalized": "Verbalized",
    "verbalized_top_k": "Verbalized Top-k",
    "linguistic": "Linguistic",
    "cot_verbalized": "Reasoned, then Verbalized",
    "sampling": "Sampling",
    "distinct_answers": "Distinct Answers",
    "semantic_clusters": "Semantic Clusters",
    "semantic_entropy": "Semantic Entropy",
    "self_consistency": "Self-Consistency",
    "probe": "Probe",
    "question_only": "Question only",
}
_TUNED = {
    "zero_shot_classifier": "Fine-Tuned",
    "question_only": "Fine-Tuned (question only)",
}
_YES_NO = (*_TUNED, "p_ik")
CONSTANT = "Constant (train accuracy)"
# Methods that need no training, then what an adapter says by other means, then Fine-Tuned, then
# the sanity rows, which a method has to beat to have learnt anything.
_ORDER = [
    *(label for method, label in _LABELS.items() if method != "question_only"),
    "",
    "Fine-Tuned",
    _LABELS["question_only"],
    _TUNED["question_only"],
    CONSTANT,
]
METRICS = ("acc", "ece", "auroc", "brier", "answered", "rms", "nll")
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Row:
    """One line of a table: a method on a run's answers to one task.

    `answers` is "own" or "frozen", `limit` the number of questions lm-eval was limited to, `run`
    the index of the run, `elicitation` how the method asked. `confidence` (None where missing) and
    `correct` have one entry per question.
    """

    task: str
    label: str
    method: str
    model: str
    adapter: str | None
    answers: str
    limit: int | None
    run: int
    elicitation: str
    confidence: list[float | None] = field(repr=False)
    correct: list[int] = field(repr=False)
    scores: dict[str, Score] = field(repr=False)

    @property
    def sanity(self) -> bool:
        """Whether the row is there to be beaten rather than to compete."""
        return self.method in ("question_only", "constant")


def model_arguments(run: Run) -> dict[str, Any]:
    """The run's --model_args as a mapping; lm-eval stores a mapping or "key=value,key=value"."""
    arguments = run.results.get("config", {}).get("model_args") or {}
    if isinstance(arguments, str):
        pairs = (part.partition("=") for part in arguments.split(",") if part)
        arguments = {key: value for key, _, value in pairs}
    return arguments


def last_part(name: str) -> str:
    """The last part of a path or a Hub name, without the hash that the model cache appends.

    >>> last_part("/home/me/cache/SmolLM2-135M-Instruct-b179c9523d0e/")
    'SmolLM2-135M-Instruct'
    """
    part = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    return re.sub(r"-[0-9a-f]{12}$", "", part)


def model_name(run: Run) -> str:
    """The name of the base model: the last part of the `pretrained` argument."""
    arguments = model_arguments(run)
    for key in ("pretrained", "model", "path", "engine"):
        if arguments.get(key):
            return last_part(str(arguments[key]))
    return str(run.results.get("model_name") or run.results.get("config", {}).get("model"))


def adapter_name(run: Run, method: str | None = None) -> str | None:
    """The last part of the adapter's path; None for a run without an adapter.

    With a `method`: the adapter under which it was asked. `peft` is on for all of a run,
    `confidence_adapter` for yes/no questions about answers alone.
    """
    arguments = model_arguments(run)
    adapter = arguments.get("peft")
    if not adapter and method in (None, *_YES_NO):
        adapter = arguments.get("confidence_adapter")
    return last_part(str(adapter)) if adapter else None


def label_of(method: str, has_adapter: bool) -> str:
    """The name that tables and figures give to a method."""
    if has_adapter and method in _TUNED:
        return _TUNED[method]
    label = _LABELS.get(method) or method.replace("_", " ").capitalize()
    return f"{label} (adapter)" if has_adapter else label


def answers_of(run: Run, task: str) -> str:
    """ "frozen" if the task's metadata named an earlier run's answers, else "own"."""
    metadata = run.results["configs"][task].get("metadata") or {}
    return "own" if metadata.get("answers") in (None, "", "own") else "frozen"


def limit_of(run: Run, task: str) -> int | None:
    """How many questions a partial run (--limit, --samples) asked; None for a whole one."""
    count = run.results.get("n-samples", {}).get(task, {})
    original, effective = count.get("original"), count.get("effective")
    if run.results.get("config", {}).get("limit") is None and original == effective:
        return None
    return effective


def make_rows(
    runs: Sequence[Run], *, train_accuracy: float | None, resamples: int, seed: int
) -> dict[str, list[Row]]:
    """Score every method of every run; return each task's rows in the order of its table.

    With `train_accuracy`, each task also gets a row whose confidence is that constant.

    Raises ValueError if a score differs from lm-eval's own, if the rows of one task are not about
    the same questions and answers, or if two runs would make the same row.
    """
    tables = {}
    for task in sorted({task for run in runs for task in run.logs}):
        members = [(index, run) for index, run in enumerate(runs) if task in run.logs]
        reference = _check_comparable(task, members)
        rows = []
        for index, run in members:
            for method in run.logs[task].methods:
                row = _row(index, run, task, method, resamples, seed)
                _check_summary(run, task, row)
                rows.append(row)
        if train_accuracy is not None:
            index, run = reference
            rows.append(
                _row(index, run, task, "constant", resamples, seed, constant=train_accuracy)
            )
        rows.sort(key=_place)
        _check_distinct(task, rows, runs)
        tables[task] = rows
    return tables


def _place(row: Row) -> tuple[Any, ...]:
    order = _ORDER.index(row.label if row.label in _ORDER else "")
    return order, row.label, row.model, row.adapter or "", row.answers, row.run


def _row(
    index: int,
    run: Run,
    task: str,
    method: str,
    resamples: int,
    seed: int,
    *,
    constant: float | None = None,
) -> Row:
    methods = run.logs[task].methods
    if constant is None:
        samples, adapter = list(methods[method].values()), adapter_name(run, method)
        label = label_of(method, adapter is not None)
        confidence = [sample.confidence for sample in samples]
    else:
        samples, adapter, label = list(next(iter(methods.values())).values()), None, CONSTANT
        confidence = [constant] * len(samples)
    correct = [sample.correct for sample in samples]
    return Row(
        task=task,
        label=label,
        method=method,
        model=model_name(run),
        adapter=adapter,
        answers=answers_of(run, task),
        limit=limit_of(run, task),
        run=index,
        elicitation=run.logs[task].signatures.get(method, ""),
        confidence=confidence,
        correct=correct,
        scores=score_columns(confidence, correct, method, resamples, seed),
    )


def usable(
    confidence: Iterable[float | None], correct: Iterable[int]
) -> tuple[list[float], list[int]]:
    """Both columns without the rows whose confidence is missing."""
    pairs = [pair for pair in zip(confidence, correct) if pair[0] is not None]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def score_columns(
    confidence: list[float | None], correct: list[int], method: str, resamples: int, seed: int
) -> dict[str, Score]:
    """All scores but those without a finite value beside a confidence: nll at 0 and 1."""
    present = usable(confidence, correct)
    finite = bool(present[0]) and math.isfinite(calib_metrics.nll(*present))
    metrics = METRICS if finite else tuple(name for name in METRICS if name != "nll")
    return calib_metrics.score(
        confidence, correct, metrics, method=method, resamples=resamples, seed=seed
    )


def _check_summary(run: Run, task: str, row: Row) -> None:
    """Hold our scores against those lm-eval printed; both come from the same samples."""
    summary = run.results["results"][task]
    for name, score in row.scores.items():
        theirs = summary.get(f"{name},{row.method}")
        if not isinstance(theirs, (int, float)):
            continue
        both_undefined = math.isnan(theirs) and math.isnan(score.value)
        if not both_undefined and not math.isclose(
            theirs, score.value, rel_tol=_TOLERANCE, abs_tol=1e-12
        ):
            raise ValueError(
                f"'{run.path}' gives {name},{row.method} = {theirs!r} for {task}, but its samples "
                f"in '{run.logs[task].path.name}' give {score.value!r}; one of the two files was "
                "changed or cut short, so run the evaluation again."
            )


def _check_comparable(task: str, members: Sequence[tuple[int, Run]]) -> tuple[int, Run]:
    """Return the run whose answers the table is about, or raise ValueError.

    All runs must be about the same questions. Frozen answers must agree with each other and, if
    any run answered for itself, with one of those. Own answers may differ from run to run.
    """

    def differ(one: Run, other: Run, *, same_answers: bool) -> str:
        pair = [run.logs[task].answered for run in (one, other)]
        if not same_answers:
            pair = [{key: (row[0], "", 0) for key, row in log.items()} for log in pair]
        return describe_difference(*pair)

    def refuse(one: Run, other: Run, difference: str) -> ValueError:
        logs: list[SampleLog] = [run.logs[task] for run in (one, other)]
        return ValueError(
            f"{task}: '{logs[0].path}' and '{logs[1].path}' cannot stand in one table: "
            f"{difference}. Build them into separate leaderboards."
        )

    first = members[0][1]
    for _, run in members[1:]:
        if difference := differ(first, run, same_answers=False):
            raise refuse(first, run, difference)
    frozen = [member for member in members if answers_of(member[1], task) == "frozen"]
    own = [member for member in members if answers_of(member[1], task) == "own"]
    own.sort(key=lambda member: "peft" in model_arguments(member[1]))  # the base model's come first
    for _, run in frozen[1:]:
        if difference := differ(frozen[0][1], run, same_answers=True):
            raise refuse(frozen[0][1], run, difference)
    if frozen and own:
        differences = [differ(run, frozen[0][1], same_answers=True) for _, run in own]
        if all(differences):
            raise refuse(own[0][1], frozen[0][1], differences[0])
        return own[differences.index("")]
    return (frozen or own)[0]


def _check_distinct(task: str, rows: Sequence[Row], runs: Sequence[Run]) -> None:
    seen: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = (row.label, row.model, row.adapter, row.answers)
        if key in seen:
            raise ValueError(
                f"{task}: '{runs[seen[key].run].path}' and '{runs[row.run].path}' both give the "
                f"row '{row.label}' of {row.model} on {row.answers} answers; give only one of them."
            )
        seen[key] = row
