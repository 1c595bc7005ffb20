"""The recalibration methods as plain functions: fit the parameters, apply them to a confidence."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.special import expit

from calib_metrics._checks import is_finite
from calib_metrics.bins import bin_index

Parameters = dict[str, Any]  # numbers of the log-odds methods, lists of numbers of the others

LOG_ODDS_METHODS = ("temperature", "platt", "beta")
METHODS = (*LOG_ODDS_METHODS, "isotonic", "histogram")

# Beyond it every confidence is, to two digits, 0.50 (or 0 and 1): the optimum lies at infinity.
MAX_TEMPERATURE = 100.0

# The names of each method's parameters; those in _TABLES are lists.
_NUMBERS = {"temperature": ("temperature",), "platt": ("slope", "intercept"), "beta": tuple("abc")}
_TABLES = {"isotonic": ("confidence", "accuracy"), "histogram": ("edges", "accuracy")}


def fit_parameters(
    method: str,
    confidence: NDArray[np.float64],
    correct: NDArray[np.float64],
    clip: float | None,
    bins: int,
) -> Parameters:
    """Fit `method` to columns sorted by `check_rows`; see `calib_metrics.recalibration.fit`."""
    if method == "isotonic":
        return _fit_isotonic(confidence, correct)
    if method == "histogram":
        return _fit_histogram(confidence, correct, bins)
    confidence = _clipped(confidence, clip)
    _check_interior(method, confidence)
    if method == "temperature":
        return _fit_temperature(_log_odds(confidence), correct)
    _check_identified(method, confidence, correct)
    if method == "platt":
        return _fit_platt(_log_odds(confidence), correct)
    return _fit_beta(np.stack([np.log(confidence), -np.log1p(-confidence)], axis=1), correct)


def recalibrated(
    method: str,
    parameters: Parameters,
    confidence: NDArray[np.float64],
    clip: float | None,
) -> NDArray[np.float64]:
    """Map each confidence through the fitted curve; NaN stays NaN.

    A confidence of 0 or 1 maps to the curve's limit, unless `clip` moves it inside.
    """
    if method == "isotonic":
        return np.interp(confidence, parameters["confidence"], parameters["accuracy"])
    if method == "histogram":
        index = np.searchsorted(parameters["edges"], confidence, side="right")
        index = np.minimum(index, len(parameters["edges"]))
        return np.where(np.isnan(confidence), np.nan, np.asarray(parameters["accuracy"])[index])
    confidence = _clipped(confidence, clip)
    with np.errstate(divide="ignore"):  # the infinite log-odds of 0 and 1 are meant
        if method == "temperature":
            return expit(_log_odds(confidence) / parameters["temperature"])
        if method == "platt":
            log_odds = _times(parameters["slope"], _log_odds(confidence))
            return expit(log_odds + parameters["intercept"])
        low = _times(parameters["a"], np.log(confidence))
        high = _times(parameters["b"], np.log1p(-confidence))
        return expit(low - high + parameters["c"])


def check_parameters(method: str, parameters: object) -> None:
    """Raise ValueError unless `parameters` can come from a fit of `method`."""
    names = _NUMBERS.get(method) or _TABLES[method]
    if not isinstance(parameters, dict) or set(parameters) != set(names):
        raise ValueError(f"the parameters of {method} must be {' and '.join(names)}")
    if method in _TABLES:
        x, accuracy = (parameters[name] for name in names)
        _check_table(x, accuracy, steps=method == "histogram")
    elif not all(is_finite(value) for value in parameters.values()):
        raise ValueError(f"the parameters of {method} must be finite numbers")
    elif method == "temperature" and parameters["temperature"] <= 0:
        raise ValueError("the temperature must be above 0")
    elif method == "beta" and min(parameters["a"], parameters["b"]) < 0:
        raise ValueError("a and b of beta must not be below 0")


def _check_table(x: Any, accuracy: Any, steps: bool) -> None:
    for column in (x, accuracy):
        if not isinstance(column, list) or not all(is_finite(v) and 0 <= v <= 1 for v in column):
            raise ValueError("its lists must hold numbers in [0, 1]")
    if not accuracy or len(x) != len(accuracy) - steps:
        raise ValueError("its lists do not have matching lengths")
    if any(left >= right for left, right in pairwise(x)):
        raise ValueError("its confidences or edges must ascend")
    if not steps and any(left > right for left, right in pairwise(accuracy)):
        raise ValueError("the accuracies of isotonic must not descend")


def _clipped(confidence: NDArray[np.float64], clip: float | None) -> NDArray[np.float64]:
    return confidence if clip is None else np.clip(confidence, clip, 1 - clip)


def _log_odds(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(confidence) - np.log1p(-confidence)


def _times(weight: float, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weight * value, with 0 * inf = 0: an unused feature has no effect."""
    return weight * value if weight else np.where(np.isnan(value), np.nan, 0.0)


def _fit_temperature(log_odds: NDArray[np.float64], correct: NDArray[np.float64]) -> Parameters:
    signed = np.where(correct == 1, log_odds, -log_odds)

    def slope(inverse: float) -> float:
        """Derivative of the NLL by 1 / T; the NLL is convex in 1 / T, so the root is optimal."""
        return -float(np.mean(signed * expit(-inverse * signed)))

    lowest, highest = 1 / MAX_TEMPERATURE, MAX_TEMPERATURE
    if slope(lowest) < 0 < slope(highest):
        return {"temperature": 1 / brentq(slope, lowest, highest, xtol=1e-15)}
    temperature = MAX_TEMPERATURE if slope(lowest) >= 0 else 1 / MAX_TEMPERATURE
    why = (
        "the confidences carry no information about which answers are right"
        if temperature > 1
        else "every answer with a confidence above 0.5 is right and every one below it wrong"
    )
    warnings.warn(
        f"The temperature stopped at its bound, {temperature:g}, because {why}: "
        "check it on more rows before using it.",
        stacklevel=4,
    )
    return {"temperature": temperature}


def _fit_platt(log_odds: NDArray[np.float64], correct: NDArray[np.float64]) -> Parameters:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    fitted.fit(log_odds[:, None], correct)
    return {"slope": float(fitted.coef_[0, 0]), "intercept": float(fitted.intercept_[0])}


def _fit_beta(features: NDArray[np.float64], correct: NDArray[np.float64]) -> Parameters:
    """Logistic regression with weights of at least 0, which scikit-learn does not offer."""
    columns = np.column_stack([features, np.ones(correct.size)])

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = columns @ weights
        value = np.mean(np.logaddexp(0, np.where(correct == 1, -z, z)))
        return float(value), columns.T @ (expit(z) - correct) / correct.size

    start = np.array([1.0, 1.0, 0.0])  # the identity: the fit can only improve
    bounds = [(0.0, np.inf)] * 2 + [(-np.inf, np.inf)]
    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 10_000, "maxfun": 100_000}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return dict(zip("abc", found.x.tolist(), strict=True))


def _fit_isotonic(confidence: NDArray[np.float64], correct: NDArray[np.float64]) -> Parameters:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression().fit(confidence, correct)
    # Averages of ties overshoot 1 by a rounding error.
    accuracy = np.clip(fitted.y_thresholds_, 0, 1)
    return {"confidence": fitted.X_thresholds_.tolist(), "accuracy": accuracy.tolist()}


def _fit_histogram(
    confidence: NDArray[np.float64], correct: NDArray[np.float64], bins: int
) -> Parameters:
    index = bin_index(confidence, bins, "mass")
    start = np.flatnonzero(np.diff(index, prepend=-1))
    count = np.diff(start, append=confidence.size)
    # A new confidence between two bins goes to the nearer one.
    edges = (confidence[start[1:] - 1] + confidence[start[1:]]) / 2
    # Two neighbouring doubles have no midpoint; the upper one is in the upper bin.
    edges = np.where(edges > confidence[start[1:] - 1], edges, confidence[start[1:]])
    accuracy = np.add.reduceat(correct, start) / count
    return {"edges": edges.tolist(), "accuracy": accuracy.tolist()}


def _check_interior(method: str, confidence: NDArray[np.float64]) -> None:
    extreme = int(np.sum((confidence == 0) | (confidence == 1)))
    if extreme:
        raise ValueError(
            f"{extreme} of {confidence.size} confidences are exactly 0 or 1, whose log-odds are "
            f"infinite, so {method} has no finite fit: pass clip=0.005 (any value below 0.5) to "
            "count them as 0.005 and 0.995, or choose isotonic or histogram."
        )


def _check_identified(
    method: str, confidence: NDArray[np.float64], correct: NDArray[np.float64]
) -> None:
    needed = 2 if method == "platt" else 3
    distinct = np.unique(confidence).size
    if distinct < needed:
        raise ValueError(
            f"{method} has {needed} parameters, and {distinct} distinct confidence(s) cannot "
            "determine them: choose temperature or histogram, or give more rows."
        )
    right, wrong = confidence[correct == 1], confidence[correct == 0]
    if right.size == 0 or wrong.size == 0:
        raise ValueError(
            f"{method} has no finite fit, because all {correct.size} answers are "
            f"{'right' if wrong.size == 0 else 'wrong'}: give rows of both kinds."
        )
    backwards = method == "platt" and right.max() <= wrong.min()  # beta's curve cannot fall
    if wrong.max() <= right.min() or backwards:
        raise ValueError(
            f"{method} has no finite fit, because one confidence separates all right answers "
            "from all wrong ones: choose isotonic or histogram, or give more rows."
        )
