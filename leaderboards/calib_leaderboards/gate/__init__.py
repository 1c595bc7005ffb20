"""Has a model become worse? A baseline in YAML, tested against the results of a new run."""

from calib_leaderboards.gate.decide import Report, decide
from calib_leaderboards.gate.update import make_baseline

__all__ = ["Report", "decide", "make_baseline"]
