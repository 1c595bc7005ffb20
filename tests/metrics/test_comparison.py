"""Paired differences: against formulas for means, DeLong for AUROC, and brute force."""

import math

import numpy as np
import pytest

from calib_metrics import compare, score
from calib_metrics.comparison import equal_columns
from calib_metrics.discrimination import delong_difference

QUESTIONS = 600


def two_methods(seed=0, n=QUESTIONS):
    rng = np.random.default_rng(seed)
    truth = rng.random(n)
    correct = (rng.random(n) < truth).astype(int)
    a = np.clip(truth + rng.normal(0, 0.05, n), 0, 1)
    return a, np.clip(truth + rng.normal(0, 0.15, n), 0, 1), correct


def test_standard_error_of_a_brier_difference_is_that_of_the_mean_paired_difference():
    a, b, correct = two_methods()
    difference = (a - correct) ** 2 - (b - correct) ** 2
    found = compare(a, correct, b, correct, ("brier",), resamples=20_000)["brier"]
    assert found.value == pytest.approx(difference.mean(), abs=1e-12)
    assert found.stderr == pytest.approx(difference.std() / math.sqrt(QUESTIONS), rel=0.03)
    unpaired = [score(x, correct, ("brier",))["brier"].stderr for x in (a, b)]
    assert found.stderr < 0.5 * math.hypot(*unpaired)


def test_standard_error_of_an_auroc_difference_is_delongs():
    a, b, correct = two_methods()
    found = compare(a, correct, b, correct, ("auroc",), resamples=5000)["auroc"]
    delong = delong_difference(a, b, correct)
    assert found.value == pytest.approx(delong.difference, abs=1e-12)
    assert found.stderr == pytest.approx(math.sqrt(delong.variance), rel=0.05)


def test_two_models_answer_differently_and_accuracy_is_compared_too():
    a, b, correct = two_methods()
    other = correct.copy()
    other[:60] = 1 - other[:60]
    found = compare(a, correct, b, other, ("acc",), resamples=20_000)["acc"]
    difference = correct - other
    assert found.value == pytest.approx(difference.mean(), abs=1e-12)
    assert found.stderr == pytest.approx(difference.std() / math.sqrt(QUESTIONS), rel=0.03)


def test_a_method_does_not_differ_from_itself():
    a, _, correct = two_methods()
    for found in compare(a, correct, a, correct, ("ece", "auroc", "aurc", "smooth_ece")).values():
        assert found.value == found.low == found.high == found.stderr == 0


def test_sides_swapped_change_the_sign_only():
    a, b, correct = two_methods()
    metrics = ("ece", "auroc", "brier")
    forth = compare(a, correct, b, correct, metrics, resamples=20_000)
    back = compare(b, correct, a, correct, metrics, resamples=20_000)
    for name in metrics:
        assert back[name].value == -forth[name].value
        width = forth[name].high - forth[name].low
        assert back[name].low == pytest.approx(-forth[name].high, abs=0.1 * width)


def test_order_of_the_questions_changes_nothing():
    a, b, correct = two_methods(n=100)
    groups = [f"subject {i % 9}" for i in range(100)]
    order = np.random.default_rng(1).permutation(100)
    for labels in (None, groups):
        shuffled = None if labels is None else [labels[i] for i in order]
        first = compare(a, correct, b, correct, groups=labels, resamples=50)
        again = compare(
            a[order], correct[order], b[order], correct[order], groups=shuffled, resamples=50
        )
        assert first == again


def test_rows_missing_on_either_side_are_left_out_of_both():
    a, b, correct = [0.9, None, 0.4, 0.2], [0.8, 0.7, None, 0.1], [1, 1, 0, 0]
    found = compare(a, correct, b, correct, ("brier", "acc"), method_a="x", method_b="y")
    # Rows 1 and 4 are left: (.01 + .04) / 2 - (.04 + .01) / 2.
    assert found["brier"].value == pytest.approx(0.0)
    assert (found["brier"].n, found["brier"].n_missing) == (2, 2)
    assert found["acc"].n == 4
    assert "conf:x-y" in found["brier"].signature and found["brier"].signature.endswith("|paired")


def test_sides_of_different_length_are_refused():
    with pytest.raises(ValueError, match="a has 2 rows and b has 1"):
        compare([0.1, 0.2], [0, 1], [0.1], [0])


def test_difference_undefined_on_one_side_is_nan():
    with pytest.warns(UserWarning, match="AUROC is undefined"):
        found = compare([0.1, 0.9], [1, 1], [0.1, 0.9], [0, 1], ("auroc",))["auroc"]
    assert math.isnan(found.value) and math.isnan(found.low)


def test_shared_difficulty_makes_the_interval_cover_zero_as_often_as_it_says():
    # Both methods are equally good, so 95 % of the intervals hold 0.
    covered = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        truth = rng.random(200)
        correct = (rng.random(200) < truth).astype(int)
        a, b = (np.clip(truth + rng.normal(0, 0.1, 200), 0, 1) for _ in range(2))
        found = compare(a, correct, b, correct, ("brier",), resamples=400, seed=seed)["brier"]
        covered += found.low <= 0 <= found.high
    assert 0.92 <= covered / 300 <= 0.98


def test_columns_that_are_equal_to_the_last_bit_are_found():
    nan = float("nan")
    columns = {
        "a": [0.1, 0.2, nan],
        "b": [0.1, 0.2 + 1e-17, nan],
        "c": [0.1, 0.2, None],
        "d": [0.1, 0.2],
        "e": [nan, nan, 0.5],
        "f": [nan, nan, 0.5],
        "g": [0.0, 0.5, 1.0],
        "h": [-0.0, 0.5, 1.0],
    }
    assert 0.2 + 1e-17 == 0.2  # so that b is a's twin too
    columns["i"] = [0.1, np.nextafter(0.2, 1), nan]
    assert equal_columns(columns) == [("a", "b", "c"), ("g", "h")]
