"""Scores for confidences: how well does "I am 80 % sure" match being right 80 % of the time?

Pure functions on two arrays, `confidence` in [0, 1] and `correct` in {0, 1}. Importing this package
imports NumPy and SciPy and nothing heavier. `calib_metrics.plots` imports matplotlib when it draws
a figure; `calib_metrics.recalibration` and `calib_metrics.text` import the libraries they call.
"""

from calib_metrics.abstention import Cutoff, abstention_score, best_cutoff
from calib_metrics.bins import ReliabilityBins, reliability_bins
from calib_metrics.calibration import brier, ece, max_calibration_error, nll, rms_calibration_error
from calib_metrics.comparison import compare
from calib_metrics.compat import compat_ece
from calib_metrics.cumulative import ks_calibration_error
from calib_metrics.decomposition import BrierDecomposition, brier_decomposition
from calib_metrics.discrimination import (
    DeLong,
    DeLongDifference,
    accuracy,
    auroc,
    average_precision,
    delong,
    delong_difference,
)
from calib_metrics.multiclass import (
    classwise_ece,
    multiclass_brier,
    multiclass_nll,
    top_label,
    top_label_ece,
)
from calib_metrics.noise import NoiseFloor, noise_floor
from calib_metrics.scores import Score, score
from calib_metrics.selective import (
    RiskCoverage,
    aurc,
    coverage_at_accuracy,
    excess_aurc,
    prr,
    risk_coverage,
    selective_accuracy,
)
from calib_metrics.skill import brier_skill
from calib_metrics.smooth import smooth_ece, smooth_ece_bandwidth
from calib_metrics.worst_case import Bounds, worst_case

__all__ = [
    "Bounds",
    "BrierDecomposition",
    "Cutoff",
    "DeLong",
    "DeLongDifference",
    "NoiseFloor",
    "ReliabilityBins",
    "RiskCoverage",
    "Score",
    "abstention_score",
    "accuracy",
    "auroc",
    "aurc",
    "average_precision",
    "best_cutoff",
    "brier",
    "brier_decomposition",
    "brier_skill",
    "classwise_ece",
    "compare",
    "compat_ece",
    "coverage_at_accuracy",
    "delong",
    "delong_difference",
    "ece",
    "excess_aurc",
    "ks_calibration_error",
    "max_calibration_error",
    "multiclass_brier",
    "multiclass_nll",
    "nll",
    "noise_floor",
    "prr",
    "reliability_bins",
    "risk_coverage",
    "rms_calibration_error",
    "score",
    "selective_accuracy",
    "smooth_ece",
    "smooth_ece_bandwidth",
    "top_label",
    "top_label_ece",
    "worst_case",
]


def __getattr__(name: str) -> str:
    """Return `__version__`, the version of the installed package, looked up on first use."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("calibench")
