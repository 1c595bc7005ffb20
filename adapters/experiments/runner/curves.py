"""The figure of a training of many epochs: loss, accuracy, confidence and ECE."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calib_metrics import score
from calib_metrics._figure import BLUE, DASHES, SOFT, VERMILION, headings, new_figure, save, style
from runner.paired import Row


@dataclass
class Course:
    """One training.

    Attributes:
        epochs: of each, ``training_nll``, and of the validation split ``nll`` and ``exact``.
        asked: what the model said on test after some of them, by their number.
        known: the same on the training rows.
    """

    epochs: Sequence[Mapping[str, float]]
    asked: dict[int, Row] = field(default_factory=dict)
    known: dict[int, Row] = field(default_factory=dict)


def draw_courses(courses: Mapping[str, Course], stem: Path) -> list[Path]:
    """Draw a column of panels for each training, to ``stem.png`` and ``stem.svg``.

    Raises:
        FileNotFoundError: there is no training.
    """
    if not courses:
        raise FileNotFoundError("no result has kept the weights after its epochs.")
    with style():
        figure = new_figure(2.8 + 3.8 * len(courses), 6.0)
        n = len(next(iter(next(iter(courses.values())).asked.values())).answers)
        headings(
            figure,
            "Fine-tuning, epoch by epoch",
            "open answers",
            f"{n} test questions, with 95 % intervals",
        )
        grid = figure.subplots(3, len(courses), sharex=True, sharey="row", squeeze=False)
        for (name, course), *panels in zip(courses.items(), *grid, strict=True):
            panels[0].set_title(name, fontsize=10)
            _losses(panels[0], course)
            _shares(panels[1], course)
            _errors(panels[2], course)
        for row, label in zip(grid, ("NLL per token", "share", "ECE, test"), strict=True):
            row[0].set_ylabel(label)
            row[0].set_ylim(bottom=0)  # of all columns, when all are drawn
            if row[-1].get_legend_handles_labels()[0]:
                row[-1].legend(
                    frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5)
                )
        stem.parent.mkdir(parents=True, exist_ok=True)
        return list(save(figure, stem))


def _losses(axes: Any, course: Course) -> None:
    epochs = [epoch["epoch"] for epoch in course.epochs]
    for name, label, color in (
        ("training_nll", "training", BLUE),
        ("nll", "validation", VERMILION),
    ):
        axes.plot(epochs, [epoch[name] for epoch in course.epochs], color=color, label=label)


def _shares(axes: Any, course: Course) -> None:
    right = [(e["epoch"], e["exact"]) for e in course.epochs if "exact" in e]
    if right:
        axes.plot(*zip(*right, strict=True), color=BLUE, label="right, validation")
    for rows, split, marker in ((course.known, "training", "s"), (course.asked, "test", "o")):
        if not rows:
            continue
        said = dict(sorted(rows.items()))
        look = {"marker": marker, "markersize": 4, "linestyle": DASHES}
        accuracy = [statistics.fmean(x.correct for x in row.answers) for row in said.values()]
        axes.plot([*said], accuracy, color=BLUE, label=f"right, {split}", **look)
        means = [
            statistics.fmean(x.confidence for x in row.answers if x.confidence is not None)
            for row in said.values()
        ]
        axes.plot([*said], means, color=VERMILION, label=f"confidence, {split}", **look)
    axes.set_ylim(0, 1.05)


def _errors(axes: Any, course: Course) -> None:
    asked = dict(sorted(course.asked.items()))
    found = [score(*row.columns, ("ece",))["ece"] for row in asked.values()]
    values = [each.value for each in found]
    below = [max(each.value - each.low, 0) for each in found]  # a biased score may lie outside
    above = [max(each.high - each.value, 0) for each in found]
    look = {"marker": "o", "markersize": 4, "capsize": 3, "linestyle": DASHES}
    axes.errorbar([*asked], values, yerr=[below, above], color=SOFT, **look)
    axes.set_xticks([epoch["epoch"] for epoch in course.epochs])
    axes.set_xlabel("epoch")
