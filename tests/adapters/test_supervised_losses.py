"""Losses and scores of supervised fine-tuning, against torch, scikit-learn and work by hand."""

import json

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from calib_adapters.supervised.batch import SUMMARY
from calib_adapters.supervised.losses import penalties, token_nll
from calib_adapters.supervised.scores import fit_option_temperature, full_scores, quick_scores
from calib_adapters.training.schema import Penalty


def test_label_smoothing_over_the_vocabulary_is_torchs():
    torch.manual_seed(0)
    logits, targets = torch.randn(6, 40), torch.randint(40, (6,))
    penalty = Penalty(regulariser="ls", alpha=0.1, classes="vocabulary")
    found = token_nll(logits, targets) + 0.1 * penalties(
        logits, targets, torch.full((6, 1), -1), penalty
    )
    expected = torch.nn.functional.cross_entropy(
        logits, targets, label_smoothing=0.1, reduction="none"
    )
    torch.testing.assert_close(found, expected)


def test_label_smoothing_over_options_is_torchs_on_their_logits():
    torch.manual_seed(0)
    logits = torch.randn(2, 40)
    classes = torch.tensor([[3, 9, 30, -1], [1, 2, 3, 4]])
    targets = torch.tensor([9, 4])
    found = penalties(logits, targets, classes, Penalty(regulariser="ls"))
    for i, (options, right) in enumerate((([3, 9, 30], 1), ([1, 2, 3, 4], 3))):
        z, y = logits[i, options][None], torch.tensor([right])
        smoothed = torch.nn.functional.cross_entropy(z, y, label_smoothing=0.1)
        plain = torch.nn.functional.cross_entropy(z, y)
        torch.testing.assert_close(plain + 0.1 * found[i], smoothed)


def test_margin_penalty_by_hand():
    # Logits 12, 0, 1 and a margin of 10: the excesses are 0, 2 and 1.
    logits, targets = torch.tensor([[12.0, 0.0, 1.0, 50.0]]), torch.tensor([0])
    classes = torch.tensor([[0, 1, 2]])
    mean, total = (
        penalties(logits, targets, classes, Penalty(regulariser="mbls", reduce=reduce))
        for reduce in (None, "sum")
    )
    assert mean.item() == pytest.approx(1.0)
    assert total.item() == pytest.approx(3.0)
    whole = penalties(logits, targets, classes, Penalty(regulariser="mbls", classes="vocabulary"))
    # To 50: excesses 28, 40, 39 and 0 over four tokens.
    assert whole.item() == pytest.approx(107 / 4)


def test_entropy_penalty_is_torchs_entropy():
    torch.manual_seed(0)
    logits, targets = torch.randn(3, 20), torch.tensor([1, 2, 0])
    classes = torch.tensor([[1, 5, -1], [-1, -1, -1], [0, -1, -1]])
    found = penalties(logits, targets, classes, Penalty(regulariser="ecp"))
    entropy = torch.distributions.Categorical(logits=logits[0, [1, 5]]).entropy()
    whole = torch.distributions.Categorical(logits=logits[1]).entropy()
    torch.testing.assert_close(found, torch.stack([-entropy, -whole, torch.tensor(0.0)]))


@pytest.mark.parametrize("regulariser", ["ls", "mbls", "ecp"])
def test_penalties_have_finite_gradients_at_padded_options(regulariser):
    logits = (torch.randn(2, 10) * 20).requires_grad_()
    classes = torch.tensor([[1, 2, -1], [3, 4, 5]])
    penalty = Penalty(regulariser=regulariser, margin=1)
    penalties(logits, torch.tensor([1, 5]), classes, penalty).sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, [1, 2]].abs().sum() > 0
    assert logits.grad[0, 3:].abs().sum() == 0


def random_table(n=300, options=4, scale=3.0, seed=0):
    """Scores whose softmax at temperature `scale` is calibrated."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1.5, (n, options))
    gold = np.array([rng.choice(options, p=p) for p in softmax(scores, axis=1)])
    head = np.column_stack([np.full(n, 4.0), np.full(n, 2.0), np.zeros((n, 3))])
    return np.column_stack([head, scale * scores]), gold


def test_option_temperature_undoes_a_known_sharpening():
    table, gold = random_table(n=4000)
    fitted = fit_option_temperature(table, gold)
    assert fitted["temperature"] == pytest.approx(3.0, rel=0.1)


def test_with_two_options_the_temperature_is_that_of_logistic_regression():
    table, gold = random_table(options=2)
    odds = (table[:, SUMMARY + 1] - table[:, SUMMARY])[:, None]
    slope = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(odds, gold).coef_
    fitted = fit_option_temperature(table, gold)
    assert fitted["temperature"] == pytest.approx(1 / slope[0, 0], rel=1e-3)


def test_scores_of_options_are_those_of_the_most_probable_one():
    table, gold = random_table()
    found = quick_scores(table, gold)
    p = softmax(table[:, SUMMARY:], axis=1)
    right = p.argmax(1) == gold
    assert found["acc"] == pytest.approx(right.mean())
    assert found["brier"] == pytest.approx(np.mean((p.max(1) - right) ** 2))
    assert found["option_nll"] == pytest.approx(-np.log(p[np.arange(len(p)), gold]).mean())
    assert found["nll"] == pytest.approx(2.0)  # 4 nats on 2 tokens
    full = full_scores(table, gold, "test")
    for name in ("nll", "acc", "ece", "auroc", "brier", "option_nll"):
        assert full[name]["value"] == pytest.approx(found[name])
    assert full["acc"]["low"] < full["acc"]["value"] < full["acc"]["high"]


def test_an_all_right_validation_split_has_no_auroc():
    table, _ = random_table(n=20)
    gold = table[:, SUMMARY:].argmax(1)
    assert "auroc" not in quick_scores(table, gold)
    json.dumps(full_scores(table, gold, "test"), allow_nan=False)


def test_open_rows_have_an_exact_match_instead_of_option_scores():
    table, _ = random_table(n=4)
    table[:3, SUMMARY - 1] = 1
    found = quick_scores(table, np.full(4, -1))
    assert found["exact"] == 0.75
    assert "acc" not in found
