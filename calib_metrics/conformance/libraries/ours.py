"""Adapters that run the cases on calib_metrics, by its public functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

NAME = "calib_metrics"
DISTRIBUTION = "calibench"
MODULE = "calib_metrics"
DOCUMENTATION = "../README.md"


def _rows(inputs: dict) -> tuple[list, list]:
    batches = inputs.get("batches", [inputs])
    return (
        [each for batch in batches for each in batch["confidence"]],
        [each for batch in batches for each in batch["correct"]],
    )


def _on_rows(module: str, name: str, field: str | None = None) -> Callable:
    """Return the adapter of a function of (confidence, correct), or of a field of its result."""

    def adapter(inputs: dict, options: dict) -> float:
        result = _function(module, name)(*_rows(inputs), **options)
        return getattr(result, field) if field else result

    return adapter


def _on_options(name: str) -> Callable:
    def adapter(inputs: dict, options: dict) -> float:
        return _function("multiclass", name)(inputs["probabilities"], inputs["gold"], **options)

    return adapter


def _on_mode(mode: str) -> Callable:
    def adapter(inputs: dict, options: dict) -> float:
        return _function("compat", "compat_ece")(*_rows(inputs), mode)

    return adapter


def _on_fit(method: str) -> Callable:
    def adapter(inputs: dict, options: dict) -> list[float]:
        dtype = options.get("dtype", "float64")
        confidence, correct = _rows(inputs["fit"])
        fit = _function("recalibration", "fit")(np.array(confidence, dtype), correct, method)
        return list(fit.apply(np.array(inputs["apply"], dtype), allow_fitted_rows=True))

    return adapter


def _noise_floor(inputs: dict, options: dict) -> float:
    return _function("noise", "noise_floor")(inputs["confidence"], **options).mean


def _brier_part(part: str) -> Callable:
    def adapter(inputs: dict, options: dict) -> float:
        # Without bins, the exact decomposition of Murphy (1973), by distinct confidence.
        found = _function("decomposition", "brier_decomposition")(*_rows(inputs), bins=None)
        return getattr(found, part)

    return adapter


def _platt_own_rows(inputs: dict, options: dict) -> list[float]:
    fit = _function("recalibration", "fit")(*_rows(inputs["fit"]), "platt")
    return list(fit.apply(inputs["fit"]["confidence"]))


def _function(module: str, name: str) -> Callable:
    from importlib import import_module

    return getattr(import_module(f"calib_metrics.{module}"), name)


ADAPTERS = {
    "ece": _on_rows("calibration", "ece"),
    "rms": lambda inputs, options: _on_rows("calibration", "ece")(
        inputs, {**options, "norm": "l2"}
    ),
    "mce": lambda inputs, options: _on_rows("calibration", "ece")(
        inputs, {**options, "norm": "max"}
    ),
    "smooth_ece": _on_rows("smooth", "smooth_ece"),
    "noise_floor": _noise_floor,
    "brier": _on_rows("calibration", "brier"),
    "nll": _on_rows("calibration", "nll"),
    "brier_reliability": _brier_part("reliability"),
    "brier_resolution": _brier_part("resolution"),
    "brier_uncertainty": _brier_part("uncertainty"),
    "auroc": _on_rows("discrimination", "auroc"),
    "average_precision": _on_rows("discrimination", "average_precision"),
    "delong_variance": _on_rows("discrimination", "delong", "variance"),
    "aurc": _on_rows("selective", "aurc"),
    "excess_aurc": _on_rows("selective", "excess_aurc"),
    "prr": _on_rows("selective", "prr"),
    "selective_accuracy": _on_rows("selective", "selective_accuracy"),
    "coverage_at_accuracy": _on_rows("selective", "coverage_at_accuracy"),
    "top_label_ece": _on_options("top_label_ece"),
    "classwise_ece": _on_options("classwise_ece"),
    "multiclass_brier": _on_options("multiclass_brier"),
    "multiclass_nll": _on_options("multiclass_nll"),
    "ece:guo17": _on_mode("guo17"),
    "ece:kapoor24": _on_mode("kapoor24"),
    "temperature": _on_fit("temperature"),
    "platt": _on_fit("platt"),
    "isotonic": _on_fit("isotonic"),
    "platt_own_rows": _platt_own_rows,
}
