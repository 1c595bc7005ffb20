"""The methods of one task's runs side by side: a row for each question, a column for each method.

A method that was asked under an adapter is called METHOD@ADAPTER, so that a tuned run and the base
model have different columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calib_leaderboards.runs import Log, Run, Task, find_runs, load_log
from calib_metrics.files import read_rows
from calib_metrics.tables import open_table
from harness_tasks.elicitation.records import read_log

Floats = NDArray[np.float64]
_FREEZE = (
    'Ask about the same answers in both runs: give the second --metadata \'{"answers": "PATH"}\'.'
)


@dataclass(frozen=True)
class Columns:
    """The confidences of several methods in the same answers.

    name: of the task or the file. keys: what tells the questions apart, also from those of other
    tasks; None for a table without ids. labels: what rows are grouped by, if requested. ids: of the
    questions within their task; empty for tables.
    """

    name: str
    confidences: Mapping[str, Floats]
    correct: Floats
    keys: tuple[str, ...] | None
    labels: tuple[str, ...] | None = None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Logged:
    """One task of a run, and its log."""

    run: Run
    task: Task
    log: Log

    @property
    def columns(self) -> dict[str, str]:
        """The names of its methods' columns, and the methods."""
        found = {}
        for method in self.log.confidence:
            adapter = self.run.adapter_of(method)
            if adapter is None and self.run.adapted(method):  # an ensemble
                adapter = "+".join(each.name for each in self.run.adapters)
            found[method if adapter is None else f"{method}@{adapter}"] = method
        return found


def columns_of_table(
    file: Path, methods: Sequence[str], *, correct: str, id: str | None, by: str | None
) -> Columns:
    """Read the columns of a table. Raises ValueError as `read_rows` does."""
    table = open_table(file)
    if table.kind == "lm-eval":
        raise ValueError(f"{file} is a log of lm_eval: give the folder of its run.")

    def labels(name: str) -> tuple[str, ...]:
        groups = read_rows(table, confidence=methods[0], correct=correct, group=name).groups
        return () if groups is None else tuple(map(str, groups))

    columns = {name: read_rows(table, confidence=name, correct=correct) for name in methods}
    return Columns(
        file.name,
        {name: rows.confidence for name, rows in columns.items()},
        columns[methods[0]].correct,
        None if id is None else labels(id),
        None if by is None else labels(by),
    )


def logs_of_runs(folders: Sequence[Path]) -> dict[str, list[Logged]]:
    """Return the confidence tasks of all runs below the folders, with their logs, by task.

    Raises ValueError if there is none; otherwise as `find_runs` and `load_log`.
    """
    found: dict[str, list[Logged]] = {}
    for run in find_runs(folders):
        for task in run.tasks:
            log = load_log(run, task)
            if log.correct is not None:
                found.setdefault(task.name, []).append(Logged(run, task, log))
    if not found:
        raise ValueError(
            f"There is no log of a Calibench task below {', '.join(map(str, folders))}; other "
            "tasks log one confidence for an answer, or none (`calibench score` reads them)."
        )
    return found


def columns_of_logs(
    task: str, logs: Sequence[Logged], methods: Sequence[str], by: str | None = None
) -> Columns:
    """Return the methods of one task, from whichever run has each.

    Answers without a grade are left out. by: a field of the task's documents. Raises ValueError for
    a method that no run has, or two have, and unless all are about the same answers with the same
    grades.
    """
    used = [find_column(task, logs, name) for name in methods]
    first = used[0].log
    for other in (each.log for each in used):
        _check_same_answers(first, other)
    assert first.correct is not None
    graded = np.flatnonzero(~np.isnan(first.correct))
    confidences = {
        name: each.log.confidence[each.columns[name]][graded]
        for name, each in zip(methods, used, strict=True)
    }
    labels = None if by is None else _field(first, by)
    return Columns(
        task,
        confidences,
        first.correct[graded],
        tuple(first.questions[at] for at in graded),
        None if labels is None else tuple(labels[first.ids[at]] for at in graded),
        tuple(first.ids[at] for at in graded),
    )


def pool(parts: Sequence[Columns]) -> Columns:
    """Return the rows of several tasks as one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    labelled = first.labels is not None
    return Columns(
        ", ".join(part.name for part in parts),
        {
            name: np.concatenate([part.confidences[name] for part in parts])
            for name in first.confidences
        },
        np.concatenate([part.correct for part in parts]),
        tuple(key for part in parts for key in part.keys or ()),
        tuple(label for part in parts for label in part.labels or ()) if labelled else None,
    )


def find_column(task: str, logs: Sequence[Logged], name: str) -> Logged:
    """Return the only run that has the column `name`; raise ValueError if there is no such run."""
    having = [each for each in logs if name in each.columns]
    if not having:
        there = dict.fromkeys(column for each in logs for column in each.columns)
        raise ValueError(f"{task}: there is no method '{name}', only {', '.join(there)}.")
    if len(having) > 1:
        raise ValueError(
            f"{task}: both '{having[0].log.path}' and '{having[1].log.path}' have the method "
            f"'{name}'; give one of these runs."
        )
    return having[0]


def _check_same_answers(one: Log, other: Log) -> None:
    if one.questions != other.questions or one.ids != other.ids:
        raise ValueError(
            f"'{one.path}' and '{other.path}' are not about the same questions "
            f"({len(one.ids)} and {len(other.ids)}); ask all methods about the same ones."
        )
    if one.answers_fingerprint != other.answers_fingerprint:
        raise ValueError(f"'{one.path}' and '{other.path}' hold different answers. {_FREEZE}")
    if not np.array_equal(one.correct, other.correct, equal_nan=True):  # type: ignore[arg-type]
        raise ValueError(
            f"'{one.path}' and '{other.path}' grade the same answers differently; run both with "
            "the same version and grading."
        )


def _field(log: Log, name: str) -> dict[str, str]:
    """Return a field of the documents, by question id."""
    found = {}
    for sample in read_log(log.path):
        document = sample.row.get("doc")
        fields = {**(document if isinstance(document, dict) else {}), **(sample.record or {})}
        if fields.get(name) is None:
            raise ValueError(
                f"{sample.where}: there is no field '{name}', only {', '.join(map(str, fields))}."
            )
        found[sample.key] = str(fields[name])
    return found
