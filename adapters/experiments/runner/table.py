"""The README of the experiments: a table per group of results."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import ttest_1samp

from runner.answers import Answers, read_answers
from runner.config import Config
from runner.curves import Course, draw_courses
from runner.measure import METRICS
from runner.paired import (
    COMPARED,
    baseline_cells,
    difference_cells,
    draw,
    rows_of,
    score_cells,
)
from runner.run import RESULT

README, FIGURES = "README.md", "figures"
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"
HEADS = {"acc": "accuracy ↑", "ece": "ECE ↓", "auroc": "AUROC ↑", "brier": "Brier ↓"}
OVER_TASKS = ("ece", "acc")
LOWER = "lower than the baseline by (95 % interval over the tasks)"
WRITTEN_OUT = "_cloze"  # ends the names of tasks whose options are written out

# By model and task, the ECE of a method and that of its baseline.
Cells = dict[tuple[str, str], tuple[float, float]]


@dataclass(frozen=True)
class Result:
    """An experiment's config, and by evaluation n, number of seeds, and mean and sd of scores.

    `training` has of each adapter the scores after each epoch; older results have none.
    """

    config: Config
    summary: Mapping[str, Mapping[str, Any]]
    training: Sequence[Mapping[str, Any]] = ()


def write_tables(folder: Path) -> Path:
    """Put the tables of all results below `folder` between the markers in its README.

    Raises:
        ValueError: the README has no markers.
        FileNotFoundError: no README, or no result.
    """
    readme = folder / README
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{readme} has no lines {BEGIN} and {END}, between which tables go.")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    part = readme.with_name(f".{README}.part")
    part.write_text(f"{head}{BEGIN}\n\n{tables(folder)}\n{END}{tail}", encoding="utf-8")
    os.replace(part, readme)
    return readme


def tables(folder: Path) -> str:
    """Markdown: for each table that configs name, a row per experiment and evaluation.

    Experiments over several tasks have a row each in a table per score, and a column per task.
    """
    groups = _groups(folder)
    parts = []
    for name, results in groups.items():
        several = any(result.config.tasks for result in results.values())
        if all(result.config.confidences for result in results.values()):
            made = _by_question(_kept(folder, results))
        else:
            made = _over_tasks(results) if several else _by_evaluation(results)
        parts.append(f"### {name}\n\n{made}")
    over_tasks = {
        name: results
        for name, results in groups.items()
        if any(result.config.tasks for result in results.values())
    }
    models = {each.config.model for results in over_tasks.values() for each in results.values()}
    if len(models) > 1:
        parts.append(_over_models(over_tasks))
    parts += _cost(folder)
    return "\n".join(parts)


def _cost(folder: Path) -> list[str]:
    """A sentence on the processor time of all results; none where some did not measure it."""
    took: dict[str, float | None] = {}
    for file in folder.glob(f"*/{RESULT}"):
        for each in json.loads(file.read_text(encoding="utf-8")).get("commands", ()):
            took[each["command"]] = each.get("processor_seconds")
    seconds = [each for each in took.values() if each is not None]
    if not seconds or len(seconds) < len(took):
        return []
    return [
        f"The {len(took)} commands behind these results took {sum(seconds) / 3600:.1f} processor "
        f"hours, each counted once.\n"
    ]


def _groups(folder: Path) -> dict[str, dict[str, Result]]:
    results = {}
    for file in sorted(folder.glob(f"*/{RESULT}")):
        found = json.loads(file.read_text(encoding="utf-8"))
        results[file.parent.name] = Result(
            Config(**found["config"]), found["summary"], found.get("training", ())
        )
    if not results:
        raise FileNotFoundError(f"no experiment in {folder} has a {RESULT} yet.")
    groups: dict[str, dict[str, Result]] = {}
    for name in sorted(results, key=lambda name: _place(results[name].config)):
        groups.setdefault(results[name].config.table, {})[name] = results[name]
    return groups


def draw_figures(folder: Path) -> list[Path]:
    """The pictures of the tables below `folder` that compare rows and kept their confidences.

    Each shows the evaluation that their configs name first.

    Raises:
        FileNotFoundError: none of them has a result and kept its confidences.
    """
    groups, evaluation = {}, ""
    for name, results in _groups(folder).items():
        configs = [result.config for result in results.values()]
        if all(c.confidences for c in configs) and any(c.compared for c in configs):
            groups[name] = rows_of(_kept(folder, results))
            evaluation = evaluation or groups[name][0].evaluation
    if not groups:
        raise FileNotFoundError(f"no experiment in {folder} has kept its confidences.")
    return draw(groups, evaluation, folder / FIGURES)


def draw_epochs(folder: Path) -> list[Path]:
    """One picture of the experiments below `folder` whose weights after each epoch were kept.

    Raises:
        FileNotFoundError: there is none.
    """
    columns: dict[str, Course] = {}
    for results in _groups(folder).values():
        for row in rows_of(_kept(folder, results)):
            result = results[row.experiment]
            if result.config.keep_epochs and not result.config.temperature and result.training:
                course = columns.setdefault(
                    result.config.model, Course(result.training[0]["epochs"])
                )
                evaluation = result.config.evaluate[row.evaluation]
                rows = course.known if evaluation.train else course.asked
                rows[evaluation.epoch or len(course.epochs)] = row
    return draw_courses(columns, folder / FIGURES / "epochs")


def _kept(folder: Path, results: Mapping[str, Result]) -> dict[str, tuple[Config, Answers]]:
    return {name: (each.config, read_answers(folder / name)) for name, each in results.items()}


def _by_question(kept: Mapping[str, tuple[Config, Answers]]) -> str:
    rows = rows_of(kept)
    heads = [f"{HEADS[metric]} (95 % interval)" for metric in METRICS]
    head = ["evaluated on", "", "n", *heads, "answered ↑"]
    made = _markdown(head, list(score_cells(rows)), texts=2)
    differences = list(difference_cells(rows))
    if differences:
        heads = [HEADS[metric].split()[0] for metric in COMPARED]
        head = ["evaluated on", "paired differences (95 % interval)", "n", *heads]
        made += "\n" + _markdown(head, differences, texts=2)
    if based := list(baseline_cells(rows)):
        heads = [HEADS[metric].split()[0] for metric in METRICS]
        head = ["evaluated on", "less the baseline (95 % interval)", "n", *heads, "ECE lower by"]
        made += "\n" + _markdown(head, based, texts=2)
    return made


def _place(config: Config) -> tuple[bool, bool]:
    """The untrained model first, then what has no baseline to be lower than; names decide ties."""
    return config.recipe is not None, config.baseline is not None


def _by_evaluation(results: Mapping[str, Result]) -> str:
    names = {name: 0 for result in results.values() for name in result.summary}
    rows = []
    for name in names:
        for result in results.values():
            if summary := result.summary.get(name):
                cells = [name, result.config.label, str(summary["n"]), str(summary["seeds"])]
                rows.append([*cells, *(_cell(summary.get(metric)) for metric in METRICS)])
    head = ["evaluated on", "", "n", "seeds", *(HEADS[metric] for metric in METRICS)]
    return _markdown(head, rows, texts=2)


def _over_tasks(results: Mapping[str, Result]) -> str:
    tasks = {name: 0 for result in results.values() for name in result.summary}
    parts = []
    for metric in OVER_TASKS:
        rows = []
        for result in results.values():
            found = [(result.summary.get(task) or {}).get(metric) for task in tasks]
            mean = statistics.fmean(f["mean"] for f in found) if all(found) else None
            shown = [
                _cell(f) if task in result.summary else ""
                for task, f in zip(tasks, found, strict=True)
            ]
            cells = [result.config.label, *shown, "" if mean is None else f"{mean:.3f}"]
            rows.append([*cells, _reduction(result, results)] if metric == "ece" else cells)
        head = [HEADS[metric], *tasks, "mean"]
        head += [LOWER] if metric == "ece" else []
        parts.append(_markdown(head, rows, texts=1))
    sizes = next(iter(results.values())).summary
    asked = ", ".join(f"{task} {sizes[task]['n']}" for task in tasks if task in sizes)
    return "\n".join([*parts, f"Questions of the test split: {asked}.\n"])


def _over_models(groups: Mapping[str, Mapping[str, Result]]) -> str:
    """By how much each method lowers ECE, over the tasks of all models together and of each form.

    Beside a method that its configs call `compared`, every other one: its ECE less that one's, on
    the pairs of model and task that both have.
    """
    cells: dict[str, Cells] = {}
    compared: dict[str, None] = {}
    for name, results in groups.items():
        for result in results.values():
            if pairs := _pairs(result, results):
                label = result.config.label
                cells.setdefault(label, {}).update({(name, t): p for t, p in pairs.items()})
                if result.config.compared:
                    compared[label] = None
    forms = {task.endswith(WRITTEN_OUT) for some in cells.values() for _, task in some}
    parts = [_pooled("All models", cells, compared)]
    for written_out in sorted(forms, reverse=True) if len(forms) > 1 else ():
        these = {
            label: {
                cell: p for cell, p in some.items() if cell[1].endswith(WRITTEN_OUT) is written_out
            }
            for label, some in cells.items()
        }
        name = "tasks with written-out options" if written_out else "other tasks"
        parts.append(_pooled(f"All models, {name}", these, compared))
    return "\n".join(parts)


def _pooled(title: str, cells: Mapping[str, Cells], compared: Iterable[str]) -> str:
    rows = []
    for label, pairs in cells.items():
        if pairs:
            means = [f"{statistics.fmean(each):.3f}" for each in zip(*pairs.values(), strict=True)]
            less = ["" if label == other else _less(pairs, cells[other]) for other in compared]
            rows.append([label, str(len(pairs)), *means, _lower_by([*pairs.values()]), *less])
    head = ["", "cells", "ECE ↓", "the baseline's", "lower by (95 % interval)"]
    head += [f"ECE, less that of: {other} (95 % interval)" for other in compared]
    return f"### {title}\n\n{_markdown(head, rows, texts=1)}"


def _reduction(result: Result, results: Mapping[str, Result]) -> str:
    return _lower_by([*_pairs(result, results).values()])


def _pairs(result: Result, results: Mapping[str, Result]) -> dict[str, tuple[float, float]]:
    """Of each task the ECE of a result and that of its baseline; none without a baseline."""
    baseline = results.get(result.config.baseline or "")
    if baseline is None:
        return {}
    return {
        task: (summary["ece"]["mean"], baseline.summary[task]["ece"]["mean"])
        for task, summary in result.summary.items()
    }


def _lower_by(pairs: Sequence[tuple[float, float]]) -> str:
    """Mean of 1 - ECE / ECE of the baseline in percent, and its t interval over the pairs."""
    return _mean([100 * (1 - ece / other) for ece, other in pairs], ".0f", " %")


def _less(pairs: Cells, others: Cells) -> str:
    """Mean difference between the ECE of two methods over the cells of both, and its interval."""
    return _mean([pairs[cell][0] - others[cell][0] for cell in pairs if cell in others], "+.3f")


def _mean(values: Sequence[float], form: str, unit: str = "") -> str:
    """The mean and its t interval; the mean alone of one value, nothing of none."""
    if not values:
        return ""
    mean = f"{statistics.fmean(values):{form}}{unit}"
    if len(values) < 2:
        return mean
    low, high = ttest_1samp(values, 0).confidence_interval()
    return f"{mean} ({low:{form}} to {high:{form}})"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> str:
    align = ["---"] * texts + ["--:"] * (len(head) - texts)
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(align)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "undefined"
    return f"{found['mean']:.3f}" + (f" ± {found['sd']:.3f}" if found["sd"] is not None else "")
