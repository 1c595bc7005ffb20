"""Recalibration: fit a map of the confidences on one split, and apply it to another.

    recalibration = fit(validation_confidence, validation_correct, "temperature")
    print(recalibration.evaluate(other_confidence, other_correct))  # did it lower the NLL?
    score(recalibration.apply(test_confidence), test_correct)

Scores on the rows used for fitting are too good, so `apply` refuses these rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_choice, check_count, check_rows
from calib_metrics._fitted_rows import digest, row_ids, save_json, stored_fields, stored_ids
from calib_metrics._recalibration_maps import (
    LOG_ODDS_METHODS,
    METHODS,
    Parameters,
    check_parameters,
    fit_parameters,
    recalibrated,
)
from calib_metrics.calibration import log_losses, nll

_FORMAT = "calibench recalibration 1"


@dataclass(frozen=True)
class Check:
    """The effect of a recalibration on the negative log-likelihood, in nats, of n rows.

    fitted_rows: whether the fit used any of them. impossible: rows that are right at a
    recalibrated confidence of 0 or wrong at 1; one is enough to make `nll_after` infinite.
    Prints as a sentence.
    """

    method: str
    n: int
    nll_before: float
    nll_after: float
    impossible: int
    fitted_rows: bool

    @property
    def lowered(self) -> bool:
        """Whether the NLL is lower than before."""
        return self.nll_after < self.nll_before

    def __str__(self) -> str:
        change = f"{self.nll_before:.4f} to {self.nll_after:.4f}"
        if self.lowered:
            text = f"{self.method} lowers the NLL of these {self.n} rows from {change}."
        else:
            text = (
                f"{self.method} does not lower the NLL of these {self.n} rows ({change}): "
                "keep the confidences as they are."
            )
        if self.impossible:
            text += (
                f" It is infinite because of {self.impossible} row(s) that are right at a "
                "recalibrated confidence of 0, or wrong at 1."
            )
        if self.fitted_rows:
            text += " The fit has seen these rows: this says nothing about new ones."
        return text


@dataclass(frozen=True)
class Recalibration:
    """A fitted recalibration; make one with `fit` or `load`.

    n: number of fitted rows. fitted_rows: their ids, if given; fitted_digest: SHA-256 of their
    sorted confidences. Both serve to recognise these rows.
    """

    method: str
    parameters: Parameters
    clip: float | None
    n: int
    fitted_rows: tuple[str, ...] | None
    fitted_digest: str

    def apply(
        self,
        confidence: ArrayLike,
        *,
        rows: Iterable[str | int] | None = None,
        allow_fitted_rows: bool = False,
    ) -> NDArray[np.float64]:
        """Return the recalibrated confidences, (n,) in [0, 1], in the order given.

        confidence: (n,) in [0, 1]; None or NaN, a missing confidence, stays missing (NaN).
        With temperature, platt and beta, 0 and 1 map to the curve's limit (temperature leaves them
        unchanged), unless the fit had a `clip`.
        rows: ids, as in `fit`. If both calls have ids, any common row is refused. Otherwise exactly
        the confidences of the fit are refused, in any order; a part of them cannot be recognised.
        `allow_fitted_rows` turns both checks off.
        Raises ValueError on bad input, and for fitted rows.
        """
        ordered = _ordered(confidence)
        problem = self._fitted_rows_among(ordered, rows)
        if problem and not allow_fitted_rows:
            raise ValueError(problem)
        values = np.asarray(confidence).astype(np.float64)
        return recalibrated(self.method, self.parameters, values, self.clip)

    def evaluate(
        self,
        confidence: ArrayLike,
        correct: ArrayLike,
        *,
        rows: Iterable[str | int] | None = None,
        allow_fitted_rows: bool = False,
    ) -> Check:
        """Compare the NLL of these rows before and after; a fit need not lower it.

        confidence: (n,) in [0, 1], none missing. correct: (n,) in {0, 1}. The rest as in `apply`.
        isotonic and histogram give 0 or 1 where all fitted rows agreed, and one exception among
        new rows then makes the NLL infinite. It is reported as it is, without clipping.
        """
        ordered, _ = check_rows(confidence, correct)
        rows = None if rows is None else list(rows)
        after = self.apply(confidence, rows=rows, allow_fitted_rows=allow_fitted_rows)
        losses = log_losses(after, np.asarray(correct).astype(np.float64))
        return Check(
            method=self.method,
            n=after.size,
            nll_before=nll(confidence, correct),
            nll_after=nll(after, correct),
            impossible=int(np.isinf(losses).sum()),
            fitted_rows=self._fitted_rows_among(ordered, rows) is not None,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, atomically; `load` returns an equal object."""
        save_json(path, {"format": _FORMAT, **asdict(self)})

    def _fitted_rows_among(
        self, ordered: NDArray[np.float64], rows: Iterable[str | int] | None
    ) -> str | None:
        """Return an error message if the fit used these rows, given their sorted confidences."""
        advice = (
            "Score a recalibration on other rows, or pass allow_fitted_rows=True if these "
            "numbers will not be reported as a result."
        )
        ids = None if rows is None else row_ids(rows, ordered.size)
        if ids is not None and self.fitted_rows is not None:
            shared = sorted(set(ids).intersection(self.fitted_rows))
            if not shared:
                return None
            return (
                f"{self.method} was fitted on {len(shared)} of the row ids given here "
                f"({shared[0]!r}, for one). {advice}"
            )
        if _digest(ordered) != self.fitted_digest:
            return None
        return (
            f"These are exactly the {self.n} confidences that {self.method} was fitted on. "
            f"{advice} If they are other rows that happen to agree, pass rows= to fit and here."
        )


def fit(
    confidence: ArrayLike,
    correct: ArrayLike,
    method: str,
    *,
    rows: Iterable[str | int] | None = None,
    clip: float | None = None,
    bins: int = 10,
) -> Recalibration:
    """Learn a map from confidence c to P(correct) by maximum likelihood, without regularisation.

    temperature: sigmoid(logit(c) / T), T in [0.01, 100] (Guo et al., ICML 2017).
    platt: sigmoid(slope * logit(c) + intercept) (Platt 1999, on log-odds). The slope may be
    negative where confidences rank answers backwards.
    beta: sigmoid(a ln c - b ln(1 - c) + m), a and b at least 0, so that it never falls (Kull et
    al., AISTATS 2017; m is `c` among the parameters).
    isotonic: the non-decreasing curve of least squares, linear between its knots and flat beyond
    them (Zadrozny & Elkan, KDD 2002).
    histogram: the accuracy in each of `bins` bins of equal mass that do not split ties (Zadrozny &
    Elkan, ICML 2001). `bins` is for this method alone.

    confidence: (n,) in [0, 1], none missing. correct: (n,) in {0, 1}. The order of the rows does
    not matter. rows: (n,) ids, text or whole numbers ("1" and 1 are the same), from which `apply`
    recognises these rows; an id may repeat (use question ids to keep all answers to a question on
    one side).
    clip: the first three methods refuse a confidence of 0 or 1, whose log-odds are infinite. A clip
    in (0, 0.5) counts confidences below it as `clip` and those above 1 - clip as 1 - clip, here and
    in `apply`. By default nothing is clipped.

    Raises ValueError on bad input and if no finite fit exists; warns (UserWarning) if T ends at a
    bound. isotonic and histogram give 0 and 1 where all rows agree: see `evaluate`.
    """
    ordered, graded = check_rows(confidence, correct)
    check_choice(method, "method", METHODS)
    bins = check_count(bins, "bins", 1)
    if clip is not None:
        _check_clip(clip, method)
        clip = float(clip)
    ids = None if rows is None else tuple(sorted(set(row_ids(rows, ordered.size))))
    parameters = fit_parameters(method, ordered, graded, clip, bins)
    return Recalibration(method, parameters, clip, ordered.size, ids, _digest(ordered))


def load(path: str | os.PathLike[str]) -> Recalibration:
    """Read a file that `Recalibration.save` wrote.

    Raises FileNotFoundError, or ValueError for any other file.
    """
    try:
        data = stored_fields(path, _FORMAT, Recalibration)
        check_choice(data["method"], "method", METHODS)
        check_parameters(data["method"], data["parameters"])
        if data["clip"] is not None:
            _check_clip(data["clip"], data["method"])
        check_count(data["n"], "n", 1)
        if data["fitted_rows"] is not None:
            data["fitted_rows"] = stored_ids(data["fitted_rows"])
        if not isinstance(data["fitted_digest"], str) or len(data["fitted_digest"]) != 64:
            raise ValueError("fitted_digest must be a SHA-256 in hexadecimal")
    except ValueError as error:  # that of the JSON parser too
        raise ValueError(
            f"{path} is not a saved recalibration, since {error}: "
            "give a file that Recalibration.save wrote."
        ) from None
    return Recalibration(**data)


def _ordered(confidence: ArrayLike) -> NDArray[np.float64]:
    """Check confidences without grades; return the non-missing ones, sorted."""
    ordered, _ = check_rows(confidence, np.zeros(np.size(confidence)), allow_missing=True)
    return ordered


def _digest(ordered: NDArray[np.float64]) -> str:
    return digest(ordered[~np.isnan(ordered)])


def _check_clip(clip: object, method: str) -> None:
    if method not in LOG_ODDS_METHODS:
        raise ValueError(
            f"clip is {clip!r}, but {method} takes 0 and 1 as they are: leave clip out."
        )
    if not isinstance(clip, (int, float)) or isinstance(clip, bool) or not 0 < clip < 0.5:
        raise ValueError(f"clip is {clip!r}: give a number between 0 and 0.5, both excluded.")
