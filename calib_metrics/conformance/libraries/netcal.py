"""Adapters that run the cases on netcal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calib_metrics.conformance.libraries._inputs import ANY, fit_rows, need, option_rows, rows

NAME = "netcal"
DISTRIBUTION = "netcal"
MODULE = "netcal"
DOCUMENTATION = "https://efs-opensource.github.io/calibration-framework/"


def _ece(inputs: dict, options: dict) -> float:
    """netcal.metrics.ECE(bins, equal_intervals=strategy == "width").measure(X, y)"""
    from netcal.metrics import ECE

    need(options, bins=ANY, strategy=["width", "mass"], norm=["l1"])
    ece = ECE(bins=options["bins"], equal_intervals=options["strategy"] == "width")
    return ece.measure(*rows(inputs))


def _mce(inputs: dict, options: dict) -> float:
    """netcal.metrics.MCE(bins).measure(X, y)"""
    from netcal.metrics import MCE

    need(options, bins=ANY, strategy=["width"])
    return MCE(bins=options["bins"]).measure(*rows(inputs))


def _top_label(inputs: dict, options: dict) -> float:
    """netcal.metrics.ECE(bins).measure(X, y), X of shape (n, k)"""
    from netcal.metrics import ECE

    need(options, bins=ANY, strategy=["width"], norm=["l1"])
    return ECE(bins=options["bins"]).measure(*option_rows(inputs))


def _fit(name: str) -> Callable:
    def adapter(inputs: dict, options: dict) -> list[float]:
        import netcal.binning
        import netcal.scaling

        method = getattr(netcal.scaling, name, None) or getattr(netcal.binning, name)
        calibrator = method()
        confidence, correct, new = fit_rows(inputs, options)
        calibrator.fit(confidence, correct)
        return np.ravel(calibrator.transform(new)).tolist()

    package = "binning" if name == "IsotonicRegression" else "scaling"
    adapter.__doc__ = f"netcal.{package}.{name}().fit(X, y), .transform(X)"
    return adapter


ADAPTERS = {
    "ece": _ece,
    "mce": _mce,
    "top_label_ece": _top_label,
    "temperature": _fit("TemperatureScaling"),
    "platt": _fit("LogisticCalibration"),
    "isotonic": _fit("IsotonicRegression"),
}
