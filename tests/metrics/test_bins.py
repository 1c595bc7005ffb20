"""Sweep bins, the debiased ECE and the ECE of unsorted columns, against their literal readings."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib_metrics import ece, reliability_bins, rms_calibration_error
from calib_metrics._checks import check_unsorted
from calib_metrics.bins import bin_index, bin_sums
from calib_metrics.calibration import debiased_norm, max_calibration_error
from helpers.metric_rows import calibrated, rows, shuffled

UPTO = st.integers(1, 30)
RANDOM = st.randoms(use_true_random=False)


# Sweep


def literal_sweep(confidence, correct):
    """Bins as lists of row numbers, by trying 1, 2, 3 ... bins of equal mass."""
    n, best = len(confidence), None
    for bins in range(1, n + 1):
        inside = {}
        for i, c in enumerate(confidence):
            below, equal = sum(d < c for d in confidence), sum(d == c for d in confidence)
            share = Fraction(2 * below + equal, 2 * n)
            inside.setdefault(math.floor(bins * share), []).append(i)
        members = [inside[k] for k in sorted(inside)]
        accuracy = [Fraction(int(sum(correct[i] for i in m)), len(m)) for m in members]
        if any(left > right for left, right in pairwise(accuracy)):
            return best
        best = members
    return best


@given(rows(max_size=25))
@settings(deadline=None)
def test_sweep_bins_are_the_last_before_accuracy_falls(data):
    order = np.lexsort(data[::-1])
    confidence, correct = data[0][order], data[1][order].astype(float)
    index = bin_index(confidence, 10, "sweep", correct)
    expected = literal_sweep(confidence, correct)
    # More bins can leave the same groups of rows together: only the groups are comparable.
    assert [np.flatnonzero(index == k).tolist() for k in range(index[-1] + 1)] == expected


def test_sweep_by_hand():
    # One bin: 3/6. Two, {.1 .2 .3} and {.4 .5 .6}: 1/3, 2/3. Three: 0/2, 2/2, 1/2, which falls.
    confidence, correct = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0, 0, 1, 1, 0, 1]
    found = reliability_bins(confidence, correct, strategy="sweep")
    assert found.count.tolist() == [3, 3]
    assert found.lower.tolist() == [0.1, 0.4] and found.upper.tolist() == [0.3, 0.6]
    # |1/3 - .2| and |2/3 - .5|, each half
    assert ece(confidence, correct, strategy="sweep") == pytest.approx((2 / 15 + 1 / 6) / 2)


@given(rows(), UPTO, RANDOM)
def test_sweep_holds_every_row_keeps_accuracy_rising_and_ignores_order_and_bins(data, bins, random):
    found = reliability_bins(*data, strategy="sweep")
    assert found.count.sum() == len(data[0]) and (found.count > 0).all()
    assert (np.diff(found.accuracy) >= -1e-12).all()
    assert (found.upper[:-1] < found.lower[1:]).all()
    value = ece(*data, strategy="sweep")
    assert value == ece(*shuffled(data, random), strategy="sweep", bins=bins)
    assert np.sum(np.abs(found.accuracy - found.confidence) * found.count) / len(
        data[0]
    ) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("confidence", "correct", "count"),
    [
        ([0.3], [0], [1]),
        ([0.5] * 4, [0, 1, 1, 1], [4]),  # all tied: one bin
        ([0.1, 0.2, 0.3], [1, 1, 1], [1, 1, 1]),  # never falls: as many bins as values
        ([0.0, 0.0, 1.0, 1.0], [0, 0, 1, 1], [2, 2]),
        ([0.1, 0.9], [1, 0], [2]),  # falls at once
    ],
)
def test_sweep_at_the_edges(confidence, correct, count):
    assert reliability_bins(confidence, correct, strategy="sweep").count.tolist() == count


def test_sweep_of_many_rows_that_one_error_spoils():
    # Accuracy falls only where a bin of 2 or fewer rows meets the one right answer among the wrong.
    n = 2000
    correct = (np.arange(n) >= n // 2).astype(int)
    correct[n // 2 - 2] = 1
    found = reliability_bins(np.linspace(0, 1, n), correct, strategy="sweep")
    assert (np.diff(found.accuracy) >= 0).all() and found.count.sum() == n


def test_sweep_is_less_biased_than_ten_bins_on_a_calibrated_model():
    errors = np.array(
        [
            [ece(*calibrated(200, seed), strategy=s) for s in ("mass", "sweep")]
            for seed in range(200)
        ]
    )
    assert errors[:, 1].mean() < 0.9 * errors[:, 0].mean()


# The columns of an ECE of equal width are not sorted.


def exact_gaps(confidence, correct, bins):
    """Rational sums of correct - confidence over the decimal edges k / bins as doubles."""
    gap = [Fraction(0)] * bins
    for c, y in zip(confidence, correct, strict=True):
        k = max(k for k in range(bins) if k / bins <= c)
        gap[k] += int(y) - Fraction(float(c))
    return gap


@given(rows(), UPTO)
def test_equal_width_sums_are_exact(data, bins):
    exact, sums, unit = exact_gaps(*data, bins), bin_sums(*data, bins), Fraction(1, 2**53)
    for gap, true, count in zip(sums.gap, exact, sums.count, strict=True):
        # What `bin_sums` promises: 2^-54 for each confidence, and one rounding of the sum.
        assert abs(Fraction(float(gap)) - true) <= (Fraction(int(count), 2) + abs(true)) * unit
    # Beside these: one rounding for each bin that is added, and one of the quotient.
    found, true = Fraction(ece(*data, bins=bins)), sum(map(abs, exact)) / len(data[0])
    assert abs(found - true) <= Fraction(1, 2**54) + (bins + 1) * true * unit


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.sampled_from([-1, 0, 1]))
def test_every_edge_opens_its_bin_and_the_double_below_it_does_not(bins, k, step):
    k %= bins + 1
    edge = k / bins
    value = edge if step == 0 else np.nextafter(edge, 2.0 * step)
    value = min(max(float(value), 0.0), 1.0)
    found = int(bin_index(np.array([value]), bins, "width")[0])
    assert found == bins - 1 or found / bins <= value < (found + 1) / bins
    assert found / bins <= value


@pytest.mark.parametrize("n", [32_767, 32_768, 32_769, 100_000])
def test_rows_beyond_one_chunk_are_all_summed_in_any_order(n):
    confidence, correct = calibrated(n)
    confidence[:5] = [0, 1, 0.3, 0.7, 0.1 + 0.2]
    order = np.random.default_rng(1).permutation(n)
    value = ece(confidence, correct)
    assert value == ece(confidence[order], correct[order])
    gaps = [
        abs(math.fsum((correct - confidence)[np.minimum(np.floor(confidence * 10), 9) == k]))
        for k in range(10)
    ]  # none of these confidences is at an edge that the product misses
    assert value == pytest.approx(math.fsum(gaps) / n, abs=1e-12)


def test_sums_of_small_confidences_do_not_depend_on_the_order_either():
    rng = np.random.default_rng(0)
    confidence = rng.random(5000) * 1e-7  # bits far below those of the sums that usually decide
    values = {ece(rng.permutation(confidence), np.zeros(5000)) for _ in range(20)}
    assert len(values) == 1


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.float32, object])
def test_correct_of_any_type_gives_the_same_ece(dtype):
    confidence, correct = calibrated(50)
    assert ece(confidence, correct.astype(dtype)) == ece(confidence, correct)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, object])
def test_confidence_of_any_type_counts_as_the_doubles_it_stands_for(dtype):
    confidence, correct = calibrated(50)
    confidence = confidence.astype(dtype)
    assert ece(confidence, correct) == ece(confidence.astype(float), correct)
    assert ece([0, 1], [1, 1]) == 0.5  # whole numbers


@pytest.mark.parametrize("strategy", ["width", "mass", "sweep"])
@pytest.mark.parametrize(
    ("confidence", "correct", "words"),
    [
        (np.array([0.5, np.nan]), np.array([1, 0]), "missing.*1 of 2"),
        (np.array([0.5, 1.1]), np.array([1, 0]), r"range \[0, 1\]"),
        (np.array([0.5, -0.1]), np.array([1, 0]), r"range \[0, 1\]"),
        (np.array([0.5, np.inf]), np.array([1, 0]), r"range \[0, 1\]"),
        (np.array([0.5, 0.5]), np.array([1, 2]), "correct holds 2"),
        (np.array([0.5, 0.5]), np.array([1, -1]), "correct holds -1"),
        (np.array([0.5, 0.5]), np.array([1.0, 0.5]), "correct holds 0.5"),
        (np.array([0.5, 0.5]), np.array([1.0, np.nan]), "correct holds nan"),
        (np.array([0.5]), np.array([1, 0]), "1 values and correct has 2"),
        (np.array([]), np.array([]), "empty"),
        (np.array([[0.5]]), np.array([[1]]), "2 dimensions"),
    ],
)
def test_bad_arrays_are_refused_with_a_sentence(confidence, correct, words, strategy):
    with pytest.raises(ValueError, match=words):
        ece(confidence, correct, strategy=strategy)


def test_checking_columns_changes_neither_order_nor_input():
    confidence, correct = np.array([0.9, 0.1]), np.array([1, 0])
    c, y = check_unsorted(confidence, correct)
    assert c.tolist() == [0.9, 0.1] and y.tolist() == [True, False]
    ece(confidence, correct)
    assert confidence.tolist() == [0.9, 0.1] and correct.tolist() == [1, 0]


# Debiasing


def test_debiased_rms_by_hand():
    # Bin 1: .1 .2 .3, one right: gap 1/3 - .2, noise (2/9) / 2. Bin 2: .6 .8, one right: gap .5 -
    # .7, noise (1/4) / 1. Weights 3/5 and 2/5: negative, so 0.
    confidence, correct = [0.1, 0.2, 0.3, 0.6, 0.8], [1, 0, 0, 1, 0]
    assert rms_calibration_error(confidence, correct, bins=2, debias=True) == 0
    # All wrong: no noise; gaps .2 and .7.
    assert rms_calibration_error(confidence, [0] * 5, bins=2, debias=True) == pytest.approx(
        math.sqrt(0.6 * 0.2**2 + 0.4 * 0.7**2)
    )
    # Bin 2 now .9 .9 .9 .9 with one right: gap .65, noise (3/16) / 3; bin 1 is one row: 0.
    value = ece([0.1, 0.9, 0.9, 0.9, 0.9], [1, 1, 0, 0, 0], bins=2, norm="l2", debias=True)
    assert value == pytest.approx(math.sqrt(4 / 5 * (0.65**2 - 1 / 16)))


def test_debiased_ece_by_hand():
    # Four rows of .5, two right: gap 0, spread sqrt(.25 / 4) = .25. 0 - .25 sqrt(2 / pi) < 0.
    assert ece([0.5] * 4, [0, 0, 1, 1], debias=True) == 0
    # One row in a bin: no spread, its gap stays.
    assert ece([0.75], [1], debias=True) == pytest.approx(0.25)
    # Four of .9, one right: gap .65, spread s = sqrt(3/64), z = .65 / s = 3.002.
    s = math.sqrt(3 / 64)
    folded = s * math.sqrt(2 / math.pi) * math.exp(-(0.65**2) / (2 * s * s)) + 0.65 * math.erf(
        0.65 / (s * math.sqrt(2))
    )
    assert ece([0.9] * 4, [1, 0, 0, 0], debias=True) == pytest.approx(1.3 - folded)


@given(rows(min_size=2), UPTO)
@settings(max_examples=30, deadline=None)
def test_debiased_ece_is_twice_the_plain_less_its_simulated_mean(data, bins):
    found = reliability_bins(*data, bins=bins)
    full = found.count > 0
    count, accuracy, mean = found.count[full], found.accuracy[full], found.confidence[full]
    noise = np.random.default_rng(0).normal(size=(20_000, count.size))
    drawn = accuracy + noise * np.sqrt(accuracy * (1 - accuracy) / count)
    simulated = np.mean(np.abs(drawn - mean) @ count) / count.sum()
    expected = max(0, 2 * ece(*data, bins=bins) - simulated)
    assert ece(*data, bins=bins, debias=True) == pytest.approx(expected, abs=0.015)


# Taken as the truth, an observed gap of pure noise is too large: l1 keeps over half of the excess.
@pytest.mark.parametrize(("norm", "kept"), [("l1", 0.7), ("l2", 0.6)])
def test_debiasing_removes_much_of_the_excess_of_a_calibrated_model(norm, kept):
    plain, debiased = (
        np.mean([ece(*calibrated(500, seed), norm=norm, debias=d) for seed in range(200)])
        for d in (False, True)
    )
    assert debiased < kept * plain


def test_debiased_squares_are_unbiased():
    # One bin, confidence .7, answers right with probability .5: the true square is .04.
    rng = np.random.default_rng(0)
    right = rng.binomial(20, 0.5, size=(200_000, 1))
    accuracy = right / 20
    plain = np.mean((accuracy - 0.7) ** 2)
    gap, count = right - 20 * 0.7, np.full((200_000, 1), 20)
    debiased = debiased_norm(gap, count, right, "l2") ** 2
    # Cut at 0, it keeps a little of the excess .25 / 20.
    assert plain == pytest.approx(0.04 + 0.0125, abs=0.0005)
    assert debiased.mean() == pytest.approx(0.04, abs=0.002)


@given(rows(), UPTO, st.sampled_from(["width", "mass", "sweep"]), st.sampled_from(["l1", "l2"]))
def test_debiasing_never_raises_an_ece_above_the_plain_one_nor_below_zero(
    data, bins, strategy, norm
):
    options = {"bins": bins, "strategy": strategy, "norm": norm}
    assert 0 <= ece(*data, **options, debias=True) <= ece(*data, **options) + 1e-12


def test_debiasing_a_maximum_is_refused():
    with pytest.raises(ValueError, match='debias.*"l1" or "l2"'):
        ece([0.5], [1], norm="max", debias=True)


@given(rows(), UPTO, st.sampled_from(["width", "mass", "sweep"]))
def test_maximum_is_the_largest_gap_of_the_diagram(data, bins, strategy):
    found = reliability_bins(*data, bins=bins, strategy=strategy)
    largest = np.nanmax(np.abs(found.accuracy - found.confidence))
    value = max_calibration_error(*data, bins=bins, strategy=strategy)
    assert value == pytest.approx(largest, abs=1e-12)
    assert value >= rms_calibration_error(*data, bins=bins, strategy=strategy) - 1e-12
