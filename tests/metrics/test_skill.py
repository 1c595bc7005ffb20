"""The Brier skill score: hand-worked values, scikit-learn's Brier scores, and the constant."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from calib_metrics import brier_skill, score

ROWS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=2, max_size=60).filter(
    lambda rows: len({right for _, right in rows}) == 2
)


def test_a_value_worked_by_hand():
    """B = (0.01 + 0.16 + 0.04 + 0.16) / 4 = 0.0925; always saying 0.5 has 0.25: 1 - 0.37."""
    assert brier_skill([0.9, 0.6, 0.2, 0.4], [1, 1, 0, 0]) == pytest.approx(0.63, abs=1e-12)
    # One right of four: 0.25 * 0.75 = 0.1875; always saying 0.5 has 0.25.
    confidence, correct = [0.5, 0.5, 0, 0], [1, 0, 0, 0]  # B = 0.5 / 4 = 0.125
    assert brier_skill(confidence, correct) == pytest.approx(1 - 0.125 / 0.1875, abs=1e-12)
    assert brier_skill(confidence, correct, base_rate=0.5) == pytest.approx(0.5, abs=1e-12)


@given(ROWS, st.floats(0.01, 1))
def test_it_is_one_minus_a_quotient_of_scikit_learns_brier_scores(rows, rate):
    confidence, correct = map(np.array, zip(*rows, strict=True))
    own = brier_score_loss(correct, np.full(len(rows), np.mean(correct)))
    given_rate = brier_score_loss(correct, np.full(len(rows), rate))
    found = brier_score_loss(correct, confidence)
    assert brier_skill(confidence, correct) == pytest.approx(1 - found / own, abs=1e-9)
    assert brier_skill(confidence, correct, base_rate=rate) == pytest.approx(
        1 - found / given_rate, abs=1e-9 * max(1, 1 / given_rate)
    )


@given(ROWS, st.floats(0.01, 1))
def test_no_constant_beats_the_one_in_hindsight(rows, constant):
    correct = [right for _, right in rows]
    assert brier_skill([constant] * len(rows), correct) <= 1e-12
    assert brier_skill([np.mean(correct)] * len(rows), correct) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("right, word", [(0, "wrong"), (1, "right")])
def test_it_is_undefined_where_a_constant_makes_no_error(right, word):
    with pytest.warns(UserWarning, match=f"all 3 answers are {word}"):
        assert math.isnan(brier_skill([0.2, 0.5, 0.9], [right] * 3))


def test_knowing_that_nearly_all_answers_are_wrong_is_no_skill():
    """One right answer of 796, a small ECE, and confidences that say little about which."""
    correct = np.zeros(796)
    correct[0] = 1
    confidence = np.full(796, 0.02)
    found = score(confidence, correct, ("ece", "brier_skill"), resamples=0)
    assert found["ece"].value < 0.02
    assert found["brier_skill"].value < 0


def test_missing_confidences_are_left_out_of_both_scores():
    found = score([0.9, None, 0.2, None], [1, 1, 0, 0], ("brier_skill",), resamples=0)
    assert found["brier_skill"].value == brier_skill([0.9, 0.2], [1, 0])
    assert found["brier_skill"].n == 2


def test_its_signature_says_which_constant():
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(50), rng.integers(0, 2, 50)
    found = score(confidence, correct, ("brier_skill", "brier_skill@0.4"), resamples=20)
    assert "|base_rate:own|" in found["brier_skill"].signature
    assert "|base_rate:0.4|" in found["brier_skill@0.4"].signature


def test_its_interval_is_that_of_resampled_rows():
    """A plain loop over the rows that NumPy draws."""
    rng = np.random.default_rng(1)
    confidence = rng.random(200)
    correct = (rng.random(200) < confidence).astype(float)
    found = score(confidence, correct, ("brier_skill",), resamples=2000)["brier_skill"]
    values = []
    for _ in range(2000):
        rows = rng.integers(0, 200, 200)
        y, c = correct[rows], confidence[rows]
        values.append(1 - brier_score_loss(y, c) / brier_score_loss(y, np.full(200, y.mean())))
    assert found.stderr == pytest.approx(np.std(values), rel=0.08)
    assert (found.low, found.high) == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.02)


@pytest.mark.parametrize("rate", [0, -0.1, 1.1, True])
def test_a_base_rate_that_is_no_share_is_refused(rate):
    with pytest.raises(ValueError, match="base_rate is"):
        brier_skill([0.5, 0.4], [1, 0], base_rate=rate)
