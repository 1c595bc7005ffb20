"""Adapters that run the cases on lm-eval."""

from __future__ import annotations

NAME = "lm-eval"
DISTRIBUTION = "lm_eval"
MODULE = "lm_eval.api.metrics"
DOCUMENTATION = "https://github.com/EleutherAI/lm-evaluation-harness"


def _brier(inputs: dict, options: dict) -> float:
    """lm_eval.api.metrics.brier_score(items), the aggregation of multiple-choice tasks"""
    from lm_eval.api.metrics import brier_score

    return brier_score(list(zip(inputs["gold"], inputs["probabilities"], strict=True)))


ADAPTERS = {"multiclass_brier": _brier}
