"""The figure of experiments that were evaluated after several epochs."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calib_metrics import Score, score
from calib_metrics._figure import (
    BLUE,
    DASHES,
    PALE,
    SOFT,
    VERMILION,
    headings,
    new_figure,
    save,
    style,
)
from runner.paired import Row

EVALUATION = re.compile(r"(test|train), epoch (\d+)")  # how such evaluations are called


@dataclass
class Curve:
    """What a model knew and claimed after each epoch, on the rows of one split.

    Attributes:
        epochs: numbers, rising.
        accuracy, confidence: means over the questions.
        ece: with its interval.
    """

    epochs: list[int] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    ece: list[Score] = field(default_factory=list)


def curves_of(rows: Sequence[Row]) -> dict[str, dict[str, Curve]]:
    """The curves by experiment and split, of the evaluations called ``SPLIT, epoch N``."""
    named = [(row, match) for row in rows if (match := EVALUATION.fullmatch(row.evaluation))]
    found: dict[str, dict[str, Curve]] = {}
    for row, match in sorted(named, key=lambda pair: int(pair[1][2])):
        curve = found.setdefault(row.experiment, {}).setdefault(match[1], Curve())
        given = [each for each in row.answers if each.confidence is not None]
        curve.epochs.append(int(match[2]))
        curve.accuracy.append(statistics.fmean(each.correct for each in row.answers))
        curve.confidence.append(statistics.fmean(each.confidence or 0.0 for each in given))
        curve.ece.append(score(*row.columns, ("ece",))["ece"])
    return found


def draw_curves(rows: Sequence[Row], stem: Path, titles: dict[str, str]) -> list[Path]:
    """Draw accuracy, confidence and ECE over the epochs to ``stem.png`` and ``stem.svg``.

    Args:
        rows: of one or more experiments, a column of panels each.
        stem: path without the suffix.
        titles: of the columns, by experiment.

    Raises:
        FileNotFoundError: no row is of such an evaluation.
    """
    found = curves_of(rows)
    if not found:
        raise FileNotFoundError("no result was evaluated after several epochs.")
    with style():
        figure = new_figure(1.2 + 3.6 * len(found), 5.6)
        n = len(next(row for row in rows if EVALUATION.fullmatch(row.evaluation)).answers)
        headings(
            figure,
            "Accuracy saturates, confidence goes on rising",
            "Fine-tuning on open answers, after each epoch",
            f"{n} test questions; the band is the 95 % interval",
        )
        grid = figure.subplots(2, len(found), sharex=True, sharey="row", squeeze=False)
        for (name, splits), upper, lower in zip(found.items(), *grid, strict=True):
            upper.set_title(titles[name], fontsize=10)
            _panel(upper, splits)
            _ece_panel(lower, splits["test"])
        grid[0][0].set_ylabel("share of the answers")
        grid[1][0].set_ylabel("ECE on test")
        grid[0][0].legend(frameon=False, fontsize=8)
        stem.parent.mkdir(parents=True, exist_ok=True)
        return list(save(figure, stem))


def _panel(axes: Any, splits: dict[str, Curve]) -> None:
    for split, marker in (("train", None), ("test", "o")):
        if split in splits:
            curve = splits[split]
            look = {"marker": marker, "markersize": 4, "linewidth": 1.5}
            axes.plot(curve.epochs, curve.accuracy, color=BLUE, label=f"right, {split}", **look)
            look["linestyle"] = DASHES
            axes.plot(
                curve.epochs,
                curve.confidence,
                color=VERMILION,
                label=f"confidence, {split}",
                **look,
            )
    axes.set_ylim(0, 1)


def _ece_panel(axes: Any, curve: Curve) -> None:
    low, high = [each.low for each in curve.ece], [each.high for each in curve.ece]
    axes.fill_between(curve.epochs, low, high, color=PALE, alpha=0.5, linewidth=0)
    axes.plot(
        curve.epochs, [each.value for each in curve.ece], color=SOFT, marker="o", markersize=4
    )
    axes.set_ylim(bottom=0)
    axes.set_xticks(curve.epochs)
    axes.set_xlabel("epoch")
