"""The one reader of lm-eval's output: a folder becomes runs, and a task of a run its log."""

from calib_leaderboards.runs.log import Log, load_log
from calib_leaderboards.runs.read import find_runs
from calib_leaderboards.runs.run import Run, Task

__all__ = ["Log", "Run", "Task", "find_runs", "load_log"]
