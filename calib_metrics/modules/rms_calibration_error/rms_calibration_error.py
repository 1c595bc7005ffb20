"""RMS calibration error, for `evaluate.load`; see README.md."""

import evaluate

from calib_metrics import modules  # From: calibench

DESCRIPTION = (
    "Root mean square calibration error: the root of the squared gap between stated "
    "confidence and observed accuracy, averaged over bins of confidence."
)
CITATION = """
@inproceedings{hendrycks2019deep,
  title = {Deep Anomaly Detection with Outlier Exposure},
  author = {Hendrycks, Dan and Mazeika, Mantas and Dietterich, Thomas},
  booktitle = {International Conference on Learning Representations},
  year = {2019}
}
"""
URL = "https://arxiv.org/abs/1812.04606"


class RMSCalibrationError(evaluate.Metric):
    """RMS calibration error of confidences, by calib_metrics."""

    def _info(self):
        return modules.info(DESCRIPTION, CITATION, URL)

    def _compute(self, predictions, references, **options):
        return modules.compute("rms_calibration_error", predictions, references, **options)
