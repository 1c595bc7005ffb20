"""Selective prediction, against averages over every order of the ties."""

import math
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calib_metrics.selective import (
    aurc,
    coverage_at_accuracy,
    excess_aurc,
    prr,
    risk_coverage,
    selective_accuracy,
)
from helpers.metric_rows import rows, shuffled

RANDOM = st.randoms(use_true_random=False)
FEW_VALUES = st.sampled_from([0.0, 0.2, 0.5, 1.0])


def orders(confidence, correct):
    """Yield correct in every descending order of confidence."""
    values = sorted(set(confidence), reverse=True)
    groups = [
        [y for c, y in zip(confidence, correct, strict=True) if c == value] for value in values
    ]
    for parts in product(*(set(permutations(group)) for group in groups)):
        yield [y for part in parts for y in part]


def mean_over_orders(confidence, correct, function):
    # Equal answers are interchangeable: each distinct order stands for as many permutations.
    return np.mean([function(order) for order in orders(confidence, correct)])


def literal_aurc(order):
    return np.mean([order[:k].count(0) / k for k in range(1, len(order) + 1)])


@given(rows(max_size=6, confidence=FEW_VALUES))
@settings(deadline=None)
def test_aurc_is_the_mean_over_all_orders_of_the_ties(data):
    confidence, correct = data[0].tolist(), data[1].tolist()
    expected = mean_over_orders(confidence, correct, literal_aurc)
    assert aurc(*data) == pytest.approx(expected, abs=1e-12)
    ideal = literal_aurc(sorted(correct, reverse=True))
    assert excess_aurc(*data) == pytest.approx(expected - ideal, abs=1e-12)


@given(rows(max_size=6, confidence=FEW_VALUES), st.sampled_from([0.01, 0.2, 0.5, 0.7, 0.8, 1.0]))
@settings(deadline=None)
def test_selective_accuracy_is_the_mean_over_all_orders_of_the_ties(data, coverage):
    given_answers = math.ceil(round(coverage * len(data[0]), 9))
    expected = mean_over_orders(
        data[0].tolist(),
        data[1].tolist(),
        lambda order: order[:given_answers].count(1) / given_answers,
    )
    assert selective_accuracy(*data, coverage=coverage) == pytest.approx(expected, abs=1e-12)


@given(rows())
def test_curve_is_its_formula_read_literally(data):
    confidence, correct = data
    found = risk_coverage(*data)
    thresholds = sorted(set(confidence.tolist()), reverse=True)
    assert found.threshold.tolist() == thresholds
    for t, coverage, risk in zip(thresholds, found.coverage, found.risk, strict=True):
        assert coverage == pytest.approx(np.mean(confidence >= t))
        assert risk == pytest.approx(1 - np.mean(correct[confidence >= t]))
    assert found.coverage[-1] == 1


@given(rows(), st.integers(1, 100).map(lambda k: k / 100))
def test_coverage_at_accuracy_is_the_best_threshold(data, accuracy):
    confidence, correct = data
    reached = [
        np.mean(confidence >= t)
        for t in set(confidence.tolist())
        if np.mean(correct[confidence >= t]) >= accuracy - 1e-12
    ]
    found = coverage_at_accuracy(*data, accuracy=accuracy)
    assert found == pytest.approx(max(reached, default=0))


def test_shares_that_floating_point_misses():
    # 0.7 * 10 = 7.000000000000001: seven answers, seven right.
    confidence, correct = np.arange(1, 11) / 10, [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]
    assert selective_accuracy(confidence, correct, coverage=0.7) == 1
    assert coverage_at_accuracy([0.5] * 10, correct, accuracy=0.7) == 1


@given(rows(), RANDOM)
def test_order_of_rows_and_scale_of_confidences_change_nothing(data, random):
    _, ranks = np.unique(data[0], return_inverse=True)
    scaled = ranks / max(1, ranks.max()), data[1]
    for metric in (aurc, excess_aurc, selective_accuracy, coverage_at_accuracy):
        assert metric(*data) == metric(*shuffled(data, random)) == metric(*scaled)
    assume(0 < data[1].sum() < len(data[1]))
    assert prr(*data) == prr(*shuffled(data, random)) == prr(*scaled)


@given(st.lists(st.integers(0, 1), min_size=2, max_size=50))
def test_ideal_random_and_inverted_rankings(correct):
    correct = np.array(correct)
    assume(0 < correct.sum() < correct.size)
    error = 1 - correct.mean()
    constant = np.full(correct.size, 0.5)
    assert prr(correct, correct) == pytest.approx(1) and excess_aurc(correct, correct) == 0
    assert prr(constant, correct) == pytest.approx(0, abs=1e-12)
    assert aurc(constant, correct) == pytest.approx(error)
    assert aurc(1 - correct, correct) > error and prr(1 - correct, correct) < 0
    assert coverage_at_accuracy(correct, correct, accuracy=1) == pytest.approx(1 - error)
    assert selective_accuracy(constant, correct, coverage=0.3) == pytest.approx(1 - error)


@given(rows())
def test_values_stay_in_their_ranges(data):
    assert 0 <= excess_aurc(*data) <= aurc(*data) <= 1
    assert selective_accuracy(*data, coverage=1) == pytest.approx(data[1].mean())
    assert 0 <= coverage_at_accuracy(*data) <= 1
    assume(0 < data[1].sum() < len(data[1]))
    assert prr(*data) <= 1 + 1e-12


def test_excess_is_close_to_the_papers_approximation_of_the_ideal():
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(20_000), (rng.random(20_000) < 0.7).astype(int)
    error = 1 - correct.mean()
    ideal = error + (1 - error) * math.log(1 - error)
    assert aurc(confidence, correct) - excess_aurc(confidence, correct) == pytest.approx(
        ideal, abs=1e-4
    )


@pytest.mark.parametrize(("correct", "word", "value"), [([1, 1], "right", 0), ([0, 0], "wrong", 1)])
def test_one_class_only(correct, word, value):
    assert aurc([0.2, 0.8], correct) == value and excess_aurc([0.2, 0.8], correct) == 0
    with pytest.warns(UserWarning, match=f"PRR is undefined.*all 2 answers are {word}"):
        assert math.isnan(prr([0.2, 0.8], correct))


def test_a_single_answer():
    assert aurc([0.0], [1]) == 0 and aurc([1.0], [0]) == 1
    assert selective_accuracy([0.4], [1], coverage=0.01) == 1
    assert coverage_at_accuracy([0.4], [0]) == 0
    found = risk_coverage([0.4], [0])
    assert (found.coverage, found.risk, found.threshold) == ([1], [1], [0.4])


@pytest.mark.parametrize("value", [0, -0.1, 1.1, 80, math.nan, True])
def test_shares_outside_their_range_are_refused_by_name(value):
    with pytest.raises(ValueError, match="coverage"):
        selective_accuracy([0.5], [1], coverage=value)
    with pytest.raises(ValueError, match="accuracy"):
        coverage_at_accuracy([0.5], [1], accuracy=value)
