"""Combine the confidences of several methods, of lm-eval runs or of a table, into one."""

from calib_leaderboards.combined.apply import apply_fit
from calib_leaderboards.combined.fit import fit_and_report

__all__ = ["apply_fit", "fit_and_report"]
