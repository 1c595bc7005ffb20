"""Leaderboards: tables and figures recomputed from the sample logs of lm-eval runs."""

from calib_leaderboards.build import build, read_train_accuracy

__all__ = ["build", "read_train_accuracy"]
