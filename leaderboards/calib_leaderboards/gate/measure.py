"""The scores of a column of samples, and the test for each of them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from calib_leaderboards.gate.evidence import (
    CALIBRATION_ERRORS,
    Evidence,
    mean_against,
    metric_against,
    paired_mean,
    paired_metric,
)
from calib_leaderboards.gate.runs import CannotDecide
from calib_leaderboards.gate.samples import Column
from calib_metrics import score
from calib_metrics.registry import check_metrics, find, find_or_none

Floats = NDArray[np.float64]


def value_of(name: str, column: Column) -> float:
    """The score over the whole column; NaN where undefined.

    Raises CannotDecide if the samples have no such score.
    """
    values = _per_question(name, column)
    if values is None:
        return score(*_graded(column), (name,), resamples=0)[name].value
    values = values[~np.isnan(values)]
    return float(np.mean(values)) if values.size else math.nan


def standard_error(name: str, column: Column) -> float:
    """The standard error of `value_of`; NaN where undefined."""
    values = _per_question(name, column)
    if values is None:
        return score(*_graded(column), (name,))[name].stderr
    values = values[~np.isnan(values)]
    return float(np.std(values, ddof=1) / math.sqrt(values.size)) if values.size > 1 else math.nan


def definition(name: str, method: str, column: Column) -> str | None:
    """What determines the score besides the number of questions; None for other tasks' scores."""
    if not _of_confidences(name, column):
        return None
    method = method.replace("|", "/")  # which separates the parts
    signature = score([0.5, 0.5], [0, 1], (name,), method=method, resamples=0)[name].signature
    return "|".join(part for part in signature.split("|") if not part.startswith("n:"))


def paired(
    name: str,
    base: Column,
    new: Column,
    *,
    higher: bool,
    tolerance: float,
    resamples: int,
    seed: int,
) -> Evidence:
    """Test `new` against `base`, question by question.

    A mean over questions is tested by sign flips, any other score by the bootstrap. Questions that
    either side left without a grade, or a confidence where the score needs one, are left out.
    """
    options = {"higher": higher, "tolerance": tolerance, "resamples": resamples, "seed": seed}
    old, now = _per_question(name, base), _per_question(name, new)
    if (old is None) != (now is None):
        raise CannotDecide(f"Only one of baseline and run has confidences for {name}.")
    if now is not None:
        given = ~(np.isnan(old) | np.isnan(now))
        old, now = _usable(name, old[given]), _usable(name, now[given])
        return paired_mean(old, now, missing=int(np.sum(~given)), **options)
    _refuse_untested(name)
    both = ~(np.isnan(base.correct) | np.isnan(new.correct))
    sides = [(column.confidence[both], column.correct[both]) for column in (base, new)]
    return paired_metric(name, *sides, **options)


def against_value(
    name: str,
    value: float,
    new: Column,
    *,
    stderr: float,
    higher: bool,
    tolerance: float,
    resamples: int,
    seed: int,
) -> Evidence:
    """Test `new` against a value and its standard error, where the samples were not kept."""
    options = {"stderr": stderr, "higher": higher, "tolerance": tolerance}
    options |= {"resamples": resamples, "seed": seed}
    now = _per_question(name, new)
    if now is not None:
        given = ~np.isnan(now)
        now = _usable(name, now[given])
        return mean_against(value, now, missing=int(np.sum(~given)), **options)
    _refuse_untested(name)
    return metric_against(name, value, _graded(new), **options)


def _per_question(name: str, column: Column) -> Floats | None:
    """Return the values whose mean the score is (NaN: left out); None if it is not a mean."""
    if not _of_confidences(name, column):
        return _logged(name, column)
    row_values = find(name).metric.row_values
    if row_values is None:
        return None
    values = row_values(column.confidence, column.correct)
    return np.where(np.isnan(column.correct), np.nan, values)


def _of_confidences(name: str, column: Column) -> bool:
    """Whether calib_metrics defines the score; otherwise it is a mean of logged values."""
    if column.confidence is None or find_or_none(name) is None:
        return False
    check_metrics([name])
    return True


def _logged(name: str, column: Column) -> Floats:
    if name in column.values:
        return column.values[name]
    has = f"they have {', '.join(sorted(column.values))}" if column.values else "they have none"
    raise CannotDecide(
        f"The samples have no score {name} that is a finite number for each question; {has}."
    )


def _graded(column: Column) -> tuple[Floats, Floats]:
    graded = ~np.isnan(column.correct)
    return column.confidence[graded], column.correct[graded]


def _usable(name: str, values: Floats) -> Floats:
    if values.size < 2:
        raise CannotDecide(f"{name} can be compared on {values.size} questions; it takes two.")
    if infinite := int(np.sum(np.isinf(values))):
        raise CannotDecide(
            f"{name} is infinite for {infinite} questions, where a confidence of 0 or 1 was "
            "wrong; test brier instead."
        )
    return values


def _refuse_untested(name: str) -> None:
    if find(name).metric.chance_raises and name not in CALIBRATION_ERRORS:
        raise CannotDecide(
            f"Chance alone raises {name}, and the gate does not know by how much; test "
            f"{' or '.join(CALIBRATION_ERRORS)} instead, or write `test: threshold`."
        )
