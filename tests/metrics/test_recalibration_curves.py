"""The curves of recalibration: exact where a closed form exists, scikit-learn elsewhere."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from calib_metrics import nll
from calib_metrics.recalibration import fit
from helpers.metric_rows import interior_rows, overconfident, quiet_fit


# Values.
def test_temperature_has_its_closed_form():
    # One distance from 0.5, 3 of 4 on the right side: sigmoid(ln 9 / T) = 3/4, so T = ln 9 / ln 3.
    found = fit([0.9, 0.9, 0.1, 0.1], [1, 1, 0, 1], "temperature")
    assert found.parameters["temperature"] == pytest.approx(2, abs=1e-12)
    assert found.apply([0.9, 0.1, 0.5, 0.99]) == pytest.approx(
        [0.75, 0.25, 0.5, math.sqrt(99) / (1 + math.sqrt(99))], abs=1e-12
    )


def test_temperature_undoes_the_sharpening_of_log_odds():
    found = fit(*overconfident(20_000), "temperature")
    assert found.parameters["temperature"] == pytest.approx(2.5, rel=0.05)


def test_platt_passes_through_the_accuracies_of_two_confidences():
    found = fit([0.5] * 4 + [0.9] * 5, [1, 0, 0, 0, 1, 1, 1, 1, 0], "platt")
    assert found.apply([0.5, 0.9]) == pytest.approx([1 / 4, 4 / 5], abs=1e-7)
    # Log-odds: intercept = logit(1/4) = -ln 3; slope * ln 9 + intercept = ln 4.
    assert found.parameters["intercept"] == pytest.approx(-math.log(3), abs=1e-6)
    assert found.parameters["slope"] == pytest.approx(math.log(12) / math.log(9), abs=1e-6)


@pytest.mark.parametrize("sharpen", [2.5, 0.4, -1.0])
def test_platt_equals_unregularised_logistic_regression(sharpen):
    confidence, correct = overconfident(400, sharpen=sharpen)
    log_odds = np.log(confidence / (1 - confidence))[:, None]
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10)
    expected = model.fit(log_odds, correct).predict_proba(log_odds)[:, 1]
    found = fit(confidence, correct, "platt")
    assert found.apply(confidence, allow_fitted_rows=True) == pytest.approx(expected, abs=1e-6)


def test_beta_passes_through_the_accuracies_of_three_confidences():
    # Three parameters, three accuracies: the curve that meets them all has the highest likelihood.
    confidence = [0.2] * 4 + [0.5] * 2 + [0.8] * 4
    found = fit(confidence, [0, 0, 0, 1, 0, 1, 0, 1, 1, 1], "beta")
    assert found.apply([0.2, 0.5, 0.8]) == pytest.approx([1 / 4, 1 / 2, 3 / 4], abs=1e-6)


def test_beta_equals_logistic_regression_on_its_two_features():
    confidence, correct = overconfident(400)
    features = np.stack([np.log(confidence), -np.log(1 - confidence)], axis=1)
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10)
    expected = model.fit(features, correct).predict_proba(features)[:, 1]
    assert (model.coef_ > 0).all()  # otherwise beta's curve is not this one
    found = fit(confidence, correct, "beta")
    assert found.apply(confidence, allow_fitted_rows=True) == pytest.approx(expected, abs=1e-5)


def test_beta_does_not_turn_backward_confidences_around():
    confidence, correct = overconfident(400, sharpen=-1.0)
    found = fit(confidence, correct, "beta")
    # a = b = 0 is the best curve that does not fall: the base rate for everyone.
    assert found.apply([0.01, 0.99]) == pytest.approx([correct.mean()] * 2, abs=1e-5)


@given(interior_rows(), st.floats(0, 5), st.floats(0, 5), st.floats(-5, 5))
@settings(deadline=None)
def test_no_other_rising_beta_curve_is_more_likely(data, a, b, m):
    confidence, correct = data
    found = quiet_fit(data, "beta")
    z = a * np.log(confidence) - b * np.log1p(-confidence) + m
    other = np.mean(np.logaddexp(0, np.where(correct == 1, -z, z)))
    assert nll(found.apply(confidence, allow_fitted_rows=True), correct) <= other + 1e-7


@given(interior_rows())
@settings(deadline=None)
def test_isotonic_is_the_max_min_of_block_means(data):
    confidence, correct = data
    found = fit(confidence, correct, "isotonic").apply(confidence, allow_fitted_rows=True)
    levels = np.unique(confidence)
    for i, level in enumerate(levels):
        expected = max(
            min(correct[(low <= confidence) & (confidence <= high)].mean() for high in levels[i:])
            for low in levels[: i + 1]
        )
        assert found[confidence == level] == pytest.approx(expected, abs=1e-12)


def test_isotonic_is_linear_between_its_knots_and_flat_beyond():
    found = fit([0.2, 0.2, 0.6, 0.6], [0, 1, 1, 1], "isotonic")
    assert found.apply([0.0, 0.2, 0.3, 0.4, 0.6, 1.0]) == pytest.approx(
        [0.5, 0.5, 0.625, 0.75, 1, 1]
    )


def test_histogram_gives_the_accuracy_of_bins_of_equal_mass():
    confidence = [0.1, 0.2, 0.3, 0.4, 0.7, 0.8, 0.9, 1.0]
    found = fit(confidence, [0, 0, 1, 0, 1, 1, 0, 1], "histogram", bins=2)
    # Bins {.1 .. .4} and {.7 .. 1}, 1/4 and 3/4 right; new values go to the nearer bin.
    assert found.apply([0.0, 0.4, 0.54, 0.56, 1.0]).tolist() == [0.25, 0.25, 0.25, 0.75, 0.75]


def test_histogram_edge_belongs_to_the_upper_bin():
    found = fit([0.25, 0.25, 0.75, 0.75], [0, 0, 1, 1], "histogram", bins=2)
    assert found.apply([0.5, np.nextafter(0.5, 0)]).tolist() == [1, 0]
    # No double lies between neighbours, so their midpoint is one of them.
    for low in (0.3, np.nextafter(0.3, 1)):
        pair = [low, np.nextafter(low, 1)]
        found = fit(pair, [0, 1], "histogram", bins=2)
        assert found.apply(pair, allow_fitted_rows=True).tolist() == [0, 1]


def test_histogram_does_not_split_ties():
    found = fit([0.9] * 9 + [0.2], [1] * 6 + [0] * 4, "histogram", bins=5)
    assert found.apply([0.9, 0.2]) == pytest.approx([6 / 9, 0])
