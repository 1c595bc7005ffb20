"""Leaderboards: tables and figures recomputed from the sample logs of lm-eval runs."""

from typing import Any

__all__ = ["build", "read_train_accuracy"]


def __getattr__(name: str) -> Any:
    # Late: what these need takes most of a second to import, and few commands need them.
    if name in __all__:
        from calib_leaderboards import board

        return getattr(board, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
