"""Has a model become worse? A baseline in YAML, tested against the results of a new run."""

from calib_leaderboards.gate.decide import Report, gate
from calib_leaderboards.gate.update import update

__all__ = ["Report", "gate", "update"]
