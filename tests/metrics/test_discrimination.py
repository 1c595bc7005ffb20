"""Average precision against scikit-learn, and DeLong against its literal double sums."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from calib_metrics.discrimination import auroc, average_precision, delong, delong_difference
from helpers.metric_rows import calibrated, rows, shuffled

RANDOM = st.randoms(use_true_random=False)


@given(rows())
def test_average_precision_equals_scikit_learn(data):
    assume(data[1].sum() > 0)
    assert average_precision(*data) == pytest.approx(
        average_precision_score(data[1], data[0]), abs=1e-12
    )


@given(rows(), RANDOM)
def test_average_precision_ignores_the_order_and_scale_of_the_confidences(data, random):
    assume(data[1].sum() > 0)
    value = average_precision(*data)
    assert value == average_precision(*shuffled(data, random))
    _, ranks = np.unique(data[0], return_inverse=True)
    assert value == average_precision(ranks / max(1, ranks.max()), data[1])


def test_average_precision_at_the_edges():
    assert average_precision([0.3], [1]) == 1
    assert average_precision([0.0, 1.0], [1, 1]) == 1
    assert average_precision([0.5] * 4, [0, 0, 0, 1]) == 0.25  # all tied: the accuracy
    assert average_precision([0.1, 0.9], [1, 0]) == 0.5
    with pytest.warns(UserWarning, match="Average precision.*all 2 answers are wrong.*one right"):
        assert math.isnan(average_precision([0.1, 0.9], [0, 0]))


def kernel(right, wrong):
    return (right > wrong) + 0.5 * (right == wrong)


def literal_components(confidence, correct):
    right = [c for c, y in zip(confidence, correct, strict=True) if y == 1]
    wrong = [c for c, y in zip(confidence, correct, strict=True) if y == 0]
    v = [sum(kernel(r, w) for w in wrong) / len(wrong) for r in right]
    u = [sum(kernel(r, w) for r in right) / len(right) for w in wrong]
    return np.array(v), np.array(u)


def two_of_each(data):
    return 2 <= data[1].sum() <= len(data[1]) - 2


@given(rows(min_size=4, max_size=40))
def test_delong_is_its_formula_read_literally(data):
    assume(two_of_each(data))
    v, u = literal_components(*data)
    found = delong(*data)
    assert found.auroc == pytest.approx(roc_auc_score(data[1], data[0]), abs=1e-12)
    expected = v.var(ddof=1) / v.size + u.var(ddof=1) / u.size
    assert found.variance == pytest.approx(expected, abs=1e-12)
    reach = 1.959963984540054 * math.sqrt(max(expected, 0))
    assert found.low == pytest.approx(max(0, found.auroc - reach), abs=1e-6)
    assert found.high == pytest.approx(min(1, found.auroc + reach), abs=1e-6)


def test_delong_by_hand():
    # Right .4 .8, wrong .2 .6: v = (1/2, 1), u = (1, 1/2). AUROC 3/4; variances 1/8 each, halved.
    found = delong([0.4, 0.8, 0.2, 0.6], [1, 1, 0, 0])
    assert (found.auroc, found.variance) == pytest.approx((0.75, 0.125))


@given(rows(min_size=4), rows(min_size=4), RANDOM)
def test_delong_difference_is_its_covariance_formula_read_literally(first, second, random):
    n = min(len(first[0]), len(second[0]))
    a, b, correct = first[0][:n], second[0][:n], first[1][:n]
    assume(two_of_each((a, correct)))
    va, ua = literal_components(a, correct)
    vb, ub = literal_components(b, correct)
    variance = sum(
        x.var(ddof=1) / x.size + y.var(ddof=1) / y.size - 2 * np.cov(x, y)[0, 1] / x.size
        for x, y in ((va, vb), (ua, ub))
    )
    found = delong_difference(a, b, correct)
    assert found.difference == pytest.approx(auroc(a, correct) - auroc(b, correct), abs=1e-12)
    assert found.variance == pytest.approx(variance, abs=1e-12)
    if variance > 1e-9:
        assert found.z == pytest.approx(found.difference / math.sqrt(variance), abs=1e-6)
        assert found.p == pytest.approx(2 * scipy.stats.norm.sf(abs(found.z)), abs=1e-12)
    assert found == delong_difference(*shuffled((a, b, correct), random))
    swapped = delong_difference(b, a, correct)
    assert swapped.difference == pytest.approx(-found.difference, abs=1e-12)
    assert swapped.p == pytest.approx(found.p, abs=1e-6)


@given(rows(min_size=4))
def test_confidences_that_rank_alike_do_not_differ(data):
    assume(two_of_each(data))
    found = delong_difference(data[0], data[0] / 2, data[1])
    # Halving can merge the smallest floats; nothing else may move.
    assume(len(np.unique(data[0])) == len(np.unique(data[0] / 2)))
    assert (found.difference, found.variance, found.z, found.p) == (0, 0, 0, 1)


def test_difference_that_no_row_contradicts_is_certain():
    found = delong_difference([0.1, 0.2, 0.8, 0.9], [0.8, 0.9, 0.1, 0.2], [0, 0, 1, 1])
    assert (found.difference, found.variance, found.z, found.p) == (1, 0, math.inf, 0)


def test_standard_error_is_the_spread_over_repeated_samples_and_the_interval_covers():
    # Calibrated and uniform: the AUROC is 5/6.
    found = [delong(*calibrated(300, seed)) for seed in range(400)]
    spread = np.std([each.auroc for each in found], ddof=1)
    assert np.mean([math.sqrt(each.variance) for each in found]) == pytest.approx(spread, rel=0.1)
    assert 0.92 <= np.mean([each.low <= 5 / 6 <= each.high for each in found]) <= 0.98


def test_p_of_equally_good_confidences_is_uniform():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(400):
        signal = rng.normal(size=200)
        correct = (signal + rng.normal(size=200) > 0).astype(int)
        a, b = (scipy.stats.norm.cdf(signal + rng.normal(size=200)) for _ in range(2))
        p.append(delong_difference(a, b, correct).p)
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.001


@pytest.mark.parametrize(
    ("confidence", "correct", "area"),
    [
        ([0.5], [1], math.nan),
        ([0.5, 0.6], [0, 0], math.nan),
        ([0.2, 0.6], [0, 1], 1.0),
        ([0.2, 0.6, 0.6], [0, 0, 1], 0.75),
    ],
)
def test_too_few_of_a_class_leave_the_variance_undefined(confidence, correct, area):
    with pytest.warns(UserWarning, match="undefined.*at least two right and two wrong"):
        found = delong(confidence, correct)
    assert found.auroc == pytest.approx(area, nan_ok=True)
    assert math.isnan(found.variance) and math.isnan(found.low) and math.isnan(found.high)
    with pytest.warns(UserWarning, match="undefined.*at least two right and two wrong"):
        assert math.isnan(delong_difference(confidence, confidence, correct).p)


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, math.nan])
def test_level_outside_its_range_is_refused(level):
    with pytest.raises(ValueError, match="level"):
        delong([0.1, 0.2], [0, 1], level=level)


def test_paired_rows_are_checked():
    with pytest.raises(ValueError, match="2 values and correct has 3"):
        delong_difference([0.1, 0.2, 0.3], [0.1, 0.2], [0, 1, 1])
    with pytest.raises(ValueError, match="percent"):
        delong_difference([0.1, 0.2, 0.3], [10, 20, 30], [0, 1, 1])
