"""Figures: methods compared by ECE and AUROC, for one model or several; reliability diagrams.

Needs matplotlib: pip install 'calibench[plots]'. Each figure is written as PNG and as SVG with real
text; the same input gives the same bytes.
"""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._figure import (
    BLUE,
    DASHES,
    FAINT,
    INK,
    PALE,
    PEACH,
    SOFT,
    VALUE_BOX,
    VERMILION,
    count_text,
    headings,
    level_text,
    new_figure,
    save,
    style,
)
from calib_metrics.bins import ReliabilityBins, reliability_bins
from calib_metrics.scores import Score, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UPRIGHT = 4  # with more bars than this, their labels are slanted


def bar_chart(
    rows: Sequence[Mapping[str, Any]],
    path_stem: str | os.PathLike[str],
    *,
    title: str = "Does the model know when it is right?",
    model: str = "",
    task: str = "",
) -> tuple[Path, Path]:
    """Draw methods side by side: ECE (lower is better) on the left, AUROC (higher) on the right.

    rows: one dict per bar, in order: label (str), ece and auroc (Score), emphasise (bool, optional)
    for the bar to highlight. Whiskers are the scores' intervals; an undefined score shows "n/a".
    model, task: for the subtitle, with n. Writes and returns path_stem + ".png" and ".svg".
    Raises ValueError when rows are empty or lack a key, ImportError without matplotlib.
    """
    _check_bars(rows)
    with style():
        upright = len(rows) <= _UPRIGHT
        figure = new_figure(9.2 if upright else 1.9 + 1.24 * len(rows), 4.4 if upright else 5.0)
        left, right = figure.subplots(1, 2)
        _ece_and_auroc(left, right, rows)
        left.set_ylim(0, 1.15 * max([_top(row["ece"]) for row in rows] + [0.1]))
        headings(figure, title, model, task, *_about(rows))
        return save(figure, path_stem)


def bar_grid(
    models: Mapping[str, Sequence[Mapping[str, Any]]],
    path_stem: str | os.PathLike[str],
    *,
    title: str = "Do the models know when they are right?",
    task: str = "",
) -> tuple[Path, Path]:
    """Draw several models side by side, a column each: ECE above, AUROC below.

    models: by name, the rows of `bar_chart`. ECE has one scale for all models.
    Writes, returns and raises as `bar_chart` does.
    """
    if not models:
        raise ValueError("models is empty: give the rows of one model at least.")
    for rows in models.values():
        _check_bars(rows)
    every = [row for rows in models.values() for row in rows]
    with style():
        widest = max(len(rows) for rows in models.values())
        figure = new_figure(1.0 + (0.9 + 0.6 * widest) * len(models), 7.6)
        axes = figure.subplots(2, len(models), squeeze=False)
        for (name, rows), upper, lower in zip(models.items(), *axes, strict=True):
            _ece_and_auroc(upper, lower, rows)
            upper.set_ylim(0, 1.15 * max([_top(row["ece"]) for row in every] + [0.1]))
            upper.tick_params(axis="x", labelbottom=False)
            upper.annotate(name, (0, 1), (0, 24), "axes fraction", "offset points", fontsize=12)
        headings(figure, title, task, *_about(every))
        return save(figure, path_stem)


def reliability_diagram(
    confidence: ArrayLike,
    correct: ArrayLike,
    path_stem: str | os.PathLike[str],
    *,
    title: str,
    bins: int = 10,
    strategy: str = "width",
    found: Score | None = None,
    model: str = "",
    task: str = "",
) -> tuple[Path, Path]:
    """Draw accuracy against confidence, bin by bin, above a histogram of confidences.

    A point is a bin: its mean confidence, its accuracy, and the accuracy's 95 % Wilson interval.
    The gap to the diagonal, weighted by the rows in the bin, is the ECE.
    confidence: (n,) in [0, 1], None or NaN left out. correct: (n,) in {0, 1}.
    bins, strategy: as in `reliability_bins`. found: the ECE to show, if `score` has computed it;
    otherwise it is computed here, with its interval. model, task: for the subtitle.
    Writes and returns path_stem + ".png" and ".svg". Raises ValueError on bad input, ImportError
    without matplotlib.
    """
    if found is None:
        found = score(confidence, correct, ("ece",), bins=bins, strategy=strategy)["ece"]
    confidence, correct = answered_rows(confidence, correct)
    table = reliability_bins(confidence, correct, bins=bins, strategy=strategy)
    even = table if strategy == "width" else reliability_bins(confidence, correct)
    with style():
        figure = new_figure(5.2, 7.0)
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        _reliability(top, table, strategy)
        _histogram(bottom, even)
        interval = "" if math.isnan(found.low) else f" [{found.low:.3f}, {found.high:.3f}]"
        top.legend(  # above the axes, since the points can be anywhere inside them
            title=f"ECE {found.value:.3f}{interval}, {count_text([found])}",
            alignment="left",
            loc="lower left",
            bbox_to_anchor=(-0.02, 1.025),
            ncols=2,
            columnspacing=1.4,
            fontsize=9,
            title_fontsize=10,
            frameon=False,
            borderaxespad=0,
        )
        headings(figure, title, model, task)
        return save(figure, path_stem)


def answered_rows(
    confidence: ArrayLike, correct: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rows that have a confidence. Raises ValueError when there is none to draw."""
    confidence, correct = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    given = ~np.isnan(confidence)
    if not given.any():
        raise ValueError("confidence is missing in every row: there is nothing to draw.")
    return confidence[given], correct[given]


def wilson_interval(
    share: ArrayLike, n: ArrayLike, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wilson score interval (low, high) of a `share` of `n` trials, n > 0.

    Source: Wilson, Journal of the American Statistical Association 1927.
    """
    share, n = np.asarray(share, dtype=float), np.asarray(n, dtype=float)
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)


def _check_bars(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        raise ValueError("rows is empty: give one dict per method.")
    for row in rows:
        absent = {"label", "ece", "auroc"} - set(row)
        if absent:
            label = row.get("label", "?")
            raise ValueError(f"The row {label!r} lacks {', '.join(sorted(absent))}.")


def _ece_and_auroc(ece: Axes, auroc: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    _bars(ece, rows, "ece", "ECE ↓", "lower is better", "Expected calibration error")
    _bars(auroc, rows, "auroc", "AUROC ↑", "higher is better", "Area under the ROC curve")
    auroc.set_ylim(0, 1.1)
    auroc.set_yticks([0, 0.25, 0.5, 0.75, 1])
    auroc.axhline(0.5, color=INK, linewidth=1, linestyle=DASHES, zorder=3)
    auroc.annotate(
        "chance",
        (1, 0.5),
        (4, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        fontsize=9,
    )


def _about(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    scores = [row[name] for row in rows for name in ("ece", "auroc")]
    return count_text(scores), f"{level_text(scores)} bootstrap intervals"


def _bars(
    axes: Axes,
    rows: Sequence[Mapping[str, Any]],
    name: str,
    heading: str,
    better: str,
    meaning: str,
) -> None:
    axes.set_title(heading, loc="left", fontweight="bold", fontsize=12)
    axes.set_title(better, loc="right", color=SOFT, fontsize=10)
    axes.set_ylabel(meaning)
    for place, row in enumerate(rows):
        found, strong = row[name], bool(row.get("emphasise"))
        if math.isnan(found.value):
            axes.annotate("n/a", (place, 0), (0, 4), textcoords="offset points", ha="center")
            continue
        axes.bar(place, found.value, 0.66, color=BLUE if strong else PALE, zorder=2)
        if not math.isnan(found.low):
            # Drawn as a line, not as value plus or minus: a small ECE can lie below its interval.
            axes.vlines(place, found.low, found.high, color=INK, linewidth=1.3, zorder=4)
            axes.hlines(
                [found.low, found.high],
                place - 0.09,
                place + 0.09,
                color=INK,
                linewidth=1.3,
                zorder=4,
            )
        axes.annotate(
            f"{found.value:.3f}",
            (place, _top(found)),
            (0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=10,
            fontweight="bold" if strong else "normal",
            zorder=5,
            bbox=VALUE_BOX,
        )
    upright = len(rows) <= _UPRIGHT
    labels = [_wrap(str(row["label"]), 12 if upright else 17) for row in rows]
    axes.set_xticks(range(len(rows)), labels, fontsize=9.5)
    if not upright:
        axes.tick_params(axis="x", labelrotation=40)
    for tick, row in zip(axes.get_xticklabels(), rows, strict=True):
        tick.set_fontweight("bold" if row.get("emphasise") else "normal")
        if not upright:
            tick.set(ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.6, len(rows) - 0.4)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def _wrap(label: str, width: int) -> str:
    """Break a label into lines, preferably before a parenthesis."""
    lines = label.replace(" (", "\n(").split("\n")
    return "\n".join(textwrap.fill(line, width, break_long_words=False) for line in lines)


def _reliability(axes: Axes, table: ReliabilityBins, strategy: str) -> None:
    full = table.count > 0
    lower, width = table.lower[full], (table.upper - table.lower)[full]
    mean, accuracy, count = table.confidence[full], table.accuracy[full], table.count[full]
    axes.plot(
        [0, 1],
        [0, 1],
        color=INK,
        linewidth=1,
        linestyle=DASHES,
        zorder=3,
        label="Perfect calibration",
    )
    if strategy == "width":
        axes.bar(
            lower, accuracy, width, align="edge", color=PALE, edgecolor="white", label="Accuracy"
        )
        axes.bar(
            lower,
            accuracy - mean,
            width,
            bottom=mean,
            align="edge",
            facecolor=PEACH,
            edgecolor=VERMILION,
            linewidth=0.8,
            hatch="///",
            label="Gap to mean confidence",
        )
    else:  # bins of many ties have no width to fill
        axes.vlines(
            mean,
            mean,
            accuracy,
            color=VERMILION,
            linewidth=5,
            alpha=0.45,
            zorder=2,
            clip_on=False,
            label="Gap to mean confidence",
        )
    low, high = wilson_interval(accuracy, count)
    whiskers = axes.errorbar(
        mean,
        accuracy,
        [np.maximum(accuracy - low, 0), np.maximum(high - accuracy, 0)],
        fmt="o",
        color=BLUE,
        markersize=5,
        linewidth=1.4,
        capsize=3,
        zorder=4,
        label="95 % Wilson interval",
    )
    for part in whiskers.get_children():
        part.set_clip_on(False)  # markers at 0 or 1 are not clipped
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_ylabel("Share of answers that are correct")


def _histogram(axes: Axes, table: ReliabilityBins) -> None:
    width = table.upper - table.lower
    bars = axes.bar(table.lower, table.count, width, align="edge", color=PALE, edgecolor="white")
    if len(table.count) <= 15:  # with more bins the numbers would touch
        labels = [_short(k) if k else "" for k in table.count]
        axes.bar_label(bars, labels, fontsize=8, padding=1)
    axes.yaxis.set_major_formatter(lambda value, _: _short(value))
    axes.margins(y=0.2)
    axes.set_xlabel("Confidence")
    axes.set_ylabel("Answers")
    axes.set_xticks(np.linspace(0, 1, 6))


def _short(count: float) -> str:
    """Return a count in at most six characters, so that the labels of ten bins do not touch."""
    if count < 99_999.5:
        return f"{count:,.6g}"
    return f"{count / 1e3:.0f}k" if count < 999_500 else f"{count / 1e6:.3g}M"


def _top(found: Score) -> float:
    return float(np.nanmax([found.value, found.high, 0.0]))
