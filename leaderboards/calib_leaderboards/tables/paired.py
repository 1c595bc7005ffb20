"""Is one row of a table better than another? Paired tests on the questions that both answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from calib_leaderboards.store.samples import Samples
from calib_leaderboards.tables.row import Cell

Floats = NDArray[np.float64]
SKILL = "brier_skill"


@dataclass(frozen=True, eq=False)
class Column:
    """The values of a row of a table for each question.

    Attributes:
        questions: ids, sorted, with the hashes of their texts, which identify the questions.
        confidence: (n,) NaN where missing; None for a score that is a mean of values.
        outcome: (n,) whether the answer is correct (NaN where ungraded), or the values.
    """

    questions: tuple[tuple[str, ...], tuple[str, ...]]
    confidence: Floats | None
    outcome: Floats

    @cached_property
    def whole(self) -> bool:
        """Whether every question has a confidence and an outcome."""
        missing = np.isnan(self.outcome).any()
        return not (missing or self.confidence is not None and np.isnan(self.confidence).any())

    @cached_property
    def linear(self) -> tuple[float, Floats] | None:
        """The score, and what each question adds to it beside its mean; None where undefined."""
        outcome = self.outcome
        if self.confidence is None:
            return float(np.mean(outcome)), outcome
        squares = (self.confidence - outcome) ** 2
        accuracy = float(np.mean(outcome))
        brier, reference = float(np.mean(squares)), accuracy * (1 - accuracy)
        if reference == 0:
            return None
        around = (accuracy - outcome) ** 2
        terms = brier * (around - reference) / reference**2 - (squares - brier) / reference
        return 1 - brier / reference, terms


def column_of(samples: Samples, method: str, metric: str) -> Column | None:
    """The column behind a metric of a method; None where the samples have none."""
    questions = samples.ids, samples.questions
    if metric == SKILL and (column := samples.column(method)):
        return Column(questions, *column)
    values = samples.values.get(f"{metric},{method}")
    return None if values is None else Column(questions, None, values)


def paired_p(one: Column, other: Column) -> float | None:
    """The two-sided p of a paired t test that two scores are equal; None without common questions.

    Only questions that both rows answer with a confidence are compared. A mean is compared by the
    differences of its values. The Brier skill 1 - B / R, B the mean squared error and R = a (1 - a)
    with the accuracy a, is a quotient of means: each question contributes its linear term, -(b
    - B) / R + B (r - R) / R^2 with b = (confidence - correct)^2 and r = (a - correct)^2 (the delta
    method). Where both rows judge the same answers, R is the same for both.
    """
    first, second = _common(one, other)
    if first.outcome.size < 2:
        return None
    parts = [column.linear for column in (first, second)]
    if any(part is None for part in parts):
        return None
    (value, terms), (value_2, terms_2) = (part for part in parts if part is not None)
    difference, n = value_2 - value, terms.size
    spread = float(np.std(terms_2 - terms, ddof=1)) / math.sqrt(n)
    if spread <= 1e-15 * max(1.0, abs(difference)):
        return 1.0 if abs(difference) < 1e-12 else 0.0
    return float(2 * stdtr(n - 1, -abs(difference) / spread))


def unpaired_p(one: Cell, other: Cell) -> float | None:
    """The two-sided p of a z test by the two standard errors; None where one is unknown.

    Where only the 95 % interval is known, the standard error is its width over 3.92.
    """
    errors = _standard_error(one), _standard_error(other)
    if one.value is None or other.value is None or errors[0] is None or errors[1] is None:
        return None
    spread = math.hypot(errors[0], errors[1])
    difference = other.value - one.value
    if spread == 0:
        return 1.0 if difference == 0 else 0.0
    return math.erfc(abs(difference) / spread / math.sqrt(2))


def _standard_error(metric: Cell) -> float | None:
    if metric.stderr is not None or metric.low is None or metric.high is None:
        return metric.stderr
    return (metric.high - metric.low) / 3.92


def _common(one: Column, other: Column) -> tuple[Column, Column]:
    if one.questions is not other.questions and one.questions != other.questions:
        keys = [list(zip(*column.questions, strict=True)) for column in (one, other)]
        places = {key: place for place, key in enumerate(keys[1])}
        first = [place for place, key in enumerate(keys[0]) if key in places]
        second = [places[keys[0][place]] for place in first]
        one, other = _take(one, np.array(first, int)), _take(other, np.array(second, int))
    if one.whole and other.whole:
        return one, other
    usable = np.ones(one.outcome.size, dtype=bool)
    for column in (one, other):
        usable &= ~np.isnan(column.outcome)
        if column.confidence is not None:
            usable &= ~np.isnan(column.confidence)
    return _take(one, usable), _take(other, usable)


def _take(column: Column, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Column:
    """The column of those questions, without their ids."""
    confidence = None if column.confidence is None else column.confidence[chosen]
    return Column(((), ()), confidence, column.outcome[chosen])
