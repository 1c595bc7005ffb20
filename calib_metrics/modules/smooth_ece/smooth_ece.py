"""Smooth ECE, for `evaluate.load`; see README.md."""

from typing import Any

import evaluate

from calib_metrics import modules  # From: calibench

DESCRIPTION = (
    "Smooth expected calibration error: calibration error without bins, by smoothing the "
    "residuals with a kernel whose width is chosen by the data."
)
CITATION = r"""
@inproceedings{blasiok2024smooth,
  title = {Smooth {ECE}: Principled Reliability Diagrams via Kernel Smoothing},
  author = {B{\l}asiok, Jaros{\l}aw and Nakkiran, Preetum},
  booktitle = {International Conference on Learning Representations},
  year = {2024}
}
"""
URL = "https://arxiv.org/abs/2309.12236"


class SmoothECE(evaluate.Metric):
    """Smooth ECE of confidences, by calib_metrics."""

    def _info(self) -> Any:
        return modules.info(DESCRIPTION, CITATION, URL)

    def _compute(self, predictions: Any, references: Any, **options: Any) -> dict[str, Any]:
        return modules.compute("smooth_ece", predictions, references, **options)
