"""Area under the risk-coverage curve, for `evaluate.load`; see README.md."""

import evaluate

from calib_metrics import modules  # From: calibench

DESCRIPTION = (
    "Area under the risk-coverage curve: the error rate among the k most confident "
    "answers, averaged over all k."
)
CITATION = """
@inproceedings{geifman2019bias,
  title = {Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers},
  author = {Geifman, Yonatan and Uziel, Guy and El-Yaniv, Ran},
  booktitle = {International Conference on Learning Representations},
  year = {2019}
}
"""
URL = "https://arxiv.org/abs/1805.08206"


class AURC(evaluate.Metric):
    """Area under the risk-coverage curve of confidences, by calib_metrics."""

    def _info(self):
        return modules.info(DESCRIPTION, CITATION, URL)

    def _compute(self, predictions, references, **options):
        return modules.compute("aurc", predictions, references, **options)
