"""What a stated number costs: the tokenised Brier score, or the cross-entropy of a target.

Shapes: `logprobs` (B, C) are log P(number), all of its tokens, of C numbers that can be stated;
`values` (C,) are the numbers as probabilities; `correct` (B,) is 1 for a right answer and else 0.
All losses have one entry per row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def tokenised_brier(logprobs: Tensor, values: Tensor, correct: Tensor) -> Tensor:
    """sum_i p_i (c_i - y)^2, where p is P(number) among the numbers; in [0, 1].

    The tokenised Brier score of ConfTuner (Li et al. 2025, arXiv 2508.18847). Over answers of which
    a share q is right, its mean is least where all of p is on the number nearest to q, so the
    number that greedy decoding writes is the calibrated one. (The cross-entropy of the grades would
    spread p over 0 and 1 instead.) What the model says that is none of the numbers costs nothing
    here; see `spread_nll`.
    """
    costs = (values - correct[:, None]) ** 2
    return (logprobs.softmax(-1) * costs).sum(-1)


def spread_nll(logprobs: Tensor) -> Tensor:
    """The mean of -log P(number) over all numbers, in nats.

    High where the model says something else, and where it says one number only, from which the
    tokenised Brier score alone hardly leads away: its gradient vanishes with p (1 - p). Added to
    that score with a weight w, the least value is where p_i = w / (C (a_i - m)), a_i the mean of
    (c_i - y)^2 and m < min a: the likeliest number is the same as without it. (-log of the *sum* of
    the probabilities would do worse than nothing. It raises what is likeliest already: SmolLM2 said
    "100%" to everything after 25 steps.)
    """
    return -logprobs.mean(-1)


def target_nll(logprobs: Tensor, target: Tensor) -> Tensor:
    """-log P(number), in nats, of the numbers with the indices `target` (B,)."""
    return -logprobs.gather(-1, target[:, None])[:, 0]


def mean_log_odds(logprobs: Tensor, values: Tensor) -> Tensor:
    """The log-odds of the mean number, sum_i p_i c_i with p as in `tokenised_brier`.

    Finite, although 0 and 1 may be among the numbers.
    """
    return (logprobs + values.log()).logsumexp(-1) - (logprobs + (1 - values).log()).logsumexp(-1)


def binned_accuracy(
    signal: NDArray[np.float64], correct: NDArray[np.int_], bins: int
) -> NDArray[np.float64]:
    """The share of right answers among those with about the same `signal`, for each answer.

    The bins hold about as many answers each; equal signals are in the same bin, so there may be
    fewer of them. A number of one's own samples and the accuracy that comes with it are what Lin et
    al. 2022 (arXiv 2205.14334) teach, there by kind of question.
    """
    edges = np.unique(np.quantile(signal, np.linspace(0, 1, bins + 1)[1:-1]))
    which = np.searchsorted(edges, signal, side="right")
    hits = np.bincount(which, weights=correct, minlength=len(edges) + 1)
    return (hits / np.maximum(np.bincount(which, minlength=len(edges) + 1), 1))[which]


def nearest(shares: NDArray[np.float64], values: Tensor) -> list[int]:
    """The indices of the `values` nearest to `shares`; of two that are as near, the lower."""
    apart = np.abs(np.asarray(shares)[:, None] - values.numpy().astype(np.float64))
    return apart.round(9).argmin(1).tolist()
