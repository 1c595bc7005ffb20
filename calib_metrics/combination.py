"""Combine the confidences of several methods into one: fitted on one split, applied to another.

    combination = fit({"likelihood": a, "sampling": b}, correct, rows=ids)
    score(combination.apply({"likelihood": c, "sampling": d}, rows=other_ids), other_correct)

Scores on the rows used for fitting are too good, so `apply` refuses these rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from calib_metrics._checks import check_count, check_groups, check_pairs, is_finite
from calib_metrics._fitted_rows import digest, row_ids, save_json, stored_fields, stored_ids
from calib_metrics._logistic import fit_logistic

Floats = NDArray[np.float64]
_FORMAT = "calibench combination 1"
_LIBRARIES = ("calibench", "numpy", "scipy")


@dataclass(frozen=True)
class Combination:
    """A fitted combination; make one with `fit` or `load`.

    P(correct) = sigmoid(intercept + sum over the methods of weight * logit(confidence)).

    n: number of fitted rows; n_missing: rows left out of the fit because a method gave no
    confidence. fitted_rows: the ids of all rows given to the fit, if it had any; fitted_digest:
    SHA-256 of their sorted confidences. Both serve to recognise these rows. seed: of the folds of
    the cross-validation that went with the fit; the fit itself draws nothing. versions: of the
    libraries that made it.
    """

    methods: tuple[str, ...]
    weights: tuple[float, ...]
    intercept: float
    clip: float | None
    n: int
    n_missing: int
    seed: int
    fitted_rows: tuple[str, ...] | None
    fitted_digest: str
    versions: dict[str, str]

    @property
    def signature(self) -> str:
        """Everything that makes its confidences, as "key:value" joined by "|"."""
        pairs = zip(self.methods, self.weights, strict=True)
        parts = [f"weight:{name}={weight:.6g}" for name, weight in pairs]
        parts.append(f"intercept:{self.intercept:.6g}")
        parts += [] if self.clip is None else [f"clip:{self.clip:g}"]
        return "|".join([*parts, f"fit_n:{self.n}", f"fit_rows:{self.fitted_digest[:8]}"])

    def apply(
        self,
        confidences: Mapping[str, ArrayLike],
        *,
        rows: Iterable[str | int] | None = None,
        allow_fitted_rows: bool = False,
    ) -> Floats:
        """Return the combined confidences, (n,) in [0, 1], in the order given.

        confidences: of each method, (n,) in [0, 1], None or NaN where missing; other methods than
        those of the fit are not read. Where one is missing, the combined confidence is too (NaN).
        rows: ids, as in `fit`. If both calls have ids, any common row is refused. Otherwise exactly
        the confidences of the fit are refused, in any order; a part of them cannot be recognised.
        `allow_fitted_rows` turns both checks off.
        Raises ValueError on bad input, a method that is not there, and for fitted rows.
        """
        columns = _columns(confidences, self.methods)
        problem = self._fitted_rows_among(columns, rows)
        if problem and not allow_fitted_rows:
            raise ValueError(problem)
        odds = _log_odds(columns, self.methods, self.clip)
        return expit(self.intercept + odds @ np.array(self.weights))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, atomically; `load` returns an equal object."""
        save_json(path, {"format": _FORMAT, **asdict(self)})

    def _fitted_rows_among(self, columns: Floats, rows: Iterable[str | int] | None) -> str | None:
        """Return an error message if the fit used these rows."""
        advice = "Fit it on other questions than those that are scored."
        ids = None if rows is None else row_ids(rows, len(columns))
        if ids is not None and self.fitted_rows is not None:
            shared = sorted(set(ids).intersection(self.fitted_rows))
            if not shared:
                return None
            return (
                f"The combination was fitted on {len(shared)} of these {len(set(ids))} questions "
                f"({shared[0]!r}, for one). {advice}"
            )
        if _digest(columns) != self.fitted_digest:
            return None
        return f"These are exactly the rows that the combination was fitted on. {advice}"


def fit(
    confidences: Mapping[str, ArrayLike],
    correct: ArrayLike,
    *,
    rows: Iterable[str | int] | None = None,
    clip: float | None = None,
    seed: int = 0,
) -> Combination:
    """Learn P(correct) from the logits of several methods' confidences.

    A logistic regression by maximum likelihood, without regularisation, so that its result depends
    on nothing but the rows. A method that ranks the answers backwards gets a negative weight.

    confidences: of each method, (n,) in [0, 1], None or NaN where missing; rows where one is
    missing are left out and counted. correct: (n,) in {0, 1}.
    rows: (n,) ids, text or whole numbers, from which `apply` recognises these rows; an id may
    repeat.
    clip: a confidence of 0 or 1 has infinite log-odds and is refused, unless a clip in (0, 0.5)
    says that confidences below it count as `clip` and those above 1 - clip as 1 - clip, here and in
    `apply`. By default nothing is clipped.
    seed: is only recorded; see `cross_validate`.

    Raises ValueError on bad input and if no finite or no unique fit exists: all answers are right
    or wrong, the methods separate the right ones from the wrong ones, or one method's logits are a
    linear function of the others'.
    Source: stacked generalization, Wolpert, Neural Networks 1992.
    """
    methods = tuple(confidences)
    if not methods:
        raise ValueError("confidences is empty: give at least one method.")
    columns = _columns(confidences, methods)
    _check_clip(clip)
    graded = check_pairs(columns[:, 0], correct, allow_missing=True)[1]
    ids = None if rows is None else tuple(sorted(set(row_ids(rows, len(columns)))))
    odds = _log_odds(columns, methods, clip)
    there = ~np.isnan(odds).any(axis=1)
    if not there.any():
        raise ValueError(f"none of the {len(odds)} rows has a confidence by every method.")
    weights, intercept = fit_logistic(odds[there], graded[there], methods)
    return Combination(
        methods=methods,
        weights=tuple(weights.tolist()),
        intercept=intercept,
        clip=None if clip is None else float(clip),
        n=int(there.sum()),
        n_missing=int((~there).sum()),
        seed=check_count(seed, "seed", 0),
        fitted_rows=ids,
        fitted_digest=_digest(columns),
        versions={name: version(name) for name in _LIBRARIES},
    )


def cross_validate(
    confidences: Mapping[str, ArrayLike],
    correct: ArrayLike,
    *,
    groups: Sequence[object] | None = None,
    folds: int = 5,
    seed: int = 0,
    clip: float | None = None,
) -> Floats:
    """Combined confidences, (n,), each from a fit on the folds that the row is not in.

    Their scores estimate how a combination does on rows that its fit has not seen; with `groups`,
    on rows of groups that it has not seen.

    groups: (n,) labels; rows with the same label are in the same fold. folds: how many. seed:
    shuffles the groups before the largest are put, one after the other, into the fold with the
    fewest rows. The rest as in `fit`.
    Raises ValueError as `fit` does, and if there are fewer groups than folds.
    """
    columns = _columns(confidences, tuple(confidences))
    graded = check_pairs(columns[:, 0], correct, allow_missing=True)[1]
    n = len(graded)
    labels = np.arange(n) if groups is None else check_groups(groups, n)
    fold = _folds(labels, check_count(folds, "folds", 2), check_count(seed, "seed", 0))
    combined = np.full(n, np.nan)
    for number in range(folds):
        out = fold == number
        try:
            fitted = fit(_rows(confidences, ~out), graded[~out], clip=clip)
        except ValueError as error:
            raise ValueError(f"Without fold {number + 1} of {folds}: {error}") from None
        combined[out] = fitted.apply(_rows(confidences, out), allow_fitted_rows=True)
    return combined


def load(path: str | os.PathLike[str]) -> Combination:
    """Read a file that `Combination.save` wrote.

    Raises FileNotFoundError, or ValueError for any other file.
    """
    try:
        return Combination(**_checked(stored_fields(path, _FORMAT, Combination)))
    except ValueError as error:  # that of the JSON parser too
        raise ValueError(
            f"{path} is not a saved combination, since {error}: "
            "give a file that `calibench combine fit` wrote."
        ) from None


def _checked(data: dict[str, Any]) -> dict[str, Any]:
    methods, weights = data["methods"], data["weights"]
    if not isinstance(methods, list) or not all(isinstance(name, str) for name in methods):
        raise ValueError("methods must be a list of text")
    numbers = [*weights, data["intercept"]] if isinstance(weights, list) else []
    if len(numbers) != len(methods) + 1 or not all(is_finite(value) for value in numbers):
        raise ValueError("it needs an intercept, and a weight for each method, that are numbers")
    for name, least in (("n", 1), ("n_missing", 0), ("seed", 0)):
        check_count(data[name], name, least)
    _check_clip(data["clip"])
    if not isinstance(data["fitted_digest"], str) or len(data["fitted_digest"]) != 64:
        raise ValueError("fitted_digest must be a SHA-256 in hexadecimal")
    if not isinstance(data["versions"], dict):
        raise ValueError("versions must be an object")
    ids = data["fitted_rows"]
    return {
        **data,
        "methods": tuple(methods),
        "weights": tuple(weights),
        "fitted_rows": None if ids is None else stored_ids(ids),
    }


def _columns(confidences: Mapping[str, ArrayLike], methods: Sequence[str]) -> Floats:
    """Return the checked confidences of the methods, a column for each."""
    found: list[Floats] = []
    for name in methods:
        if "|" in name:
            raise ValueError(f"method is {name!r}: leave out '|', which separates a signature.")
        if name not in confidences:
            raise ValueError(f"There is no method '{name}', only {', '.join(confidences)}.")
        size = np.size(confidences[name])
        if found and size != found[0].size:
            raise ValueError(
                f"{methods[0]} has {found[0].size} values and {name} has {size}: give one of each "
                "per row."
            )
        try:
            found.append(check_pairs(confidences[name], np.zeros(size), allow_missing=True)[0])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return np.stack(found, axis=1)


def _log_odds(columns: Floats, methods: Sequence[str], clip: float | None) -> Floats:
    if clip is not None:
        return logit(np.clip(columns, clip, 1 - clip))
    extreme = (columns == 0) | (columns == 1)
    if extreme.any():
        counts = zip(methods, extreme.sum(axis=0).tolist(), strict=True)
        listed = ", ".join(f"{count} of {name}" for name, count in counts if count)
        raise ValueError(
            f"Confidences of exactly 0 or 1 have infinite log-odds, and there are some ({listed}, "
            f"in {len(columns)} rows): give a clip, such as 0.005, to count them as 0.005 and "
            "0.995."
        )
    return logit(columns)


def _check_clip(clip: object) -> None:
    number = isinstance(clip, (int, float)) and not isinstance(clip, bool)
    if clip is not None and not (number and 0 < clip < 0.5):  # type: ignore[operator]
        raise ValueError(f"clip is {clip!r}: give a number between 0 and 0.5, both excluded.")


def _digest(columns: Floats) -> str:
    return digest(columns[np.lexsort(columns.T)])


def _rows(confidences: Mapping[str, ArrayLike], chosen: NDArray[np.bool_]) -> dict[str, Floats]:
    return {name: np.asarray(values, float)[chosen] for name, values in confidences.items()}


def _folds(labels: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row, as even as whole groups allow."""
    sizes = np.bincount(labels)
    if sizes.size < folds:
        raise ValueError(
            f"{sizes.size} groups cannot be divided into {folds} folds: ask for fewer."
        )
    shuffled = np.random.default_rng(seed).permutation(sizes.size)
    fold_of, filled = np.empty(sizes.size, np.int64), np.zeros(folds, np.int64)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of[group] = np.argmin(filled)
        filled[fold_of[group]] += sizes[group]
    return fold_of[labels]
