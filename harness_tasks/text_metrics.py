"""Scores of generated text, in the form in which lm-eval tasks take them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import harness_tasks.elicitation.response_cache  # noqa: F401  (the model is in the cache's keys)
from calib_metrics.text.rouge import rouge, split_sentences
from calib_metrics.text.translation import bleu, chrf, ter
from harness_tasks.elicitation.grading import first_line

# Signatures of lm-eval's own metrics `bleu`, `chrf` and `ter`; a task's metadata carries them into
# the results file, where a score needs its signature.
SACREBLEU_SIGNATURES = {
    name: score(["a text in English"], [["a text in English"]]).signature
    for name, score in (("bleu", bleu), ("chrf", chrf), ("ter", ter))
}


def summary_scores(summary: str, reference: str) -> dict[str, float]:
    """ROUGE-1, -2, -L and -Lsum F1 in [0, 1], with the Porter stemmer.

    rougeLsum compares sentence by sentence: both texts are split after ".", "!" and "?".
    """
    return rouge([split_sentences(summary)], [[split_sentences(reference)]], stemmer=True)


def perplexity_stderr(items: Sequence[tuple[float, int]]) -> float:
    """Standard error of exp(-sum of log-likelihoods / sum of units), over texts.

    An item is one text's (log-likelihood in nats, number of units: tokens, words or bytes). The
    log-perplexity is a ratio of two sums, so its error is that of a ratio estimator (Cochran 1977,
    section 2.11), and the perplexity's follows by the delta method. NaN for fewer than two texts.
    """
    mean, error = _nats_per_unit(items)
    return math.exp(mean) * error


def bits_stderr(items: Sequence[tuple[float, int]]) -> float:
    """Standard error of the bits per unit; items as in `perplexity_stderr`."""
    return _nats_per_unit(items)[1] / math.log(2)


def _nats_per_unit(items: Sequence[tuple[float, int]]) -> tuple[float, float]:
    logprobs, units = np.asarray(items, dtype=float).T
    mean = -logprobs.sum() / units.sum()
    n = len(units)
    if n < 2:
        return mean, math.nan
    residuals = logprobs + mean * units
    return mean, math.sqrt(n / (n - 1) * np.sum(residuals**2)) / units.sum()


def xsum(doc: dict[str, Any], results: Sequence[str]) -> dict[str, float]:
    """lm-eval's `process_results` for XSum: the first line of the reply is the summary."""
    return summary_scores(first_line(results[0]), doc["summary"])
