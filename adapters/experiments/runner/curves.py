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
    """

    epochs: Sequence[Mapping[str, float]]
    asked: dict[int, Row] = field(default_factory=dict)


def draw_courses(courses: Mapping[str, Course], stem: Path) -> list[Path]:
    """Draw a column of panels for each training, to ``stem.png`` and ``stem.svg``.

    Raises:
        FileNotFoundError: there is no training.
    """
    if not courses:
        raise FileNotFoundError("no result has kept the weights after its epochs.")
    with style():
        figure = new_figure(1.4 + 3.8 * len(courses), 6.6)
        n = len(next(iter(next(iter(courses.values())).asked.values())).answers)
        headings(
            figure,
            "The model goes on getting surer, not better",
            "fine-tuning on open answers",
            f"{n} test questions, with 95 % intervals",
        )
        grid = figure.subplots(3, len(courses), sharex=True, sharey="row", squeeze=False)
        for (name, course), *panels in zip(courses.items(), *grid, strict=True):
            panels[0].set_title(name, fontsize=10)
            _losses(panels[0], course)
            _shares(panels[1], course)
            _errors(panels[2], course)
        for axes, label in zip(grid[:, 0], ("NLL per token", "share", "ECE, test"), strict=True):
            axes.set_ylabel(label)
            if axes.get_legend_handles_labels()[0]:
                axes.legend(frameon=False, fontsize=8)
        stem.parent.mkdir(parents=True, exist_ok=True)
        return list(save(figure, stem))


def _losses(axes: Any, course: Course) -> None:
    epochs = [epoch["epoch"] for epoch in course.epochs]
    for name, label, color in (
        ("training_nll", "training", BLUE),
        ("nll", "validation", VERMILION),
    ):
        axes.plot(epochs, [epoch[name] for epoch in course.epochs], color=color, label=label)
    axes.set_ylim(bottom=0)


def _shares(axes: Any, course: Course) -> None:
    right = [(e["epoch"], e["exact"]) for e in course.epochs if "exact" in e]
    if right:
        axes.plot(*zip(*right, strict=True), color=BLUE, label="right, validation")
    asked = dict(sorted(course.asked.items()))
    look = {"marker": "o", "markersize": 4, "linestyle": DASHES}
    accuracy = [statistics.fmean(x.correct for x in row.answers) for row in asked.values()]
    axes.plot([*asked], accuracy, color=BLUE, label="right, test", **look)
    means = [
        statistics.fmean(x.confidence for x in row.answers if x.confidence is not None)
        for row in asked.values()
    ]
    axes.plot([*asked], means, color=VERMILION, label="confidence, test", **look)
    axes.set_ylim(0, 1)


def _errors(axes: Any, course: Course) -> None:
    asked = dict(sorted(course.asked.items()))
    found = [score(*row.columns, ("ece",))["ece"] for row in asked.values()]
    values = [each.value for each in found]
    below = [max(each.value - each.low, 0) for each in found]  # a biased score may lie outside
    above = [max(each.high - each.value, 0) for each in found]
    look = {"marker": "o", "markersize": 4, "capsize": 3, "linestyle": DASHES}
    axes.errorbar([*asked], values, yerr=[below, above], color=SOFT, **look)
    axes.set_ylim(bottom=0)
    axes.set_xticks([epoch["epoch"] for epoch in course.epochs])
    axes.set_xlabel("epoch")
