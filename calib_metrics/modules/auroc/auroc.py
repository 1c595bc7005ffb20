"""AUROC of confidences, for `evaluate.load`; see README.md."""

import evaluate

from calib_metrics import modules  # From: calibench

DESCRIPTION = (
    "Area under the ROC curve of confidences: the probability that a correct answer has "
    "more confidence than a wrong one, ties counting half."
)
CITATION = """
@article{hanley1982meaning,
  title = {The Meaning and Use of the Area under a Receiver Operating Characteristic ({ROC}) Curve},
  author = {Hanley, James A. and McNeil, Barbara J.},
  journal = {Radiology},
  volume = {143},
  number = {1},
  pages = {29--36},
  year = {1982}
}
"""
URL = "https://doi.org/10.1148/radiology.143.1.7063747"


class AUROC(evaluate.Metric):
    """AUROC of confidences, by calib_metrics."""

    def _info(self):
        return modules.info(DESCRIPTION, CITATION, URL)

    def _compute(self, predictions, references, **options):
        return modules.compute("auroc", predictions, references, **options)
