"""Scores for confidences: how well does "I am 80 % sure" match being right 80 % of the time?

Pure functions on two arrays, `confidence` in [0, 1] and `correct` in {0, 1}. Importing this package
imports NumPy and nothing heavier; `calib_metrics.plots` asks for matplotlib when a figure is drawn.
"""

from calib_metrics.bins import ReliabilityBins, reliability_bins
from calib_metrics.calibration import brier, ece, nll, rms_calibration_error
from calib_metrics.discrimination import accuracy, auroc
from calib_metrics.scores import VERSION, Score, score

__version__ = VERSION

__all__ = [
    "ReliabilityBins",
    "Score",
    "accuracy",
    "auroc",
    "brier",
    "ece",
    "nll",
    "reliability_bins",
    "rms_calibration_error",
    "score",
]
