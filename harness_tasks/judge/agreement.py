"""How well a judge agrees with human labels."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

RESAMPLES = 1000

Pairs = Sequence[tuple[Hashable, Hashable]]
Weights = Literal["none", "quadratic"]


def agreement(pairs: Pairs) -> float:
    """Share of (judge, human) pairs that are equal, in [0, 1]; NaN without pairs."""
    return sum(judge == human for judge, human in pairs) / len(pairs) if pairs else math.nan


def cohen_kappa(pairs: Pairs, weights: Weights = "none") -> float:
    """Cohen's kappa, 1 - (observed disagreement) / (disagreement expected by chance), at most 1.

    0 is the agreement that two raters with these frequencies reach by chance. weights:
    ``quadratic`` counts a disagreement by the squared difference, for ratings; ``none`` counts
    every one as 1. NaN without pairs, and where both always give the same single label. As
    scikit-learn's ``cohen_kappa_score``. Source: Cohen 1960, 1968.

    >>> cohen_kappa([(1, 1), (0, 0), (1, 0), (0, 0)])
    0.5
    """
    if not pairs:
        return math.nan
    labels = sorted({label for pair in pairs for label in pair}, key=_order)
    return float(_kappa(_table(pairs, labels), _disagreement(labels, weights)))


def kappa_stderr(pairs: Pairs, weights: Weights = "none") -> float:
    """Bootstrap standard error of `cohen_kappa`: 1,000 resamples, seed 0; NaN below two pairs.

    Resamples in which both raters always give the same label have no kappa and are left out.
    """
    if len(pairs) < 2:
        return math.nan
    labels = sorted({label for pair in pairs for label in pair}, key=_order)
    table = _table(pairs, labels)
    # Resampling pairs is drawing the cells of their table anew.
    drawn = np.random.default_rng(0).multinomial(
        len(pairs), table.ravel() / len(pairs), size=RESAMPLES
    )
    kappas = _kappa(drawn.reshape(-1, *table.shape), _disagreement(labels, weights))
    kappas = kappas[np.isfinite(kappas)]
    return float(np.std(kappas, ddof=1)) if kappas.size > 1 else math.nan


def spearman(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's rank correlation of judge and human, in [-1, 1]; ties share their mean rank.

    NaN below two pairs, and where one of them is constant.
    """
    if len(pairs) < 2:
        return math.nan
    return float(_rank_correlation(np.array(pairs, dtype=float)[None])[0])


def spearman_stderr(pairs: Sequence[tuple[float, float]]) -> float:
    """Bootstrap standard error of `spearman`: 1,000 resamples, seed 0; NaN below two pairs.

    Resamples in which one of them is constant have no correlation and are left out.
    """
    if len(pairs) < 2:
        return math.nan
    drawn = np.random.default_rng(0).integers(len(pairs), size=(RESAMPLES, len(pairs)))
    found = _rank_correlation(np.array(pairs, dtype=float)[drawn])
    found = found[np.isfinite(found)]
    return float(np.std(found, ddof=1)) if found.size > 1 else math.nan


def _rank_correlation(samples: NDArray) -> NDArray[np.float64]:
    """The correlation in each sample of pairs: (sample, pair, judge or human)."""
    ranks = rankdata(samples, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    judge, human = ranks[..., 0], ranks[..., 1]
    with np.errstate(invalid="ignore"):
        return (judge * human).sum(1) / np.sqrt((judge**2).sum(1) * (human**2).sum(1))


def _order(label: Hashable) -> tuple[bool, Hashable]:
    return isinstance(label, str), label


def _table(pairs: Pairs, labels: list[Hashable]) -> NDArray[np.int64]:
    place = {label: number for number, label in enumerate(labels)}
    table = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for judge, human in pairs:
        table[place[judge], place[human]] += 1
    return table


def _disagreement(labels: list[Hashable], weights: Weights) -> NDArray[np.float64]:
    if weights == "quadratic":
        # By the ratings themselves: one that nobody gave still lies between its neighbours.
        values = np.array(labels, dtype=float)
        return (values[:, None] - values[None, :]) ** 2
    return 1.0 - np.eye(len(labels))


def _kappa(tables: NDArray, disagreement: NDArray) -> NDArray[np.float64]:
    """Kappa of each table of counts (the last two axes)."""
    counts = tables.sum(axis=(-2, -1))
    rows, columns = tables.sum(axis=-1), tables.sum(axis=-2)
    expected = np.einsum("...i,...j,ij->...", rows, columns, disagreement) / counts
    observed = np.einsum("...ij,ij->...", tables, disagreement)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - observed / expected, np.nan)
