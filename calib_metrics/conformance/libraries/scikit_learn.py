"""Adapters that run the cases on scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calib_metrics.conformance.libraries._inputs import fit_rows, option_rows, rows

NAME = "scikit-learn"
DISTRIBUTION = "scikit-learn"
MODULE = "sklearn"
DOCUMENTATION = "https://scikit-learn.org/stable/modules/model_evaluation.html"


def _score(name: str) -> Callable:
    def adapter(inputs: dict, options: dict) -> float:
        import sklearn.metrics

        confidence, correct = rows(inputs)
        return getattr(sklearn.metrics, name)(correct, confidence)

    adapter.__doc__ = f"sklearn.metrics.{name}(y_true, y_score)"
    return adapter


def _options(name: str) -> Callable:
    def adapter(inputs: dict, options: dict) -> float:
        import sklearn.metrics

        probabilities, gold = option_rows(inputs)
        labels = list(range(probabilities.shape[1]))
        return getattr(sklearn.metrics, name)(gold, probabilities, labels=labels)

    adapter.__doc__ = f"sklearn.metrics.{name}(y_true, y_proba, labels=labels)"
    return adapter


def _calibrated(method: str) -> Callable:
    def adapter(inputs: dict, options: dict) -> list[float]:
        from sklearn.base import BaseEstimator, ClassifierMixin
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.frozen import FrozenEstimator

        class Given(ClassifierMixin, BaseEstimator):
            """A fitted classifier whose one feature is its probability of class 1."""

            def fit(self, X: np.ndarray, y: np.ndarray) -> Given:
                self.classes_ = np.array([0, 1])
                return self

            def predict_proba(self, X: np.ndarray) -> np.ndarray:
                return np.column_stack([1 - X[:, 0], X[:, 0]])

            def predict(self, X: np.ndarray) -> np.ndarray:
                return (X[:, 0] >= 0.5).astype(int)

        confidence, correct, new = fit_rows(inputs, options)
        given = Given().fit(confidence[:, None], correct)
        calibrated = CalibratedClassifierCV(FrozenEstimator(given), method=method)
        calibrated.fit(confidence[:, None], correct)
        return calibrated.predict_proba(new[:, None])[:, 1].tolist()

    adapter.__doc__ = f'CalibratedClassifierCV(FrozenEstimator(classifier), method="{method}")'
    return adapter


def _isotonic(inputs: dict, options: dict) -> list[float]:
    """sklearn.isotonic.IsotonicRegression(out_of_bounds="clip").fit(X, y).predict(T)"""
    from sklearn.isotonic import IsotonicRegression

    confidence, correct, new = fit_rows(inputs, options)
    return IsotonicRegression(out_of_bounds="clip").fit(confidence, correct).predict(new).tolist()


_CLIPS = "clips to the machine epsilon of the confidences, as its reference says."
DIFFERENT = {"nll-certain-and-wrong": _CLIPS}
ADAPTERS = {
    "brier": _score("brier_score_loss"),
    "nll": _score("log_loss"),
    "auroc": _score("roc_auc_score"),
    "average_precision": _score("average_precision_score"),
    "multiclass_brier": _options("brier_score_loss"),
    "multiclass_nll": _options("log_loss"),
    "temperature": _calibrated("temperature"),
    "platt": _calibrated("sigmoid"),
    "isotonic": _isotonic,
}
