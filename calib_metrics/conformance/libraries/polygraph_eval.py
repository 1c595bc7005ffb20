"""Adapters that run the cases on lm-polygraph's `polygraph_eval`, where ECE is rescaled."""

from __future__ import annotations

from calib_metrics.conformance.libraries._inputs import ANY, need, rows

NAME = "lm-polygraph, polygraph_eval"
DISTRIBUTION = "lm-polygraph"
MODULE = "lm_polygraph.ue_metrics"
DOCUMENTATION = "https://lm-polygraph.readthedocs.io/"


def _ece(inputs: dict, options: dict) -> float:
    """ECE(normalize=True) after UEManager's treatment of NaN: what `polygraph_eval` runs"""
    from lm_polygraph.ue_metrics import ECE
    from lm_polygraph.utils.manager import _delete_nans

    need(options, bins=ANY, strategy=["width"], norm=["l1"])
    confidence, correct = rows(inputs)
    uncertainty, correct = _delete_nans(-confidence, correct.astype(float))
    return ECE(normalize=True, n_bins=options["bins"])(uncertainty, correct)


# Estimators there may be unbounded, so ECE's option `normalize` is on: another definition.
_RESCALES = "rescales each estimator's values from their range to [0, 1] before binning."
DIFFERENT = dict.fromkeys(
    (
        "ece-one-shares-the-last-bin",
        "ece-rows-at-one-count",
        "ece-decimal-edges-agree",
        "ece-one-row",
        "ece-one-bin",
        "ece-more-bins-than-rows",
        "ece-gaps-cancel-within-a-bin",
        "ece-narrow-but-calibrated",
        "ece-l1",
        "percent-is-an-error",
        "percent-in-one-batch-is-an-error",
        "logits-are-an-error",
    ),
    _RESCALES,
)
ADAPTERS = {"ece": _ece}
