"""Negative log-likelihood of confidences, for `evaluate.load`; see README.md."""

import evaluate

from calib_metrics import modules  # From: calibench

DESCRIPTION = (
    "Negative log-likelihood (log loss, in nats) of confidences as the probability that "
    "the answer is correct."
)
CITATION = """
@article{good1952rational,
  title = {Rational Decisions},
  author = {Good, Irving John},
  journal = {Journal of the Royal Statistical Society: Series B},
  volume = {14},
  number = {1},
  pages = {107--114},
  year = {1952}
}
"""
URL = "https://doi.org/10.1111/j.2517-6161.1952.tb00104.x"


class NLL(evaluate.Metric):
    """Negative log-likelihood of confidences, by calib_metrics."""

    def _info(self):
        return modules.info(DESCRIPTION, CITATION, URL)

    def _compute(self, predictions, references, **options):
        return modules.compute("nll", predictions, references, **options)
