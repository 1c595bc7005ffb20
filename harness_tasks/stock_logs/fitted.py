"""Scores that are fitted on other rows: cutoffs for abstention, and conformal sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calib_metrics._checks import clip_rounding
from calib_metrics.abstention import THRESHOLDS, Cutoff, best_cutoff
from calib_metrics.conformal import SCORES, Conformal, conformal_scores, fit_conformal
from calib_metrics.scales import to_confidence
from calib_metrics.scores import Score, score
from harness_tasks.stock_logs.table import Column, LogTable

PREFIX = "fitted_"


@dataclass(frozen=True)
class Fitted:
    """What was fitted for one method: cutoffs and conformal sets.

    cutoffs: by the stated threshold. conformal: empty where there are no options' probabilities.
    n: rows of the fit. scored: the places of the rows that are to be scored; None for all. drawn:
    the end of the signatures, which says how the rows were divided; "" for rows of another table.
    notes: sentences for the reader.
    """

    cutoffs: dict[float, Cutoff]
    conformal: tuple[Conformal, ...]
    n: int
    scored: NDArray[np.int64] | None = None
    drawn: str = ""
    notes: tuple[str, ...] = ()


def fit_on(
    table: LogTable,
    method: str,
    validation: LogTable | float,
    *,
    alpha: float = 0.1,
    scale: str = "probability",
    clip: bool = False,
    seed: int = 0,
) -> Fitted:
    """Fit a method's cutoffs and conformal sets.

    validation: another table with that method; rows that `table` has too are left out of the fit.
    Or a share in (0, 1) of the rows of `table`, drawn with `seed`; the others are to be scored.
    alpha: the share of conformal sets that may miss the right option. scale, clip: as in
    `calib_metrics.report.make_report`.
    Raises ValueError if no row is left to fit on, or the two are the same rows.
    """
    scored, drawn, notes = None, "", []
    if isinstance(validation, LogTable):
        rows, left_out = _other_rows(table, method, validation)
        if left_out:
            notes.append(
                f"{left_out} of {len(validation.keys)} validation questions are also scored here: "
                "they were left out of the fit."
            )
    else:
        n = table.columns[method].correct.size
        drawn = f"|fit_share:{validation:g}|fit_seed:{seed}"
        order = np.random.default_rng(seed).permutation(n)
        cut = round(validation * n)
        if not 0 < cut < n:
            raise ValueError(f"{table.source}: a share of {validation:g} of {n} rows leaves none.")
        rows, scored = table.rows_at(np.sort(order[:cut])), np.sort(order[cut:])
    column = rows.columns[method]
    confidence = _confidences(column, scale, clip)
    given = ~np.isnan(confidence)
    if not given.any():
        raise ValueError(f"{rows.source}: no row to fit on has a confidence by {method or 'it'}.")
    cutoffs = {
        t: best_cutoff(confidence[given], column.correct[given], threshold=t) for t in THRESHOLDS
    }
    options = _known_options(column)
    conformal = (
        tuple(fit_conformal(*options, score=name, alpha=alpha) for name in SCORES)
        if options
        else ()
    )
    return Fitted(cutoffs, conformal, int(given.sum()), scored, drawn, tuple(notes))


def fitted_scores(
    fitted: Fitted,
    column: Column,
    groups: NDArray[np.object_] | None,
    *,
    method: str,
    scale: str = "probability",
    clip: bool = False,
    missing: str = "exclude",
    **options: Any,
) -> dict[str, Score]:
    """Score rows that were not used in the fit.

    "abstention_score@T" answers above T, "fitted_abstention_score@T" above the fitted cutoff; the
    others are those of `conformal_scores`. options: of `score`.
    """
    names = ("resamples", "interval", "seed")
    shared = {name: options[name] for name in names if name in options}
    asked = {**shared, "method": method, "groups": groups, "missing": missing}
    confidence = _confidences(column, scale, clip)
    scores: dict[str, Score] = {}
    for t, (cutoff, _) in fitted.cutoffs.items():
        name = f"abstention_score@{t:g}"
        scores |= score(confidence, column.correct, [name], **asked)
        # 1 and 0 are above and below every threshold.
        given = np.where(np.isnan(confidence), np.nan, confidence > cutoff)
        found = score(given, column.correct, [name], **asked)[name]
        kind, _, rest = found.signature.partition("|")
        signature = f"{PREFIX}{kind}|cutoff:{cutoff:g}|fit_n:{fitted.n}|{rest}"
        scores[PREFIX + name] = replace(found, name=PREFIX + name, signature=signature)
    known = _known_places(column)
    if fitted.conformal and known.size:
        assert column.probabilities is not None and column.gold is not None
        for conformal in fitted.conformal:
            found_sets = conformal_scores(
                conformal,
                [column.probabilities[at] for at in known],
                column.gold[known],
                method=method,
                groups=None if groups is None else groups[known],
                **shared,
            )
            without = len(column.gold) - known.size
            scores |= {name: replace(each, n_missing=without) for name, each in found_sets.items()}
    return {
        name: replace(each, signature=each.signature + fitted.drawn)
        for name, each in scores.items()
    }


def _confidences(column: Column, scale: str, clip: bool) -> NDArray[np.float64]:
    confidence = to_confidence(column.confidence, scale)
    return clip_rounding(confidence)[0] if clip else confidence


def _other_rows(table: LogTable, method: str, validation: LogTable) -> tuple[LogTable, int]:
    """Return the rows of `validation` that `table` does not have, and how many it has."""
    if method not in validation.columns:
        raise ValueError(
            f"{validation.source}: there is no method '{method}' to fit on, only "
            f"{', '.join(validation.columns)}."
        )
    same = (
        f"{validation.source} holds the rows that are scored: fit on others, or give a share of "
        "these, such as --validation 0.5."
    )
    if table.keys and validation.keys:
        scored = set(table.keys)
        places = [at for at, key in enumerate(validation.keys) if key not in scored]
        if not places:
            raise ValueError(same)
        return validation.rows_at(np.array(places)), len(validation.keys) - len(places)
    if _sorted_rows(table.columns[method]) == _sorted_rows(validation.columns[method]):
        raise ValueError(same)
    return validation, 0


def _sorted_rows(column: Column) -> bytes:
    order = np.lexsort((column.correct, column.confidence))
    return np.stack([column.confidence, column.correct])[:, order].tobytes()


def _known_places(column: Column) -> NDArray[np.int64]:
    """Return the questions with one known right option and all probabilities."""
    if column.probabilities is None or column.gold is None:
        return np.array([], np.int64)
    pairs = zip(column.probabilities, column.gold, strict=True)
    return np.array(
        [at for at, (shares, gold) in enumerate(pairs) if gold >= 0 and not np.isnan(shares).any()],
        np.int64,
    )


def _known_options(column: Column) -> tuple[Sequence[NDArray[np.float64]], NDArray[Any]] | None:
    known = _known_places(column)
    if not known.size or column.probabilities is None or column.gold is None:
        return None
    return [column.probabilities[at] for at in known], column.gold[known]
