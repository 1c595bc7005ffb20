"""Adapters that run the cases on relplot."""

from __future__ import annotations

from calib_metrics.conformance.libraries._inputs import ANY, need, option_rows, rows

NAME = "relplot"
DISTRIBUTION = "relplot"
MODULE = "relplot"
DOCUMENTATION = "https://github.com/apple/ml-calibration"


def _smooth(inputs: dict, options: dict) -> float:
    """relplot.smECE(f, y); with a bandwidth: relplot.smECE_sigma(f, y, sigma)"""
    import relplot

    confidence, correct = rows(inputs)
    if "bandwidth" in options:
        return relplot.smECE_sigma(confidence, correct, sigma=options["bandwidth"])
    return relplot.smECE(confidence, correct)


def _ece(inputs: dict, options: dict) -> float:
    """relplot.metrics.binnedECE(f, y, nbins)"""
    from relplot.metrics import binnedECE

    need(options, bins=ANY, strategy=["width"], norm=["l1"])
    return binnedECE(*rows(inputs), nbins=options["bins"])


def _top_label(inputs: dict, options: dict) -> float:
    """binnedECE of relplot.multiclass_logits_to_confidences(f, y, probs=True)"""
    import relplot

    need(options, bins=ANY, strategy=["width"], norm=["l1"])
    binary = relplot.multiclass_logits_to_confidences(*option_rows(inputs), probs=True)
    return relplot.metrics.binnedECE(*binary, nbins=options["bins"])


ADAPTERS = {
    "smooth_ece": _smooth,
    "ece": _ece,
    "top_label_ece": _top_label,
}
