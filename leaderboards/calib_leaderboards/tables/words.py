"""What tables call the metrics, and how they show their values."""

from __future__ import annotations

from calib_leaderboards.store.entry import Metric
from calib_metrics.registry import METRICS

# The metrics of calib_metrics come first, these before the others; a task's own follow by name.
MAIN = ("ece", "auroc", "brier", "acc")
_FIRST = (*MAIN, "answered", "rms", "nll")
TITLES = {name: METRICS[name].title for name in dict.fromkeys((*_FIRST, *METRICS))}


def heading(name: str, higher_is_better: bool | None) -> str:
    """What a table calls a metric, with the direction that is better.

    >>> heading("ece", False)
    'ECE ↓'
    """
    arrow = {True: " ↑", False: " ↓", None: ""}[higher_is_better]
    return TITLES.get(name, name) + arrow


def number(value: float | None) -> str:
    """A score with three decimals, or four significant digits where it is large."""
    if value is None:
        return "undefined"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.4g}"


def interval(metric: Metric) -> str:
    """The interval, as "0.041–0.084", or "" without one."""
    if metric.low is None or metric.high is None:
        return ""
    return f"{number(metric.low)}–{number(metric.high)}"
