"""Aggregations for lm-eval: `aggregation: !function calib_metrics.lm_eval_hooks.ece` in a task.

Every metric of `calib_metrics.registry` has one, and `NAME_stderr` for its standard error. An item
is the (confidence, correct) of one answer: a tuple, or a list if read from a log. Items with a
confidence of None are left out; if none remain, the score is NaN. lm-eval prints a standard error
for a custom metric only if the task emits a second metric, `<name>_stderr`, right after it. Errors
are those of `calib_metrics.score`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from calib_metrics.registry import METRICS, NAMES
from calib_metrics.scores import Score, score

Items = Sequence[Sequence[float | None]]


def __getattr__(name: str) -> Callable[[Items], float]:
    """Return `NAME` or `NAME_stderr` for a metric of the rows with a confidence.

    Of ECE as other code computes it (`calib_metrics.compat`) the name is that of the mode.

    The value is that of `calib_metrics.score` with its defaults (10 bins of equal width). The
    standard error comes from its bootstrap (1,000 resamples, seed 0).
    """
    kind, stderr = name.removesuffix("_stderr"), name.endswith("_stderr")
    if f"ece:{kind}" in METRICS:
        kind = f"ece:{kind}"
    elif kind not in NAMES or METRICS[kind].all_rows:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _stderr_of(kind) if stderr else _value_of(kind)


@functools.cache
def _value_of(name: str) -> Callable[[Items], float]:
    def value(items: Items) -> float:
        return _score(name, items, resamples=0).value

    return _named(value, name, METRICS[name].title)


@functools.cache
def _stderr_of(name: str) -> Callable[[Items], float]:
    def stderr(items: Items) -> float:
        return _score(name, items).stderr

    return _named(stderr, f"{name}_stderr", f"Bootstrap standard error of `{name}`")


def _named(function: Callable[[Items], float], name: str, title: str) -> Callable[[Items], float]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{title}, of (confidence, correct) pairs."
    return function


def accuracy(items: Sequence[float]) -> float:
    """Share of correct answers; an item is 0 or 1."""
    return _mean(items)


def answered(items: Sequence[float]) -> float:
    """Share of answers with a usable confidence; an item is 0 or 1."""
    return _mean(items)


def mean_stderr(items: Sequence[float]) -> float:
    """Standard error of `accuracy` or `answered`: standard deviation (ddof 1) / sqrt(n)."""
    if len(items) < 2:
        return math.nan
    return float(np.std(np.asarray(items, dtype=float), ddof=1) / math.sqrt(len(items)))


def _mean(items: Sequence[float]) -> float:
    return float(np.mean(np.asarray(items, dtype=float))) if len(items) else math.nan


def _score(name: str, items: Items, resamples: int = 1000) -> Score:
    for item in items:
        if len(item) != 2:
            raise ValueError(f"An item is {item!r}: give (confidence, correct) for each answer.")
    confidence, correct = zip(*items, strict=True)
    return score(confidence, correct, (name,), resamples=resamples)[name]
