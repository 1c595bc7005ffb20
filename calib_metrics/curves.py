"""Figures of discrimination: the ROC curve and the risk-coverage curve.

Needs matplotlib: pip install 'calibench[plots]'. Each figure is written as PNG and as SVG with real
text; the same input gives the same bytes.
"""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calib_metrics._figure import (
    BLUE,
    DASHES,
    FAINT,
    INK,
    SOFT,
    count_text,
    headings,
    level_text,
    new_figure,
    save,
    style,
)
from calib_metrics.plots import answered_rows, wilson_interval
from calib_metrics.scores import Score, score
from calib_metrics.selective import risk_coverage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, a brown and a grey, with dashes, so that curves stay apart in print.
_COLOURS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F5A3C", "#8A949E")
_LINES = ("-", (0, (6, 2)), (0, (2, 1.4)), (0, (7, 2, 1.5, 2)), "-", (0, (6, 2)), (0, (2, 1.4)))
_POINTS = 2000  # vertices of a drawn curve; more are not to be seen
_FEWEST = 20  # answers at which a risk–coverage curve starts: the risk of fewer is noise
_ALIKE = 0.01  # error rates that differ less share one random and one best order
_DOTS = 25  # thresholds up to which each is marked: elsewhere a curve is an average over ties


def roc_figure(
    rows: Sequence[Mapping[str, Any]],
    path_stem: str | os.PathLike[str],
    *,
    title: str = "Are the right answers the confident ones?",
    model: str = "",
    task: str = "",
) -> tuple[Path, Path]:
    """Draw one ROC curve per method: right against wrong answers above each threshold.

    rows: one dict per curve, in order: label (str), confidence ((n,) in [0, 1], None or NaN left
    out), correct ((n,) in {0, 1}), emphasise (bool, optional) for the curve to highlight, and auroc
    (Score, optional), which is computed if absent. A method with only right or only wrong answers
    has no curve and shows "n/a". model, task: for the subtitle, with n.
    Writes and returns path_stem + ".png" and ".svg". Raises ValueError when rows are empty, lack a
    key or hold no confidence, ImportError without matplotlib.
    """
    rows = _complete(rows, "auroc")
    with style():
        figure = new_figure(8.6, 5.6)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=DASHES, label="Chance: 0.5")
        for place, row in enumerate(rows):
            wrong, right = roc_points(*answered_rows(row["confidence"], row["correct"]))
            axes.plot(wrong, right, label=_label(row, "auroc"), **_line(rows, place))
        axes.set_xlabel("Share of the wrong answers above a confidence threshold")
        axes.set_ylabel("Share of the right answers above it")
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        _finish(figure, axes, rows, "auroc", "AUROC", title, [model, task])
        return save(figure, path_stem)


def risk_coverage_figure(
    rows: Sequence[Mapping[str, Any]],
    path_stem: str | os.PathLike[str],
    *,
    title: str = "What is gained by answering only when confident?",
    model: str = "",
    task: str = "",
) -> tuple[Path, Path]:
    """Draw one risk–coverage curve per method: the error rate among the most confident answers.

    Read from the right: the model answers everything, then abstains where it is least confident.
    Among answers of equal confidence it abstains at random; with few distinct confidences, dots
    mark where it can do so by its confidence. The curves start at 20 answers.
    rows: as in `roc_figure`, with aurc (Score, optional) instead of auroc. The band around the
    highlighted curve, or the only one, is the risk's 95 % Wilson interval at each coverage. If the
    methods have the same error rate, as on the same answers, the figure also shows the curves of a
    random order and of the best possible order.
    Writes and returns path_stem + ".png" and ".svg". Raises ValueError when rows are empty, lack a
    key or hold no confidence, ImportError without matplotlib.
    """
    rows = _complete(rows, "aurc")
    with style():
        figure = new_figure(8.6, 5.6)
        axes = figure.subplots()
        top, counts, dots = 0.0, set(), False
        for place, row in enumerate(rows):
            confidence, correct = answered_rows(row["confidence"], row["correct"])
            counts.add((confidence.size, int(np.sum(correct))))
            given, risk, thresholds = risk_points(confidence, correct)
            coverage, line = given / confidence.size, _line(rows, place)
            axes.plot(coverage, risk, label=_label(row, "aurc"), **line)
            if len(thresholds) <= _DOTS:
                axes.plot(*thresholds.T, "o", color=line["color"], markersize=5, clip_on=False)
                dots = True
            if len(rows) == 1 or row.get("emphasise"):
                low, high = wilson_interval(risk, given)
                axes.fill_between(
                    coverage,
                    low,
                    high,
                    color=line["color"],
                    alpha=0.15,
                    linewidth=0,
                    label="95 % Wilson interval of its risk",
                )
            top = max(top, float(np.max(risk)))
        if dots:
            axes.plot([], [], "o", color=SOFT, markersize=5, label="Possible thresholds")
        risks = [1 - right / n for n, right in counts]
        if max(risks) - min(risks) <= _ALIKE:
            _bounds(axes, *max(counts))
        axes.set_xlabel("Coverage: share of the questions answered, most confident first")
        axes.set_ylabel("Risk: share of these answers that are wrong")
        axes.set_ylim(0, min(1.0, max(1.2 * top, 0.05)))
        _finish(figure, axes, rows, "aurc", "AURC", title, [model, task])
        return save(figure, path_stem)


def _complete(rows: Sequence[Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the rows, each with its Score called `name`."""
    if not rows:
        raise ValueError("rows is empty: give one dict per method.")
    complete = []
    for row in rows:
        absent = {"label", "confidence", "correct"} - set(row)
        if absent:
            label = row.get("label", "?")
            raise ValueError(f"The row {label!r} lacks {', '.join(sorted(absent))}.")
        found = row.get(name) or score(row["confidence"], row["correct"], (name,))[name]
        complete.append({**row, name: found})
    return complete


def _line(rows: Sequence[Mapping[str, Any]], place: int) -> dict[str, Any]:
    if len(rows) == 1 or rows[place].get("emphasise"):
        return {"color": BLUE, "linewidth": 2.6, "zorder": 4}
    k = place % len(_COLOURS)
    return {"color": _COLOURS[k], "linestyle": _LINES[k], "linewidth": 1.6, "zorder": 3}


def _label(row: Mapping[str, Any], name: str) -> str:
    found: Score = row[name]
    label = textwrap.fill(str(row["label"]), 30)
    if math.isnan(found.value):
        return f"{label}\nn/a"
    interval = "" if math.isnan(found.low) else f" [{found.low:.3f}, {found.high:.3f}]"
    return f"{label}\n{found.value:.3f}{interval}"


def roc_points(
    confidence: NDArray[np.float64], correct: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of wrong and of right answers at or above each distinct confidence.

    Both are empty when all answers are right, or all wrong.
    """
    order = np.argsort(-confidence)
    last = np.flatnonzero(np.diff(confidence[order], append=-1.0))  # of each run of ties
    right = np.append(0.0, np.cumsum(correct[order])[last])
    wrong = np.append(0.0, last + 1.0) - right
    if right[-1] == 0 or wrong[-1] == 0:
        return np.empty(0), np.empty(0)
    shown = _thin(right + wrong, np.arange(right.size))
    return wrong[shown] / wrong[-1], right[shown] / right[-1]


def risk_points(
    confidence: NDArray[np.float64], correct: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the numbers of answers, the risk at each, and (coverage, risk) at each threshold."""
    n, curve = confidence.size, risk_coverage(confidence, correct)
    given = _grid(n)
    # Along a tie errors, not risks, grow linearly.
    wrong = np.append(0, curve.coverage * curve.risk)
    risk = np.interp(given / n, np.append(0, curve.coverage), wrong) / (given / n)
    return given, risk, np.column_stack([curve.coverage, curve.risk])


def _grid(n: int) -> NDArray[np.float64]:
    return np.unique(np.linspace(min(_FEWEST, n), n, _POINTS).round())


def _thin(along: NDArray[np.float64], index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at most `_POINTS` of the `index`, evenly spread `along` the curve, with its ends."""
    if index.size <= _POINTS:
        return index
    even = np.linspace(along[index[0]], along[index[-1]], _POINTS)
    return index[np.unique(np.searchsorted(along[index], even))]


def _bounds(axes: Axes, n: int, right: int) -> None:
    """Draw the risk of a random order and of the best order, which puts all right answers first."""
    given = _grid(n)
    best = np.maximum(given - right, 0) / given
    axes.axhline(1 - right / n, color=INK, linewidth=1, linestyle=DASHES, label="Random order")
    axes.plot(
        given / n,
        best,
        color=SOFT,
        linewidth=1,
        linestyle=(0, (1, 2)),
        label="Best possible order",
    )


def _finish(
    figure: Figure,
    axes: Axes,
    rows: Sequence[Mapping[str, Any]],
    name: str,
    heading: str,
    title: str,
    parts: Sequence[str],
) -> None:
    scores = [row[name] for row in rows]
    axes.set_xlim(0, 1)
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    if any(not math.isnan(found.low) for found in scores):
        heading += f" and {level_text(scores)} interval"
    axes.legend(
        title=heading,
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        fontsize=9,
        title_fontsize=10,
        frameon=False,
        borderaxespad=0,
        labelspacing=0.9,
    )
    headings(figure, title, *parts, count_text(scores))
