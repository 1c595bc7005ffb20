"""Adapters that run the cases on uqlm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from calib_metrics.conformance.libraries._inputs import fit_rows, need, rows

NAME = "uqlm"
DISTRIBUTION = "uqlm"
MODULE = "uqlm.calibration"
DOCUMENTATION = "https://cvs-health.github.io/uqlm/latest/index.html"


def _result(confidence: Any) -> Any:
    from uqlm.utils.results import UQResult

    return UQResult({"data": {"responses": [""] * len(confidence), "confidence": confidence}})


def _evaluate(column: str) -> Callable:
    def adapter(inputs: dict, options: dict) -> float:
        from uqlm.calibration import evaluate_calibration

        need(options, bins=[10], strategy=["width"], norm=["l1"])
        confidence, correct = rows(inputs)
        table = evaluate_calibration(_result(confidence), correct, plot=False)
        return table.loc["confidence", column]

    adapter.__doc__ = f'uqlm.calibration.evaluate_calibration(result, correct)["{column}"]'
    return adapter


def _calibrator(method: str) -> Callable:
    def adapter(inputs: dict, options: dict) -> list[float]:
        from uqlm.calibration import ScoreCalibrator

        calibrator = ScoreCalibrator(method)
        confidence, correct, new = fit_rows(inputs, options)
        calibrator.fit(_result(confidence), correct)
        result = _result(new)
        calibrator.transform(result)
        return list(result.data["calibrated_confidence"])

    adapter.__doc__ = f'uqlm.calibration.ScoreCalibrator("{method}").fit(...), .transform(result)'
    return adapter


DIFFERENT = {
    "nll-certain-and-wrong": "is scikit-learn's log_loss, which clips to the machine epsilon."
}
ADAPTERS = {
    "ece": _evaluate("ece"),
    "mce": _evaluate("mce"),
    "brier": _evaluate("brier_score"),
    "nll": _evaluate("log_loss"),
    "platt": _calibrator("platt"),
    "isotonic": _calibrator("isotonic"),
}
