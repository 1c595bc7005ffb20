"""Adapters that run the cases on lm-polygraph, which takes uncertainty: minus the confidence."""

from __future__ import annotations

from calib_metrics.conformance.libraries._inputs import ANY, need, rows

NAME = "lm-polygraph"
DISTRIBUTION = "lm-polygraph"
MODULE = "lm_polygraph.ue_metrics"
DOCUMENTATION = "https://lm-polygraph.readthedocs.io/"


def _ece(inputs: dict, options: dict) -> float:
    """lm_polygraph.ue_metrics.ECE(n_bins=bins)(-confidence, correct)"""
    from lm_polygraph.ue_metrics import ECE

    need(options, bins=ANY, strategy=["width"], norm=["l1"])
    confidence, correct = rows(inputs)
    return ECE(n_bins=options["bins"])(-confidence, correct)


def _auroc(inputs: dict, options: dict) -> float:
    """lm_polygraph.ue_metrics.ROCAUC()(-confidence, 1 - correct)"""
    from lm_polygraph.ue_metrics import ROCAUC

    confidence, correct = rows(inputs)
    return ROCAUC()(-confidence, 1 - correct)


def _average_precision(inputs: dict, options: dict) -> float:
    """PRAUC(positive_class=0, negative_class=1)(-confidence, 1 - correct)"""
    from lm_polygraph.ue_metrics import PRAUC

    confidence, correct = rows(inputs)
    return PRAUC(positive_class=0, negative_class=1)(-confidence, 1 - correct)


def _aurc(inputs: dict, options: dict) -> float:
    """lm_polygraph.ue_metrics.RiskCoverageCurveAUC()(-confidence, correct)"""
    from lm_polygraph.ue_metrics import RiskCoverageCurveAUC

    confidence, correct = rows(inputs)
    return RiskCoverageCurveAUC()(-confidence, correct)


def _prr(inputs: dict, options: dict) -> float:
    """PredictionRejectionArea() between get_random_scores and the oracle, as in UEManager"""
    from lm_polygraph.ue_metrics import PredictionRejectionArea
    from lm_polygraph.ue_metrics.ue_metric import get_random_scores, normalize_metric

    confidence, correct = rows(inputs)
    area = PredictionRejectionArea()
    return normalize_metric(
        area(-confidence, correct), area(-correct, correct), get_random_scores(area, correct)
    )


ADAPTERS = {
    "ece": _ece,
    "auroc": _auroc,
    "average_precision": _average_precision,
    "aurc": _aurc,
    "prr": _prr,
}
