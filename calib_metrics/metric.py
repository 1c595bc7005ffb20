"""The declaration of a metric, which all other code reads.

A metric is declared once, next to its function, as a `Metric`; `calib_metrics.registry` lists them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calib_metrics.cells import Drawn

Floats = NDArray[np.float64]
Resampled = Callable[[Drawn], Floats]  # the draws of some resamples to the metric in each
BINNING = ("bins", "strategy", "norm", "debias")


def _describe(**parameters: Any) -> list[str]:
    return [f"{name}:{value:g}" for name, value in parameters.items()]


@dataclass(frozen=True)
class Metric:
    """A metric of confidences and grades.

    name: the name in tables, signatures, files and on the command line.
    title: the name in headings.
    value: function of (confidence, correct, **parameters) that returns the metric of a whole
        sample. The columns are sorted by `check_rows`, without missing confidences unless
        `all_rows`. Returns NaN, with a warning, if the metric is undefined.
    resampled: function of (cells, **parameters) that returns a function from the draws of many
        resamples to the metric in each, NaN if undefined. `calib_metrics.bootstrap` helps here.
    higher_is_better, lowest, highest: the direction and the range of the metric.
    options: the options of `score` that are among its parameters.
    fixed: parameters that its name fixes.
    share: the parameter that follows "@" in its name, in (0, 1], and its default; None where it has
        none.
    describe: function of (**parameters) that returns their "key:value" parts of the signature.
    all_rows: whether it uses all rows, not only those with a confidence.
    of_confidence: whether it depends on the confidences at all.
    of_order: whether it depends on their order alone, so that any increasing function of them
        gives the same value.
    merges: whether equal rows count the same wherever they are, and so may be merged.
    row_values: if the metric is a mean over rows, the function of (confidence, correct) that
        returns the values of the rows.
    chance_raises: whether chance alone moves it off its best value, so that a finite sample never
        shows perfect calibration.
    worst_case: how missing confidences make it worst (see `calib_metrics.worst_case`). "monotone":
        at 1 - correct, and best at correct. "binned": by the bins of equal width. None: unknown.
    module: the folder of its module for `evaluate`, if it has one.
    documented: the function whose docstring's first line describes it; None means `value`.
    """

    name: str
    title: str
    value: Callable[..., float]
    resampled: Callable[..., Resampled]
    higher_is_better: bool
    lowest: float = 0.0
    highest: float = 1.0
    options: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    share: tuple[str, float | None] | None = None
    describe: Callable[..., list[str]] = _describe
    all_rows: bool = False
    of_confidence: bool = True
    of_order: bool = False
    merges: bool = True
    row_values: Callable[[Floats, Floats], Floats] | None = None
    chance_raises: bool = False
    worst_case: Literal["monotone", "binned"] | None = None
    module: str | None = None
    documented: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if not self.lowest < self.highest or math.isnan(self.lowest + self.highest):
            raise ValueError(f"{self.name} runs from {self.lowest} to {self.highest}: swap them.")

    @property
    def summary(self) -> str:
        """A one-line description."""
        lines = (self.documented or self.value).__doc__ or ""
        return lines.strip().partition("\n")[0]

    def parameters(self, options: Mapping[str, Any], share: float | None = None) -> dict[str, Any]:
        """Return the keyword arguments of `value` and `resampled`.

        options: those of `score`. share: what follows "@" in the name, None for the default.
        """
        found = {name: options[name] for name in self.options} | dict(self.fixed)
        if self.share:
            name, default = self.share
            found[name] = default if share is None else share
        return found
