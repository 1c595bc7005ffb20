"""The titles of metrics in tables, and the format of their values."""

from __future__ import annotations

from calib_leaderboards.store.entry import Metric
from calib_leaderboards.tables.row import Cell
from calib_metrics.registry import METRICS

# The metrics of calib_metrics come first, these before the others; a task's own follow by name.
MAIN = ("brier_skill", "ece", "auroc", "aurc", "acc")
_FIRST = (*MAIN, "answered", "brier", "rms", "nll")
DECIMALS = 3  # of a score
TITLES = {name: METRICS[name].title for name in dict.fromkeys((*_FIRST, *METRICS))}

SKILL_MEANS = (
    "Skill is the share of the Brier score of a constant confidence that the method saves: 1 is "
    "always right, 0 is no better than always stating the accuracy, below 0 is worse."
)
_MEANINGS = {
    "brier_skill": SKILL_MEANS,
    "ece": "ECE is the gap between confidence and accuracy, averaged over ten bins.",
}


def heading(name: str, higher_is_better: bool | None) -> str:
    """What a table calls a metric, with the direction that is better.

    >>> heading("ece", False)
    'ECE ↓'
    """
    arrow = {True: " ↑", False: " ↓", None: ""}[higher_is_better]
    return TITLES.get(name, name) + arrow


def how_to_read(main_metric: str, setting: str) -> str:
    """The text above a table: what its first score means, and when rows share a rank."""
    title = heading(main_metric, None)
    what = _MEANINGS.get(main_metric, f"{title} of the answers; no confidence was asked for.")
    return (
        f"In the default setting, {setting}, best {title} first. {what} Rows share a rank unless a "
        "paired test on the same questions tells them apart (5 %)."
    )


def number(value: float | None) -> str:
    """A score with three decimals, or with four significant digits if it is large."""
    if value is None:
        return "undefined"
    text = f"{value:.{DECIMALS}f}" if abs(value) < 100 else f"{value:,.4g}"
    return text.replace("-", "−")


def interval(metric: Cell | Metric) -> str:
    """The interval, as "0.041–0.084" or "−0.012 to 0.030", or "" without one."""
    return span(metric.low, metric.high)


def span(low: float | None, high: float | None) -> str:
    """Two bounds, or "" where one is unknown."""
    if low is None or high is None:
        return ""
    return f"{number(low)}{' to ' if low < 0 else '–'}{number(high)}"
