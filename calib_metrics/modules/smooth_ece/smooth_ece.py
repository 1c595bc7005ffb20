"""Smooth ECE, for `evaluate.load`; see README.md."""

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

    def _info(self):
        return modules.info(DESCRIPTION, CITATION, URL)

    def _compute(self, predictions, references, **options):
        return modules.compute("smooth_ece", predictions, references, **options)
