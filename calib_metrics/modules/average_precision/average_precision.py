"""Average precision of confidences, for `evaluate.load`; see README.md."""

import evaluate

from calib_metrics import modules  # From: calibench

DESCRIPTION = (
    "Average precision of confidences: the accuracy among the most confident answers, "
    "averaged over all correct answers (area under the precision-recall curve)."
)
CITATION = """
@inproceedings{hendrycks2017baseline,
  title = {A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
    Networks},
  author = {Hendrycks, Dan and Gimpel, Kevin},
  booktitle = {International Conference on Learning Representations},
  year = {2017}
}
"""
URL = "https://arxiv.org/abs/1610.02136"


class AveragePrecision(evaluate.Metric):
    """Average precision of confidences, by calib_metrics."""

    def _info(self):
        return modules.info(DESCRIPTION, CITATION, URL)

    def _compute(self, predictions, references, **options):
        return modules.compute("average_precision", predictions, references, **options)
