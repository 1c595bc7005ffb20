"""The loss of a token: its negative log-likelihood, and regularisers against overconfidence.

All functions return one number per token, in nats, float32.

Sources: label smoothing, Szegedy et al., CVPR 2016; margin-based label smoothing, Liu et al., CVPR
2022; entropy penalty, Pereyra et al., ICLR 2017 workshop.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from calib_adapters.training.schema import Penalty

USUAL = {"ls": "mean", "mbls": "mean", "ecp": "sum"}  # as in the formulas


def token_nll(logits: Tensor, targets: Tensor) -> Tensor:
    """-log p of each target; shapes (P, V), (P,) -> (P,)."""
    return functional.cross_entropy(logits.float(), targets, reduction="none")


def penalties(logits: Tensor, targets: Tensor, classes: Tensor, penalty: Penalty) -> Tensor:
    """The regulariser R of each token; the loss of a token is NLL + alpha · R.

    With p = softmax(z) over K classes, y the right one and Σ_k the mean (or sum) over them:

    - ``ls``: Σ_k(-log p_k) + log p_y, so that the loss is (1 - alpha)·NLL + alpha·Σ_k(-log p_k)
    - ``mbls``: Σ_k max(0, max_j z_j - z_k - margin)
    - ``ecp``: -H(p) = sum of p_k log p_k, so that the loss is NLL - alpha·H(p)

    Args:
        logits: (P, V).
        targets: (P,).
        classes: (P, K) token ids of the options at this position, filled up with -1. A row of -1
            alone means the whole vocabulary; a position with one option is certain, R is 0.
        penalty: which, and with ``classes="vocabulary"`` over the vocabulary everywhere.
    """
    result = logits.new_zeros(len(targets), dtype=torch.float32)
    if penalty.regulariser == "none":
        return result
    sizes = (classes >= 0).sum(-1)
    open_ended = torch.ones_like(sizes, dtype=torch.bool)
    if penalty.classes == "options":
        open_ended = sizes == 0
    whole, chosen = open_ended.nonzero()[:, 0], (~open_ended & (sizes > 1)).nonzero()[:, 0]
    if len(whole):
        found = _penalty(logits[whole].float(), targets[whole], None, penalty)
        result = result.index_copy(0, whole, found)
    if len(chosen):
        ids = classes[chosen]
        z = logits[chosen].float().gather(-1, ids.clamp(min=0))
        right = (ids == targets[chosen, None]).int().argmax(-1)
        result = result.index_copy(0, chosen, _penalty(z, right, ids >= 0, penalty))
    return result


def _penalty(z: Tensor, right: Tensor, there: Tensor | None, penalty: Penalty) -> Tensor:
    """R over the columns of `z` that are `there`; all of them for ``None``."""
    if there is None:
        size = z.new_full((len(z),), z.shape[-1])
        keep = 1.0
    else:
        size, keep = there.sum(-1).float(), there.float()
        z = z.masked_fill(~there, torch.finfo(z.dtype).min)
    divisor = size if (penalty.reduce or USUAL[penalty.regulariser]) == "mean" else 1.0
    if penalty.regulariser == "mbls":
        over = functional.relu(z.amax(-1, keepdim=True) - z - penalty.margin)
        return (over * keep).sum(-1) / divisor
    log_p = z.log_softmax(-1)
    if there is not None:
        log_p = log_p.masked_fill(~there, 0.0)  # p log p of a column that is not there is 0
    if penalty.regulariser == "ecp":
        return (log_p.exp() * log_p * keep).sum(-1) / divisor
    return -log_p.sum(-1) / divisor + log_p.gather(-1, right[:, None])[:, 0]
