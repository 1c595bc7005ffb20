"""Adapters that run the cases on torchmetrics."""

from __future__ import annotations

from collections.abc import Callable

from calib_metrics.conformance.libraries._inputs import ANY, batches, need, option_rows, rows

NAME = "torchmetrics"
DISTRIBUTION = "torchmetrics"
MODULE = "torchmetrics"
DOCUMENTATION = "https://lightning.ai/docs/torchmetrics/stable/"
_NORM = {"ece": "l1", "rms": "l2", "mce": "max"}


def _ece(metric: str) -> Callable:
    def adapter(inputs: dict, options: dict) -> float:
        import torch
        from torchmetrics.classification import BinaryCalibrationError

        need(options, bins=ANY, strategy=["width"], norm=["l1"])
        error = BinaryCalibrationError(n_bins=options["bins"], norm=_NORM[metric])
        for confidence, correct in batches(inputs):
            error.update(torch.tensor(confidence), torch.tensor(correct))
        return error.compute().item()

    adapter.__doc__ = f'BinaryCalibrationError(n_bins=bins, norm="{_NORM[metric]}")'
    return adapter


def _auroc(inputs: dict, options: dict) -> float:
    """functional.classification.binary_auroc(preds, target)"""
    import torch
    from torchmetrics.functional.classification import binary_auroc

    confidence, correct = rows(inputs)
    return binary_auroc(torch.tensor(confidence), torch.tensor(correct)).item()


def _average_precision(inputs: dict, options: dict) -> float:
    """functional.classification.binary_average_precision(preds, target)"""
    import torch
    from torchmetrics.functional.classification import binary_average_precision

    confidence, correct = rows(inputs)
    return binary_average_precision(torch.tensor(confidence), torch.tensor(correct)).item()


def _top_label(inputs: dict, options: dict) -> float:
    """functional.classification.multiclass_calibration_error(preds, target, num_classes, n_bins)"""
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    need(options, bins=ANY, strategy=["width"], norm=["l1"])
    probabilities, gold = option_rows(inputs)
    return multiclass_calibration_error(
        torch.tensor(probabilities),
        torch.tensor(gold),
        num_classes=probabilities.shape[1],
        n_bins=options["bins"],
        norm="l1",
    ).item()


def _guo17(inputs: dict, options: dict) -> float:
    """functional.classification.binary_calibration_error(preds, target), by default 15 bins"""
    import torch
    from torchmetrics.functional.classification import binary_calibration_error

    confidence, correct = rows(inputs)
    return binary_calibration_error(torch.tensor(confidence), torch.tensor(correct)).item()


_SIGMOID = "takes values outside [0, 1] for logits and applies a sigmoid, as its reference says."
DIFFERENT = {"percent-is-an-error": _SIGMOID, "logits-are-an-error": _SIGMOID}
ADAPTERS = {
    "ece": _ece("ece"),
    "rms": _ece("rms"),
    "mce": _ece("mce"),
    "auroc": _auroc,
    "average_precision": _average_precision,
    "top_label_ece": _top_label,
    "ece:guo17": _guo17,
}
