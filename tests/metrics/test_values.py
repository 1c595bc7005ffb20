"""Point values: against hand-worked cases, scikit-learn, and a literal reading of the formula."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

from calib_metrics import (
    accuracy,
    auroc,
    brier,
    ece,
    nll,
    reliability_bins,
    rms_calibration_error,
    score,
)

BINS = st.integers(1, 30)
STRATEGY = st.sampled_from(["width", "mass"])
NORM = st.sampled_from(["l1", "l2", "max"])
# What models write (hundredths, full of ties) and what read-outs give (any float).
CONFIDENCE = st.integers(0, 100).map(lambda k: k / 100) | st.floats(0, 1)


@st.composite
def rows(draw, min_size=1):
    data = draw(st.lists(st.tuples(CONFIDENCE, st.integers(0, 1)), min_size=min_size, max_size=60))
    return np.array([c for c, _ in data]), np.array([y for _, y in data])


def literal_ece(confidence, correct, bins, norm):
    gaps, weights = [], []
    for k in range(bins):
        low, high, last = k / bins, (k + 1) / bins, k == bins - 1
        inside = [i for i, c in enumerate(confidence) if low <= c and (c < high or last)]
        if inside:
            mean_confidence = math.fsum(confidence[i] for i in inside) / len(inside)
            right = sum(int(correct[i]) for i in inside) / len(inside)
            gaps.append(abs(right - mean_confidence))
            weights.append(len(inside) / len(confidence))
    if norm == "max":
        return max(gaps)
    power = 1 if norm == "l1" else 2
    return math.fsum(w * g**power for w, g in zip(weights, gaps, strict=True)) ** (1 / power)


# Conformance: cases on which published implementations disagree.


def test_confidence_of_one_belongs_to_the_last_bin():
    assert ece([0.95, 1.0], [1, 0]) == pytest.approx(0.475, abs=1e-12)


def test_last_bin_loses_no_row():
    assert ece([0.55, 0.55, 1.0, 1.0], [0, 1, 1, 0]) == pytest.approx(0.275, abs=1e-12)
    assert ece([0.55, 0.55, 1.0, 1.0], [1, 1, 0, 0]) == pytest.approx(0.725, abs=1e-12)


def test_confidence_of_zero_belongs_to_the_first_bin():
    assert ece([0.0, 0.0], [1, 1]) == 1.0


def test_narrow_but_calibrated_confidences_are_not_rescaled():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.8, 0.95, 5000)
    correct = rng.random(5000) < confidence
    # Two bins, each gap about sqrt(p (1 - p) / n): some 0.006. Rescaled by min-max it is 0.38.
    assert ece(confidence, correct) < 0.015


def test_plug_in_bias_of_a_calibrated_model_is_that_of_the_literature():
    rng = np.random.default_rng(0)
    confidence = rng.random((500, 100))
    correct = rng.random((500, 100)) < confidence
    mean = np.mean([ece(c, y) for c, y in zip(confidence, correct, strict=True)])
    assert mean == pytest.approx(0.103, abs=0.004)


def test_decimal_edges_belong_to_the_bin_they_open():
    tenths = [k / 10 for k in range(11)]
    assert reliability_bins(tenths, [0] * 11).count.tolist() == [1] * 9 + [2]
    hundredths = [k / 100 for k in range(100)]
    assert reliability_bins(hundredths, [0] * 100, bins=100).count.tolist() == [1] * 100


@pytest.mark.parametrize("metric", [ece, rms_calibration_error, brier, nll, auroc, accuracy])
def test_percent_is_refused_and_the_range_named(metric):
    with pytest.raises(ValueError, match=r"range \[0, 1\].*percent.*100"):
        metric([95, 50], [1, 0])


@pytest.mark.parametrize("bad", [-0.1, 1.5, -3.2, 101.0, np.inf])
def test_values_outside_the_range_are_refused(bad):
    with pytest.raises(ValueError, match=r"range \[0, 1\]"):
        brier([0.5, bad], [1, 0])


def test_rounding_error_is_refused_but_not_called_percent():
    with pytest.raises(ValueError, match=r"range \[0, 1\].*clip"):
        brier([0.5, 1.0000001], [1, 0])


def test_no_implicit_transform_of_the_confidences():
    # A sigmoid or softmax anywhere would change these.
    assert brier([0.0, 1.0], [0, 1]) == 0.0
    assert nll([0.0, 1.0], [0, 1]) == 0.0
    assert reliability_bins([0.0, 1.0], [0, 1]).confidence[[0, -1]].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("correct", "word"), [([1, 1], "right"), ([0, 0], "wrong")])
def test_auroc_of_one_class_is_nan_and_says_why(correct, word):
    with pytest.warns(UserWarning, match=f"undefined.*all 2 answers are {word}"):
        assert math.isnan(auroc([0.2, 0.8], correct))


def test_wrong_answer_at_full_confidence_has_infinite_nll():
    assert nll([1.0, 0.5], [0, 1]) == math.inf


@pytest.mark.parametrize(
    ("confidence", "correct", "words"),
    [
        ([], [], "empty"),
        ([0.5], [1, 0], "1 values and correct has 2"),
        ([0.5, None], [1, 0], r"missing.*1 of 2"),
        ([0.5, float("nan")], [1, 0], r"missing.*1 of 2"),
        ([0.5, 0.5], [1, 2], "correct holds 2"),
        ([0.5, 0.5], [1, None], "correct holds nan"),
        (["0.5", "0.6"], [1, 0], "confidence holds strings"),
        ([0.5, "high"], [1, 0], "confidence holds strings"),
        ([0.5, 0.6], ["yes", "no"], "correct holds strings"),
        ([[0.5, 0.6]], [1, 0], "2 dimensions"),
        (0.5, 1, "0 dimensions"),
        ([0.5, {}], [1, 0], "must hold numbers"),
    ],
)
def test_bad_rows_are_refused_with_a_sentence(confidence, correct, words):
    with pytest.raises(ValueError, match=words):
        ece(confidence, correct)


@pytest.mark.parametrize(
    "option", [{"bins": 0}, {"bins": 2.5}, {"strategy": "quantile"}, {"norm": "l3"}]
)
def test_bad_options_are_refused_by_name(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        ece([0.5], [1], **option)


# Against outside references.


@given(rows(), BINS, NORM)
def test_ece_is_its_formula_read_literally(data, bins, norm):
    assert ece(*data, bins=bins, norm=norm) == pytest.approx(
        literal_ece(*data, bins, norm), abs=1e-12
    )


@given(rows())
def test_brier_accuracy_and_auroc_equal_scikit_learn(data):
    confidence, correct = data
    assert accuracy(*data) == pytest.approx(accuracy_score(correct, np.ones_like(correct)))
    assert brier(*data) == pytest.approx(
        brier_score_loss(correct, confidence, pos_label=1), abs=1e-12
    )
    assume(0 < correct.sum() < correct.size)
    assert auroc(*data) == pytest.approx(roc_auc_score(correct, confidence), abs=1e-12)


@given(rows())
def test_nll_equals_scikit_learn_away_from_zero_and_one(data):
    confidence, correct = np.clip(data[0], 0.001, 0.999), data[1]
    assert nll(confidence, correct) == pytest.approx(log_loss(correct, confidence, labels=[0, 1]))


# Properties.


@given(rows(), BINS, STRATEGY, NORM)
def test_ece_is_within_bounds_and_norms_are_ordered(data, bins, strategy, norm):
    assert 0 <= ece(*data, bins=bins, strategy=strategy, norm=norm) <= 1
    l1, l2, largest = (
        ece(*data, bins=bins, strategy=strategy, norm=each) for each in ("l1", "l2", "max")
    )
    assert l1 <= l2 + 1e-12 and l2 <= largest + 1e-12
    assert l2 == rms_calibration_error(*data, bins=bins, strategy=strategy)
    assert abs(np.mean(data[1]) - np.mean(data[0])) <= l1 + 1e-12


@given(rows(), BINS, STRATEGY, NORM, st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing_at_all(data, bins, strategy, norm, random):
    order = list(range(len(data[0])))
    random.shuffle(order)
    shuffled = data[0][order], data[1][order]
    options = {"bins": bins, "strategy": strategy, "norm": norm}
    assert ece(*shuffled, **options) == ece(*data, **options)
    assert brier(*shuffled) == brier(*data)
    assert nll(*shuffled) == nll(*data)
    assume(0 < data[1].sum() < data[1].size)
    assert auroc(*shuffled) == auroc(*data)


@given(rows(), BINS, STRATEGY, NORM)
def test_duplicated_data_has_the_same_ece(data, bins, strategy, norm):
    twice = np.repeat(data[0], 2), np.repeat(data[1], 2)
    options = {"bins": bins, "strategy": strategy, "norm": norm}
    assert ece(*twice, **options) == pytest.approx(ece(*data, **options), abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1)), min_size=2, max_size=60))
def test_monotone_transform_leaves_auroc(data):
    confidence, correct = np.array([c for c, _ in data]) / 20, np.array([y for _, y in data])
    assume(0 < correct.sum() < correct.size)
    assert auroc(confidence**3 / 2, correct) == auroc(confidence, correct)
    assert auroc(1 - confidence, correct) == pytest.approx(1 - auroc(confidence, correct))


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60), BINS)
def test_perfect_and_inverted_predictors(correct, bins):
    correct = np.array(correct)
    assert ece(correct, correct, bins=bins) == brier(correct, correct) == nll(correct, correct) == 0
    assert brier(1 - correct, correct) == 1
    assert nll(1 - correct, correct) == math.inf
    assume(bins > 1)
    assert ece(1 - correct, correct, bins=bins) == 1
    assume(0 < correct.sum() < correct.size)
    assert auroc(correct, correct) == 1 and auroc(1 - correct, correct) == 0


@given(rows(), BINS, STRATEGY)
def test_bins_hold_every_row_and_give_back_the_ece(data, bins, strategy):
    found = reliability_bins(*data, bins=bins, strategy=strategy)
    assert found.count.sum() == len(data[0]) and len(found.count) == bins
    full = found.count > 0
    assert np.isnan(found.confidence[~full]).all() and np.isnan(found.accuracy[~full]).all()
    assert (found.lower[full] <= found.confidence[full] + 1e-12).all()
    assert (found.confidence[full] <= found.upper[full] + 1e-12).all()
    gap = np.abs(found.accuracy - found.confidence)[full]
    assert np.sum(gap * found.count[full]) / len(data[0]) == pytest.approx(
        ece(*data, bins=bins, strategy=strategy), abs=1e-12
    )


@given(rows(), BINS)
def test_equal_mass_never_splits_ties_and_is_equal_without_them(data, bins):
    found = reliability_bins(*data, bins=bins, strategy="mass")
    full = found.count > 0
    assert (found.upper[full][:-1] < found.lower[full][1:]).all()
    assume(len(np.unique(data[0])) == len(data[0]))
    assert found.count.max() - found.count.min() <= 1


@given(st.integers(1, 40), st.integers(1, 500), STRATEGY)
def test_every_sample_size_works_with_every_number_of_bins(n, bins, strategy):
    confidence, correct = np.linspace(0, 1, n), np.arange(n) % 2
    assert 0 <= rms_calibration_error(confidence, correct, bins=bins, strategy=strategy) <= 1
    scores = score(confidence, correct, ("ece", "rms"), bins=bins, strategy=strategy, resamples=20)
    assert scores["ece"].value == ece(confidence, correct, bins=bins, strategy=strategy)
