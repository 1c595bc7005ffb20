"""Adapters that run the cases on uncertainty-calibration."""

from __future__ import annotations

from calib_metrics.conformance.libraries._inputs import ANY, fit_rows, need, option_rows, rows

NAME = "uncertainty-calibration"
DISTRIBUTION = "uncertainty-calibration"
MODULE = "calibration"
DOCUMENTATION = "https://github.com/p-lambda/verified_calibration"


def _ece(inputs: dict, options: dict) -> float:
    """calibration.get_ece(probs, labels, debias, num_bins); equal mass: get_ece_em"""
    import calibration as cal

    need(options, bins=ANY, strategy=["width", "mass"], norm=["l1"], debias=ANY)
    function = cal.get_ece if options["strategy"] == "width" else cal.get_ece_em
    return function(*rows(inputs), debias=options.get("debias", False), num_bins=options["bins"])


def _rms(inputs: dict, options: dict) -> float:
    """calibration.lower_bound_scaling_ce(probs, labels, p=2, debias, num_bins, binning_scheme)"""
    import calibration as cal

    need(options, bins=ANY, strategy=["width", "mass"], debias=ANY)
    width = options["strategy"] == "width"
    return cal.lower_bound_scaling_ce(
        *rows(inputs),
        p=2,
        debias=options.get("debias", False),
        num_bins=options["bins"],
        binning_scheme=cal.get_equal_prob_bins if width else cal.get_equal_bins,
    )


def _top_label(inputs: dict, options: dict) -> float:
    """calibration.get_ece(probs, labels, num_bins), probs of shape (n, k)"""
    import calibration as cal

    return cal.get_ece(*option_rows(inputs), num_bins=options["bins"])


def _classwise(inputs: dict, options: dict) -> float:
    """calibration.get_ece(probs, labels, num_bins, mode="marginal")"""
    import calibration as cal

    return cal.get_ece(*option_rows(inputs), num_bins=options["bins"], mode="marginal")


def _guo17(inputs: dict, options: dict) -> float:
    """calibration.get_ece(probs, labels), documented as the ECE of Guo et al."""
    import calibration as cal

    return cal.get_ece(*rows(inputs))


def _aurc(inputs: dict, options: dict) -> float:
    """1 - calibration.get_selective_stats(probs, correct)[0], the area under coverage-accuracy"""
    import calibration as cal

    return 1 - cal.get_selective_stats(*rows(inputs))[0]


def _platt(inputs: dict, options: dict) -> list[float]:
    """calibration.get_platt_scaler(probs, labels)(new_probs)"""
    import calibration as cal

    confidence, correct, new = fit_rows(inputs, options)
    return cal.get_platt_scaler(confidence, correct)(new).tolist()


ADAPTERS = {
    "ece": _ece,
    "rms": _rms,
    "top_label_ece": _top_label,
    "classwise_ece": _classwise,
    "ece:guo17": _guo17,
    "aurc": _aurc,
    "platt": _platt,
}
