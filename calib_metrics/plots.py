"""The two figures: methods compared by ECE and AUROC, and one method's reliability diagram.

Needs matplotlib: pip install 'calibench[plots]'. Each figure is written as PNG and as SVG with real
text; the same input gives the same bytes.
"""

from __future__ import annotations

import math
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics.bins import ReliabilityBins, reliability_bins
from calib_metrics.scores import Score, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's blue and vermilion: told apart with any colour vision, and by lightness in print.
_BLUE, _VERMILION, _PEACH = "#0072B2", "#D55E00", "#F8DFCF"
_PALE, _INK, _SOFT, _FAINT = "#B9C6D2", "#222222", "#5F6B76", "#E4E8EC"
_STYLE = {
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "calib_metrics",
}
_UPRIGHT = 4  # with more bars than this, their labels are slanted


def bar_chart(
    rows: Sequence[Mapping[str, object]],
    path_stem: str | os.PathLike[str],
    *,
    title: str = "Does the model know when it is right?",
    model: str = "",
    task: str = "",
) -> tuple[Path, Path]:
    """Draw methods side by side: ECE (lower is better) on the left, AUROC (higher) on the right.

    rows: one dict per bar, in order: label (str), ece and auroc (Score), emphasise (bool, optional)
    for the bar to look at. Whiskers are the scores' intervals; an undefined score shows "n/a".
    model, task: for the subtitle, beside n. Writes and returns path_stem + ".png" and ".svg".
    Raises ValueError when rows are empty or lack a key, ImportError without matplotlib.
    """
    if not rows:
        raise ValueError("rows is empty: give one dict per method.")
    for row in rows:
        absent = {"label", "ece", "auroc"} - set(row)
        if absent:
            label = row.get("label", "?")
            raise ValueError(f"The row {label!r} lacks {', '.join(sorted(absent))}.")
    with _style():
        upright = len(rows) <= _UPRIGHT
        figure = _new_figure(9.2 if upright else 1.9 + 1.24 * len(rows), 4.4 if upright else 5.0)
        left, right = figure.subplots(1, 2)
        _bars(left, rows, "ece", "ECE ↓", "lower is better", "Expected calibration error")
        _bars(right, rows, "auroc", "AUROC ↑", "higher is better", "Area under the ROC curve")
        left.set_ylim(0, 1.15 * max([_top(row["ece"]) for row in rows] + [0.1]))
        right.set_ylim(0, 1.1)
        right.set_yticks([0, 0.25, 0.5, 0.75, 1])
        right.axhline(0.5, color=_INK, linewidth=1, linestyle=(0, (4, 3)), zorder=3)
        right.annotate(
            "chance", (1, 0.5), (4, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=9,
        )
        scores = [row[name] for row in rows for name in ("ece", "auroc")]
        parts = [model, task, _count(scores), f"whiskers: {_level(scores)} bootstrap intervals"]
        _headings(figure, title, "  ·  ".join(filter(None, parts)))
        return _save(figure, path_stem)


def reliability_diagram(
    confidence: ArrayLike,
    correct: ArrayLike,
    path_stem: str | os.PathLike[str],
    *,
    title: str,
    bins: int = 10,
) -> tuple[Path, Path]:
    """Draw accuracy against confidence, in bins of equal width, above a histogram of confidences.

    A point is a bin: its mean confidence, its accuracy, and the accuracy's 95 % Wilson interval.
    The shaded gap to the diagonal, weighted by the histogram, is the ECE.
    confidence: (n,) in [0, 1], None or NaN left out. correct: (n,) in {0, 1}.
    Writes and returns path_stem + ".png" and ".svg". Raises ValueError on bad input, ImportError
    without matplotlib.
    """
    found = score(confidence, correct, ("ece",), bins=bins)["ece"]
    given = ~np.isnan(np.asarray(confidence, dtype=float))
    if not given.any():
        raise ValueError("confidence is missing in every row: there is nothing to draw.")
    table = reliability_bins(
        np.asarray(confidence, dtype=float)[given], np.asarray(correct)[given], bins=bins
    )
    with _style():
        figure = _new_figure(5.2, 7.0)
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        _reliability(top, table)
        _histogram(bottom, table)
        interval = "" if math.isnan(found.low) else f" [{found.low:.3f}, {found.high:.3f}]"
        top.legend(  # above the axes, since the points can be anywhere inside them
            title=f"ECE {found.value:.3f}{interval}, {_count([found])}", alignment="left",
            loc="lower left", bbox_to_anchor=(-0.02, 1.025), ncols=2, columnspacing=1.4,
            fontsize=9, title_fontsize=10, frameon=False, borderaxespad=0,
        )
        _headings(figure, textwrap.fill(title, 44))
        return _save(figure, path_stem)


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


def _bars(
    axes: Axes, rows: Sequence[Mapping], name: str, heading: str, better: str, meaning: str
) -> None:
    axes.set_title(heading, loc="left", fontweight="bold", fontsize=12)
    axes.set_title(better, loc="right", color=_SOFT, fontsize=10)
    axes.set_ylabel(meaning)
    for place, row in enumerate(rows):
        found, strong = row[name], bool(row.get("emphasise"))
        if math.isnan(found.value):
            axes.annotate("n/a", (place, 0), (0, 4), textcoords="offset points", ha="center")
            continue
        axes.bar(place, found.value, 0.66, color=_BLUE if strong else _PALE, zorder=2)
        if not math.isnan(found.low):
            # Drawn as a line, not as value plus or minus: a small ECE can lie below its interval.
            axes.vlines(place, found.low, found.high, color=_INK, linewidth=1.3, zorder=4)
            axes.hlines(
                [found.low, found.high], place - 0.09, place + 0.09,
                color=_INK, linewidth=1.3, zorder=4,
            )
        axes.annotate(
            f"{found.value:.3f}", (place, _top(found)), (0, 3), textcoords="offset points",
            ha="center", fontsize=10, fontweight="bold" if strong else "normal", zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},  # over the chance line
        )
    upright = len(rows) <= _UPRIGHT
    labels = [_wrap(str(row["label"]), 12 if upright else 17) for row in rows]
    axes.set_xticks(range(len(rows)), labels, fontsize=9.5)
    if not upright:
        axes.tick_params(axis="x", labelrotation=40)
    for tick, row in zip(axes.get_xticklabels(), rows):
        tick.set_fontweight("bold" if row.get("emphasise") else "normal")
        if not upright:
            tick.set(ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.6, len(rows) - 0.4)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y", color=_FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def _wrap(label: str, width: int) -> str:
    """Break a label into lines, before a parenthesis first."""
    lines = label.replace(" (", "\n(").split("\n")
    return "\n".join(textwrap.fill(line, width, break_long_words=False) for line in lines)


def _reliability(axes: Axes, table: ReliabilityBins) -> None:
    full = table.count > 0
    lower, width = table.lower[full], (table.upper - table.lower)[full]
    mean, accuracy, count = table.confidence[full], table.accuracy[full], table.count[full]
    axes.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle=(0, (4, 3)), zorder=3,
              label="Perfect calibration")
    axes.bar(lower, accuracy, width, align="edge", color=_PALE, edgecolor="white", label="Accuracy")
    axes.bar(
        lower, accuracy - mean, width, bottom=mean, align="edge", facecolor=_PEACH,
        edgecolor=_VERMILION, linewidth=0.8, hatch="///",
        label="Gap to mean confidence",
    )
    low, high = wilson_interval(accuracy, count)
    whiskers = axes.errorbar(
        mean, accuracy, [np.maximum(accuracy - low, 0), np.maximum(high - accuracy, 0)],
        fmt="o", color=_BLUE, markersize=5, linewidth=1.4, capsize=3, zorder=4,
        label="95 % Wilson interval",
    )
    whiskers[0].set_clip_on(False)  # a point at 0 or 1 is drawn whole
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_ylabel("Share of answers that are correct")


def _histogram(axes: Axes, table: ReliabilityBins) -> None:
    width = table.upper - table.lower
    bars = axes.bar(table.lower, table.count, width, align="edge", color=_PALE, edgecolor="white")
    if len(table.count) <= 15:  # with more bins the numbers would touch
        axes.bar_label(bars, [f"{k:,}" if k else "" for k in table.count], fontsize=8, padding=1)
    axes.margins(y=0.2)
    axes.set_xlabel("Confidence")
    axes.set_ylabel("Answers")
    axes.set_xticks(np.linspace(0, 1, 6))


def _headings(figure: Figure, title: str, subtitle: str = "") -> None:
    """Write the title, and a line below it, at the top left, and leave the rest to the axes."""
    height = figure.get_figheight()
    lines = 0.27 * (title.count("\n") + 1)  # inches
    style = {"x": 0.1 / figure.get_figwidth(), "va": "top"}
    figure.text(y=1 - 0.08 / height, s=title, fontsize=13, fontweight="bold", **style)
    figure.text(y=1 - (0.08 + lines) / height, s=subtitle, fontsize=10, color=_SOFT, **style)
    used = (0.12 + lines + (0.2 if subtitle else 0)) / height
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - used), w_pad=0.08, h_pad=0.06)


def _top(found: Score) -> float:
    return float(np.nanmax([found.value, found.high, 0.0]))


def _count(scores: Sequence[Score]) -> str:
    few, many = min(s.n for s in scores), max(s.n for s in scores)
    return f"n = {many:,} answers" if few == many else f"n = {few:,} to {many:,} answers"


def _level(scores: Sequence[Score]) -> str:
    """Return the interval's level as the signatures state it, which name it unless it is 0.95."""
    levels = {(re.findall(r"\|level:([\d.]+)", s.signature) or ["0.95"])[0] for s in scores}
    return " or ".join(f"{100 * float(level):g} %" for level in sorted(levels))


def _style():
    try:
        from matplotlib import style
    except ImportError:
        raise ImportError(
            "Figures need matplotlib: install it with pip install 'calibench[plots]'."
        ) from None
    return style.context(["default", _STYLE])  # whatever the user's own style is


def _new_figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path_stem: str | os.PathLike[str]) -> tuple[Path, Path]:
    paths = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        path = Path(f"{os.fspath(path_stem)}.{kind}")  # with_suffix would eat "v0.1"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            figure.savefig(part, format=kind, dpi=160, metadata=metadata)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        paths.append(path)
    return paths[0], paths[1]
