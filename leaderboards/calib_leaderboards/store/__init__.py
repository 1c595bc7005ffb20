"""The entries of a leaderboard: one checked JSON file for each model, task and setting."""

from calib_leaderboards.store.add import add
from calib_leaderboards.store.read import read_entries, read_kept_samples

__all__ = ["add", "read_entries", "read_kept_samples"]
