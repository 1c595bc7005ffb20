"""Input checks shared by all metrics, with errors that say what to change."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from numbers import Integral
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

# A softmax or exp(log-probability) in float32 overshoots 1 by about this much at most.
_ROUNDING = 1e-3
_CHUNK = 1 << 16  # rows compared at once


def check_rows(
    confidence: ArrayLike, correct: ArrayLike, *, allow_missing: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both columns as `check_pairs` does, sorted by (confidence, correct), missing last.

    Sorting here makes every sum, and so every score, independent of the order of the rows. Columns
    that are in this order already are not copied.
    """
    confidence, correct = check_pairs(confidence, correct, allow_missing=allow_missing)
    return (
        (confidence, correct) if _in_order(confidence, correct) else sort_rows(confidence, correct)
    )


def _in_order(confidence: NDArray[np.float64], correct: NDArray[np.float64]) -> bool:
    """Return whether `sort_rows` would leave checked columns as they are, down to the bits."""
    bits = np.ascontiguousarray(confidence).view(np.uint64)
    if bits[-1] >> np.uint64(63):  # -0.0, which comes after all others here
        return False
    for begin in range(0, bits.size - 1, _CHUNK):
        rows, after = slice(begin, begin + _CHUNK), slice(begin + 1, begin + _CHUNK + 1)
        later = bits[after]
        here = bits[rows][: later.size]
        if (later < here).any():
            return False
        ties = later == here
        if (correct[after][ties] < correct[rows][: later.size][ties]).any():
            return False
    return True


def sort_rows(
    confidence: NDArray[np.float64], correct: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return checked columns sorted by (confidence, correct), missing confidences last.

    This sorts one array of integers, ten times as fast as sorting by two columns: non-negative
    doubles have the order of their bits, NaN comes last, and the unused sign bit makes room for
    `correct`.
    """
    key = (confidence + 0.0).view(np.uint64)  # + 0.0 makes a copy, and turns -0.0 into 0.0
    key <<= np.uint64(1)
    np.bitwise_or(key, correct, out=key, casting="unsafe", dtype=np.uint64)
    key.sort()
    sorted_correct = np.empty(key.size)
    np.bitwise_and(key, np.uint64(1), out=sorted_correct, casting="unsafe", dtype=np.uint64)
    key >>= np.uint64(1)
    return key.view(np.float64), sorted_correct


def check_pairs(
    confidence: ArrayLike, correct: ArrayLike, *, allow_missing: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both columns as float64 arrays, in the order given; float64 arrays are not copied.

    With `allow_missing`, None and NaN confidences stay in as NaN; otherwise they are an error.
    Raises ValueError for anything that is not a confidence in [0, 1] beside a 0 or 1.
    """
    confidence = _as_floats(confidence, "confidence")
    correct = _as_floats(correct, "correct")
    if confidence.size != correct.size:
        raise ValueError(
            f"confidence has {confidence.size} values and correct has {correct.size}: "
            "give one of each per answer."
        )
    if confidence.size == 0:
        raise ValueError("confidence and correct are empty: give at least one answer.")
    _check_confidence(confidence, allow_missing)
    allowed = (correct == 0) | (correct == 1)
    if not allowed.all():
        raise ValueError(
            f"correct holds {correct[~allowed][0]:g}, but only 0 and 1 (wrong and right) are "
            "allowed: grade every answer, and check that the two arguments are not swapped."
        )
    return confidence, correct


def check_unsorted(
    confidence: ArrayLike, correct: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return confidence as float64 and correct as bool, in the order given: a few passes, no copy.

    Use it for sums that do not depend on the order of the rows. Input that is not plain and in
    range goes to `check_rows`, which raises its ValueErrors.
    """
    c, y = np.asarray(confidence), np.asarray(correct)
    if _plain(c, "f") and _plain(y, "biuf") and c.size == y.size and c.min() >= 0 and c.max() <= 1:
        right = y == 1
        if y.dtype == bool or (right | (y == 0)).all():
            return c.astype(np.float64, copy=False), right
    c, y = check_rows(confidence, correct)
    return c, y == 1


def _plain(column: NDArray[Any], kinds: str) -> bool:
    return column.ndim == 1 and column.size > 0 and column.dtype.kind in kinds


def sort_order(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """Return the order of the rows sorted by the first column, ties by the second, and so on."""
    return np.lexsort(columns[::-1])


def check_groups(groups: Sequence[object] | NDArray[Any], rows: int) -> NDArray[np.int64]:
    """Return each row's group as a number, in the order of the sorted labels.

    Raises ValueError unless there are exactly `rows` labels and none is missing.
    """
    labels = np.asarray(groups, dtype=object)
    if labels.shape != (rows,):
        raise ValueError(f"groups has {labels.size} labels for {rows} rows: give one for each.")
    if any(label is None or label != label for label in labels):
        raise ValueError("groups has missing labels: give every row the name of its group.")
    return np.unique(labels.astype(str), return_inverse=True)[1]


def _as_floats(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values)
    # NumPy would turn "0.9" into 0.9 without a word; unparsed text must not become a confidence.
    if array.dtype.kind in "US" or (
        array.dtype == object and any(isinstance(v, (str, bytes)) for v in array.flat)
    ):
        raise ValueError(f"{name} holds strings: convert them to numbers first.")
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} dimensions: give a 1-D array or list.")
    try:
        return array.astype(np.float64, copy=False)  # None becomes NaN
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers, but {error}.") from None


def clip_rounding(confidence: NDArray[np.float64]) -> tuple[NDArray[np.float64], str]:
    """Clip values that rounding put just outside [0, 1], and describe the change in a sentence.

    Values up to 0.001 outside become 0 or 1; NaN and values farther off stay as they are. The
    sentence is "" if nothing changed.
    """
    clipped = np.clip(confidence, 0.0, 1.0)
    off = np.abs(confidence - clipped)
    moved = (off > 0) & (off <= _ROUNDING)
    if not moved.any():
        return confidence, ""
    return np.where(moved, clipped, confidence), (
        f"{int(moved.sum())} of {confidence.size} confidences missed [0, 1] by rounding, by at "
        f"most {off[moved].max():.2g}, and were clipped to it."
    )


def _check_confidence(confidence: NDArray[np.float64], allow_missing: bool) -> None:
    missing = np.isnan(confidence)
    if missing.any() and not allow_missing:
        raise ValueError(
            f"confidence is missing (None or NaN) in {missing.sum()} of {confidence.size} rows: "
            "drop those rows, or use score(), which leaves them out and counts them."
        )
    given = confidence[~missing] if missing.any() else confidence
    if given.size == 0 or (given.min() >= 0 and given.max() <= 1):
        return
    message = (
        f"confidence runs from {given.min():.10g} to {given.max():.10g}, outside the range [0, 1]"
    )
    if 0 <= given.min() and given.max() <= 1 + _ROUNDING:
        message += (
            ": it looks like rounding error, so clip it first, with numpy.clip or, on the command "
            "line, --clip_rounding."
        )
    else:
        message += (
            ". Say which numbers they are: percent (divide by 100), ratings from 0 to 10 (divide "
            "by 10), or scores of which only the order counts, such as log-probabilities; on the "
            "command line, --scale percent, ten or rank."
        )
    raise ValueError(message)


def check_count(value: int, name: str, least: int) -> int:
    """Return `value` as an int; raise ValueError unless it is a whole number >= `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} is {value!r}: give a whole number of at least {least}.")
    return int(value)


def is_finite(value: object) -> TypeGuard[float]:
    """Return whether a value from JSON is a number that a double holds; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= sys.float_info.max


def check_choice(value: str, name: str, choices: Sequence[str]) -> None:
    """Raise ValueError unless `value` is one of the `choices`."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: choose one of {', '.join(choices)}.")
