"""Expected calibration error, for `evaluate.load`; see README.md."""

import evaluate

from calib_metrics import modules  # From: calibench

DESCRIPTION = (
    "Expected calibration error: the gap between stated confidence and observed accuracy, "
    "averaged over bins of confidence."
)
CITATION = """
@inproceedings{naeini2015obtaining,
  title = {Obtaining Well Calibrated Probabilities Using {Bayesian} Binning},
  author = {Naeini, Mahdi Pakdaman and Cooper, Gregory F. and Hauskrecht, Milos},
  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},
  year = {2015}
}
@inproceedings{guo2017calibration,
  title = {On Calibration of Modern Neural Networks},
  author = {Guo, Chuan and Pleiss, Geoff and Sun, Yu and Weinberger, Kilian Q.},
  booktitle = {International Conference on Machine Learning},
  year = {2017}
}
"""
URL = "https://arxiv.org/abs/1706.04599"


class ECE(evaluate.Metric):
    """Expected calibration error of confidences, by calib_metrics."""

    def _info(self):
        return modules.info(DESCRIPTION, CITATION, URL)

    def _compute(self, predictions, references, **options):
        return modules.compute("ece", predictions, references, **options)
