"""Logistic regression by maximum likelihood, with NumPy and SciPy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog, minimize
from scipy.special import expit

Floats = NDArray[np.float64]
_SEPARATED = 1e-6  # of the linear program below; its optimum is 0 or of the order of 1


def fit_logistic(features: Floats, correct: Floats, names: Sequence[str]) -> tuple[Floats, float]:
    """Return the weights and the intercept that maximise the likelihood.

    features: (n, k), finite. correct: (n,) in {0, 1}. names: of the features, for errors.
    Raises ValueError where the maximum does not exist or is not unique.
    """
    n = len(correct)
    if not 0 < correct.sum() < n:
        kind = "right" if n and correct.all() else "wrong"
        raise ValueError(f"there is no finite fit, because all {n} answers are {kind}.")
    center, scale = features.mean(axis=0), features.std(axis=0)
    if not scale.all():
        constant = names[int(np.argmin(scale))]
        raise ValueError(f"{constant} is the same for every answer: leave it out.")
    columns = np.column_stack([(features - center) / scale, np.ones(n)])
    _check_unique(columns[:, :-1], names)
    signed = np.where(correct[:, None] == 1, columns, -columns)
    _check_overlap(signed)

    def loss(weights: Floats) -> tuple[float, Floats]:
        z = signed @ weights
        return float(np.mean(np.logaddexp(0, -z))), -signed.T @ expit(-z) / n

    def curvature(weights: Floats) -> Floats:
        share = expit(signed @ weights)
        return (signed.T * (share * (1 - share))) @ signed / n

    start = np.zeros(columns.shape[1])
    options = {"gtol": 1e-12, "maxiter": 1_000}
    found = minimize(loss, start, jac=True, hess=curvature, method="trust-exact", options=options).x
    weights = found[:-1] / scale
    return weights, float(found[-1] - weights @ center)


def _check_unique(columns: Floats, names: Sequence[str]) -> None:
    """Raise ValueError if a column is a linear function of those before it."""
    for k in range(2, columns.shape[1] + 1):
        if np.linalg.matrix_rank(columns[:, :k]) < k:
            raise ValueError(
                f"{names[k - 1]} says nothing that {', '.join(names[: k - 1])} does not say: its "
                "logits are a linear function of theirs. Leave it out."
            )


def _check_overlap(signed: Floats) -> None:
    """Raise ValueError if a plane separates the right answers from the wrong ones.

    Then the likelihood grows without end. There is such a plane if some weights give every answer
    a margin of at least 0 and one of them a margin above 0 (Albert & Anderson, Biometrika 1984).
    """
    box = [(-1.0, 1.0)] * signed.shape[1]
    found = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=box)
    if found.status == 0 and -found.fun > _SEPARATED:
        raise ValueError(
            "there is no finite fit, because these methods together separate all right answers "
            "from all wrong ones: give more rows or fewer methods."
        )
