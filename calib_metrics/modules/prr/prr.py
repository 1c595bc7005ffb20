"""Prediction rejection ratio, for `evaluate.load`; see README.md."""

import evaluate

from calib_metrics import modules  # From: calibench

DESCRIPTION = (
    "Prediction rejection ratio: how much of the possible gain from abstaining on the "
    "least confident answers is reached; 1 is a perfect order, 0 a random one."
)
CITATION = """
@inproceedings{malinin2021uncertainty,
  title = {Uncertainty Estimation in Autoregressive Structured Prediction},
  author = {Malinin, Andrey and Gales, Mark},
  booktitle = {International Conference on Learning Representations},
  year = {2021}
}
"""
URL = "https://arxiv.org/abs/2002.07650"


class PRR(evaluate.Metric):
    """Prediction rejection ratio of confidences, by calib_metrics."""

    def _info(self):
        return modules.info(DESCRIPTION, CITATION, URL)

    def _compute(self, predictions, references, **options):
        return modules.compute("prr", predictions, references, **options)
