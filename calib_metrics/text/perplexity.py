"""Perplexity from log-likelihoods that were summed over whole texts, by lm-eval's definitions.

All texts count as one: the log-likelihoods are added, then divided by the units of all texts. Over
tokens it depends on the tokenizer; over words or bytes, models with different ones compare.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from calib_metrics.text._checks import check_lengths


def token_perplexity(log_likelihoods: ArrayLike, tokens: ArrayLike) -> float:
    """exp(-sum of log-likelihoods / number of tokens), at least 1; lower is better.

    log_likelihoods: (n,) natural logarithms, one per text, at most 0. tokens: (n,) tokens in each
    text. A log-likelihood of -inf gives inf. Raises ValueError on bad input.

    >>> round(token_perplexity([-2.0, -4.0], [2, 4]), 4)
    2.7183
    """
    counts = np.asarray(tokens)
    if counts.ndim != 1 or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ValueError("tokens must hold one whole number per text, none negative.")
    return _perplexity(_mean(log_likelihoods, counts))


def word_perplexity(log_likelihoods: ArrayLike, texts: Sequence[str]) -> float:
    """Perplexity per word: exp(-sum of log-likelihoods / number of words).

    Words are what whitespace separates; as in lm-eval, whitespace at an end of a text adds an empty
    word. log_likelihoods as in `token_perplexity`. Raises ValueError on bad input.
    """
    return _perplexity(_mean(log_likelihoods, [len(re.split(r"\s+", t)) for t in _texts(texts)]))


def byte_perplexity(log_likelihoods: ArrayLike, texts: Sequence[str]) -> float:
    """Perplexity per byte of UTF-8; as `word_perplexity`."""
    return _perplexity(_mean(log_likelihoods, [len(text.encode()) for text in _texts(texts)]))


def bits_per_byte(log_likelihoods: ArrayLike, texts: Sequence[str]) -> float:
    """Bits needed per byte of UTF-8: log2 of `byte_perplexity`; lower is better."""
    mean = _mean(log_likelihoods, [len(text.encode()) for text in _texts(texts)])
    return -mean / math.log(2)


def _texts(texts: Sequence[str]) -> Sequence[str]:
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise ValueError("texts must be a list of strings, one per log-likelihood.")
    return texts


def _mean(log_likelihoods: ArrayLike, counts: ArrayLike) -> float:
    values, units = np.asarray(log_likelihoods, dtype=np.float64), np.asarray(counts)
    if values.ndim != 1:
        raise ValueError("log_likelihoods must be a list of one number per text.")
    check_lengths(values, units, "log_likelihoods")
    if not (values <= 0).all():
        raise ValueError(
            "log_likelihoods has values that are missing or above 0: "
            "give natural logarithms of probabilities, not probabilities or losses."
        )
    total = int(units.sum())
    if total == 0:
        raise ValueError("The texts are all empty: perplexity needs something to divide by.")
    # As lm-eval adds: one after the other.
    return float(sum(values.tolist())) / total


def _perplexity(mean: float) -> float:
    # By math.exp, as lm-eval does: that of NumPy may differ from it in the last digit.
    try:
        return math.exp(-mean)
    except OverflowError:  # beyond the largest double
        return math.inf
