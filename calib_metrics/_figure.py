"""Shared parts of all figures: colours, style, headings, and reproducible files.

Needs matplotlib: pip install 'calibench[plots]'.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calib_metrics.outputs import whole_file
from calib_metrics.scores import Score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart with any colour vision, and by lightness in print.
BLUE, VERMILION, PEACH = "#0072B2", "#D55E00", "#F8DFCF"
PALE, INK, SOFT, FAINT = "#B9C6D2", "#222222", "#5F6B76", "#E4E8EC"
DASHES = (0, (4, 3))
# Behind a bar's value: hides the chance line, a dash of which would look like a minus sign.
VALUE_BOX = {
    "facecolor": "white", "edgecolor": "none", "boxstyle": "square,pad=0.35", "mutation_aspect": 0.1
}  # fmt: skip
_STYLE = {
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "calib_metrics",
}


def style() -> AbstractContextManager[None]:
    """Return a context for drawing and saving figures that overrides the user's own style."""
    try:
        from matplotlib import style
    except ImportError:
        raise ModuleNotFoundError(
            "Figures need matplotlib: install it with pip install 'calibench[plots]'.",
            name="matplotlib",
        ) from None
    return style.context(["default", _STYLE])


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches."""
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    return Figure(figsize=(width, height), layout="constrained")


def headings(figure: Figure, title: str, *facts: str) -> None:
    """Write the title and below it some facts at the top left, and leave the rest to the axes.

    All are wrapped to fit the figure; empty facts are left out.
    """
    width, height = figure.get_figwidth(), figure.get_figheight()
    title = textwrap.fill(title, int(8.5 * width))
    subtitle = _in_lines([fact for fact in facts if fact], int(12.5 * width))
    lines = 0.27 * (title.count("\n") + 1)  # inches
    place: dict[str, Any] = {"x": 0.1 / width, "va": "top"}
    figure.text(y=1 - 0.08 / height, s=title, fontsize=13, fontweight="bold", **place)
    figure.text(y=1 - (0.08 + lines) / height, s=subtitle, fontsize=10, color=SOFT, **place)
    used = 0.12 + lines + (0.2 * (subtitle.count("\n") + 1) if subtitle else 0)
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - used / height), w_pad=0.08, h_pad=0.06)


def _in_lines(facts: Sequence[str], width: int) -> str:
    """Join facts by dots and break lines behind a dot, within a fact only if it is long."""
    dot, space = "\xa0\xa0·  ", "\xa0"  # where no line breaks
    whole = [fact.replace(" ", space) if len(fact) <= width - 3 else fact for fact in facts]
    return textwrap.fill(dot.join(whole), width).replace(space, " ")


def count_text(scores: Sequence[Score]) -> str:
    """Return "n = 817 answers", or a range if the scores have different n."""
    few, many = min(s.n for s in scores), max(s.n for s in scores)
    return f"n = {many:,} answers" if few == many else f"n = {few:,} to {many:,} answers"


def level_text(scores: Sequence[Score]) -> str:
    """Return the interval's level from the signatures, which state it unless it is 0.95."""
    levels = {(re.findall(r"\|level:([\d.]+)", s.signature) or ["0.95"])[0] for s in scores}
    return " or ".join(f"{100 * float(level):g} %" for level in sorted(levels))


def save(figure: Figure, path_stem: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write path_stem + ".png" and ".svg" atomically, and return both paths."""
    paths = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        path = Path(f"{os.fspath(path_stem)}.{kind}")  # with_suffix would eat "v0.1"
        with whole_file(path) as part:
            figure.savefig(part, format=kind, dpi=160, metadata=metadata)
        paths.append(path)
    return paths[0], paths[1]
