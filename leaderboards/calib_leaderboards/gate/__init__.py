"""Test whether a model has become worse than a baseline in a YAML file."""

from calib_leaderboards.gate.decide import Report, decide
from calib_leaderboards.gate.update import make_baseline

__all__ = ["Report", "decide", "make_baseline"]
