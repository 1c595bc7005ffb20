"""Smooth ECE, against quadrature of its definition over the reflected kernel."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib_metrics.smooth import (
    grid_size,
    smooth_ece,
    smooth_ece_bandwidth,
    smooth_residual,
    to_grid,
)
from helpers.metric_rows import CONFIDENCE, calibrated, rows, shuffled

RANDOM = st.randoms(use_true_random=False)


def literal_smooth_ece(confidence, correct, bandwidth, points=20_001):
    """Sum the mirror images of the kernel, and integrate by the trapezoid rule."""
    t = np.linspace(0, 1, points)
    smoothed = np.zeros(points)
    images = range(-math.ceil(4 * bandwidth) - 1, math.ceil(4 * bandwidth) + 2)
    for c, y in zip(confidence, correct, strict=True):
        for k in images:
            for centre in (c + 2 * k, -c + 2 * k):
                smoothed += (y - c) * np.exp(-(((t - centre) / bandwidth) ** 2) / 2)
    smoothed /= len(confidence) * bandwidth * math.sqrt(2 * math.pi)
    return np.trapezoid(np.abs(smoothed), t)


@given(rows(max_size=10), st.sampled_from([0.01, 0.05, 0.3, 1.0, 2.0]))
@settings(max_examples=40, deadline=None)
def test_value_at_a_bandwidth_is_the_integral(data, bandwidth):
    found = smooth_ece(*data, bandwidth=bandwidth)
    assert found == pytest.approx(literal_smooth_ece(*data, bandwidth), abs=1e-4)


@given(rows(max_size=10))
@settings(max_examples=40, deadline=None)
def test_bandwidth_and_value_are_the_fixed_point(data):
    bandwidth = smooth_ece_bandwidth(*data)
    assert smooth_ece(*data) == pytest.approx(bandwidth, abs=1e-9)
    if bandwidth > 0.005:  # the quadrature's grid is fine enough
        assert literal_smooth_ece(*data, bandwidth) == pytest.approx(bandwidth, abs=2e-4)
        assert smooth_ece(*data, bandwidth=bandwidth) == pytest.approx(bandwidth, abs=1e-4)


def test_all_residuals_of_one_sign_give_their_mean():
    # Nothing cancels, at any bandwidth.
    assert smooth_ece([0.2, 0.9, 0.4], [0, 0, 0]) == pytest.approx(0.5)
    assert smooth_ece([0.2, 0.9, 0.4], [0, 0, 0], bandwidth=0.01) == pytest.approx(0.5)


@given(CONFIDENCE, st.integers(0, 1))
def test_a_single_answer_scores_its_residual(confidence, correct):
    assert smooth_ece([confidence], [correct]) == pytest.approx(abs(correct - confidence))


@given(st.lists(st.integers(0, 1), min_size=1, max_size=40))
def test_perfect_and_inverted_predictors(correct):
    correct = np.array(correct)
    assert smooth_ece(correct, correct) == smooth_ece_bandwidth(correct, correct) == 0
    # Residuals of +1 at 0 and -1 at 1 spread over all of [0, 1] only at large bandwidths.
    inverted = smooth_ece(1 - correct, correct)
    assert abs(2 * correct.mean() - 1) - 1e-9 <= inverted <= 1
    assert inverted >= 0.4


@given(rows(), RANDOM)
@settings(deadline=None)
def test_order_of_rows_changes_nothing_and_duplicates_next_to_nothing(data, random):
    value = smooth_ece(*data)
    assert value == smooth_ece(*shuffled(data, random))
    twice = np.repeat(data[0], 2), np.repeat(data[1], 2)
    assert smooth_ece(*twice) == pytest.approx(value, abs=1e-9)


@given(rows())
@settings(deadline=None)
def test_more_smoothing_never_gives_more_and_bounds_hold(data):
    sizes = [smooth_ece(*data, bandwidth=s) for s in (0.02, 0.1, 0.5, 3.0)]
    assert all(a >= b - 1e-9 for a, b in pairwise(sizes))
    residual = data[1] - data[0]
    assert sizes[0] <= np.mean(np.abs(residual)) + 1e-12
    assert sizes[-1] >= abs(np.mean(residual)) - 1e-12
    assert 0 <= smooth_ece(*data) <= 1


@given(rows())
@settings(deadline=None)
def test_confidences_and_answers_turned_round_score_the_same(data):
    confidence = np.round(data[0] * 64) / 64  # 1 - c is then exact
    turned = smooth_ece(1 - confidence, 1 - data[1])
    assert turned == pytest.approx(smooth_ece(confidence, data[1]), abs=1e-9)


def test_miscalibration_by_a_constant_is_found():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 0.8, 20_000)
    correct = (rng.random(20_000) < truth).astype(int)
    assert smooth_ece(truth + 0.2, correct) == pytest.approx(0.2, abs=0.01)
    assert smooth_ece(truth, correct) < 0.02


def test_tiny_bandwidths_of_many_calibrated_rows_are_resolved():
    confidence, correct = calibrated(200_000)
    bandwidth = smooth_ece_bandwidth(confidence, correct)
    assert 0.001 < bandwidth < 0.01 and grid_size(bandwidth) > 1024
    assert smooth_ece(confidence, correct) == pytest.approx(bandwidth, abs=1e-6)


def test_sums_on_a_grid_are_reduced_along_the_last_axis():
    rng = np.random.default_rng(0)
    sums = rng.normal(size=(2, 3, 64)) / 64
    found = smooth_residual(sums, 0.1)
    assert found.shape == (2, 3)
    assert found[1, 2] == pytest.approx(smooth_residual(sums[1, 2], 0.1), abs=1e-15)


@given(rows(), st.sampled_from([2, 16, 1024]))
def test_grid_keeps_every_row_and_its_place(data, points):
    cell, weight = to_grid(data[0], points)
    assert cell.min() >= 0 and cell.max() + 1 < points
    assert weight.min() >= 0 and weight.max() <= 1
    centre = (cell + weight + 0.5) / points
    nearest = np.clip(data[0], 0.5 / points, 1 - 0.5 / points)
    assert centre == pytest.approx(nearest, abs=1e-12)


@pytest.mark.parametrize("bandwidth", [-0.1, math.nan, math.inf, True])
def test_bandwidth_outside_its_range_is_refused(bandwidth):
    with pytest.raises(ValueError, match="bandwidth"):
        smooth_ece([0.5], [1], bandwidth=bandwidth)
