"""Temperature scaling (Guo et al. 2017): one number that softens or sharpens a confidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

BOUNDS = (-5.0, 5.0)  # of log T


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)), stable for large arguments."""
    return np.exp(-np.logaddexp(0, -x))


def fit_temperature(log_odds: NDArray[np.float64], correct: NDArray[np.int_]) -> dict[str, Any]:
    """Temperature T > 0 that minimises the mean NLL of sigmoid(log_odds / T).

    Args:
        log_odds: shape (n,), log P(yes) - log P(no).
        correct: shape (n,), 0 or 1.

    Returns:
        ``temperature``, ``nll_before``, ``nll_after`` and ``temperature_lowers_nll``; if it does
        not lower the NLL, the temperature is 1 and the last one is false.
    """
    signed = np.where(np.asarray(correct) == 1, log_odds, -np.asarray(log_odds))
    return best_temperature(lambda t: float(np.logaddexp(0, -signed / t).mean()))


def best_temperature(nll: Callable[[float], float]) -> dict[str, Any]:
    """The temperature between e^-5 and e^5 that minimises `nll`, a function of it.

    Returns:
        As `fit_temperature`.
    """
    best = minimize_scalar(
        lambda log_t: nll(np.exp(log_t)), bounds=BOUNDS, method="bounded", options={"xatol": 1e-8}
    )
    before, after = nll(1.0), float(best.fun)
    lowers = after < before
    return {
        "temperature": float(np.exp(best.x)) if lowers else 1.0,
        "nll_before": before,
        "nll_after": after if lowers else before,
        "temperature_lowers_nll": lowers,
    }
