"""A threshold stated in the prompt ("answer only if you are surer than that"), and its scores.

Kalai et al., Why Language Models Hallucinate, 2025 (arXiv:2509.04664): scores that give nothing for
"I don't know" reward guessing. A stated price of a wrong answer, t / (1 - t), makes answering pay
from a confidence of t on. `calib_metrics.abstention_score` scores a confidence by the same rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calib_metrics.abstention import penalty
from harness_tasks.elicitation.abstention import abstains

NOT_ATTEMPTED = "not attempted"
_RULE = (
    "Answer only if you are more than {percent:g}% sure. A right answer scores 1 point, a wrong "
    'answer loses {price:.3g}, and "I don\'t know" scores 0.\n\n'
)
_METRICS = (
    {"metric": "points", "aggregation": "mean", "higher_is_better": True},
    {"metric": "abstained", "aggregation": "mean", "higher_is_better": False},
)


def with_threshold(config: dict[str, Any], threshold: float | None) -> dict[str, Any]:
    """A task's configuration with the rule at the end of its description, and with its scores.

    Without a threshold the configuration is unchanged.

    Raises:
        ValueError: in a multiple-choice task, where the model cannot abstain.
    """
    if threshold is None:
        return config
    if config.get("output_type") == "multiple_choice":
        raise ValueError(
            f'{config["task"]}: a stated_threshold needs answers that can be "I don\'t know", and '
            "multiple choice has none: take the open-ended task, or score the confidences by "
            "`calibench score --metrics abstention_score@0.75`."
        )
    rule = _RULE.format(percent=100 * threshold, price=penalty(threshold))
    return {
        **config,
        "description": (config.get("description") or "") + rule,
        "metric_list": [*config["metric_list"], *_METRICS],
    }


def points(record: Mapping[str, Any], threshold: float | None) -> dict[str, float]:
    """The scores of one answer: 1, -t / (1 - t), or 0 for an abstention; {} without a threshold."""
    if threshold is None:
        return {}
    abstained = abstains(record["answer"])
    given = 1.0 if record["correct"] else -penalty(threshold)
    return {"points": 0.0 if abstained else given, "abstained": int(abstained)}


def stated(threshold: float | None) -> str:
    """The part of a signature that states it; "" without a threshold."""
    return "" if threshold is None else f"|stated_threshold:{threshold:g}"
