"""Compatibility modes, against loops written from each definition and cases by hand."""

import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calib_metrics import rms_calibration_error
from calib_metrics.compat import MODES, compat_ece, prepare
from helpers.metric_rows import calibrated, rows, shuffled

ALL = sorted(MODES)


def value(data, mode):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compat_ece(*data, mode)


def gap(c, y):
    return abs(np.mean(y) - np.mean(c))


# Literal readings


def literal_right_closed(c, y, bins):
    total = 0.0
    for k in range(bins):
        inside = (c > k / bins) & (c <= (k + 1) / bins)
        if inside.any():
            total += inside.mean() * gap(c[inside], y[inside])
    return total


def literal_kapoor24(c, y):
    two_way = np.stack([1 - c, c], axis=1)
    prediction = two_way.argmax(axis=1)
    conf, edges = two_way.max(axis=1), np.linspace(0, 1, 11)
    gaps, weights = [], []
    for low, high in pairwise(edges):
        inside = (conf >= low) & (conf < high)
        if inside.any():
            gaps.append(gap(conf[inside], prediction[inside] == y[inside]))
            weights.append(inside.sum())
    return np.average(gaps, weights=weights) if gaps else math.nan


def literal_helm_em10(c, y):
    parts = np.array_split(np.sort(c), min(10, c.size))
    edges = sorted({(a[-1] + b[0]) / 2 for a, b in pairwise(parts)} | {1.0})
    total = 0.0
    for k, high in enumerate(edges):
        inside = c <= high
        if k:
            inside &= c > edges[k - 1]
        if inside.any():
            total += inside.mean() * gap(c[inside], y[inside])
    return total


def literal_hle(c, y):
    order = np.argsort(c)
    c, y = c[order], y[order]
    runs = [slice(100 * k, 100 * k + 100) for k in range(c.size // 100)]
    squares = sum(100 / c.size * gap(c[run], y[run]) ** 2 for run in runs[:-1])
    return math.sqrt(squares)


def literal_quantile_unweighted(c, y):
    edges = np.quantile(c, np.linspace(0, 1, 11))
    edges[0], edges[-1] = 0, 1
    gaps = []
    for low, high in pairwise(edges):
        inside = (c >= low) & (c < high)
        if inside.any():
            gaps.append(gap(c[inside], y[inside]))
    return np.mean(gaps) if gaps else math.nan


def literal_torch_edges(c, y):
    """The loop of temperature_scaling with 10 bins, on float64 confidences."""
    import torch

    boundaries = torch.linspace(0, 1, 11)
    confidences, accuracies = torch.tensor(c, dtype=torch.float64), torch.tensor(y).double()
    error = 0.0
    for low, high in zip(boundaries[:-1], boundaries[1:], strict=True):
        inside = confidences.gt(low.item()) & confidences.le(high.item())
        share = inside.double().mean()
        if share.item() > 0:
            difference = confidences[inside].mean() - accuracies[inside].mean()
            error += (torch.abs(difference) * share).item()
    return error


LITERAL = {
    "left_open_float32": literal_torch_edges,
    "guo17": lambda c, y: literal_right_closed(c, y, 15),
    "left_open": lambda c, y: literal_right_closed(c, y, 10),
    "kapoor24": literal_kapoor24,
    "helm_em10": literal_helm_em10,
    "quantile_unweighted": literal_quantile_unweighted,
}


@pytest.mark.parametrize("mode", sorted(LITERAL))
@given(data=rows())
@settings(deadline=None)
def test_mode_is_its_definition_read_literally(mode, data):
    order = np.argsort(data[0])  # quantiles of unsorted values round differently
    c, y = data[0][order], data[1][order]
    assert value(data, mode) == pytest.approx(LITERAL[mode](c, y), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("n", [100, 150, 199, 200, 250, 299, 300, 1234])
def test_hle_is_its_definition_read_literally_where_nothing_ties(n):
    data = calibrated(n)
    assert value(data, "hle_rms_b100") == pytest.approx(literal_hle(*data), abs=1e-12)


# By hand


def test_right_closed_bins_lose_exactly_zero_but_divide_by_all():
    # The wrong answer at 0 costs nothing either way; the right one should cost 1.
    assert value(([0.0, 0.5], [1, 1]), "left_open") == pytest.approx(0.25)
    assert value(([0.0, 0.5], [1, 1]), "guo17") == pytest.approx(0.25)


def test_edges_made_by_torch_are_a_little_below_seven_and_nine_tenths():
    data = [0.85, 0.9, 0.95], [1, 0, 1]
    # Decimal edges: .85 and .9 in (.8, .9], gap (1 - 1.75); .95 alone, gap .05.
    assert value(data, "left_open") == pytest.approx((0.75 + 0.05) / 3)
    # Edges of torch: .85 alone, .15; .9 and .95 together, 1 - 1.85.
    assert value(data, "left_open_float32") == pytest.approx((0.15 + 0.85) / 3)


def test_guo_has_fifteen_bins():
    # .61 and .65 lie in (9/15, 10/15], .70 in the next; with ten bins .70 joins them.
    data = [0.61, 0.65, 0.70], [1, 0, 1]
    assert value(data, "guo17") == pytest.approx((abs(1 - 1.26) + 0.3) / 3)
    assert value(data, "left_open") == pytest.approx(abs(2 - 1.96) / 3)


def test_kapoor_scores_the_classifier_rather_than_the_answer():
    # p = .2 and wrong: as a classifier, a right "no" at .8. p = .8 and right likewise.
    assert value(([0.2, 0.8], [0, 1]), "kapoor24") == pytest.approx(0.2)
    # A tie counts as "no", here mistaken.
    assert value(([0.5], [1]), "kapoor24") == pytest.approx(0.5)
    # A conf of exactly 1 is left out, also of the number divided by.
    assert value(([0.0, 1.0, 0.7], [0, 0, 1]), "kapoor24") == pytest.approx(0.3)


def test_helm_takes_ties_into_one_bin():
    # Twelve rows, cuts inside the run of .5, so that all edges fall on .5: (.., .5] and the rest.
    data = [0.1] + [0.5] * 10 + [0.9], [0] + [1] * 5 + [0] * 5 + [1]
    assert value(data, "helm_em10") == pytest.approx((abs(5 - 5.1) + 0.1) / 12)


def test_hle_drops_its_last_bin():
    wrong_and_sure = [0.9] * 150, [0] * 150
    assert value(wrong_and_sure, "hle_rms_b100") == 0
    # 250 rows: 100 at .2, all wrong; of the other 150 nothing is seen.
    data = [0.2] * 100 + [0.9] * 150, [0] * 250
    assert value(data, "hle_rms_b100") == pytest.approx(math.sqrt(100 / 250 * 0.2**2))


def test_hle_shares_out_ties():
    # 200 rows of .5, 50 right: the one bin it looks at has a quarter of them right, in any order.
    data = [0.5] * 200, [1] * 50 + [0] * 150
    assert value(data, "hle_rms_b100") == pytest.approx(math.sqrt(0.5 * 0.25**2))


def test_quantile_bins_weigh_alike():
    # One answer at 0, ninety-nine at .5, all right: two bins with rows, gaps 1 and .5.
    data = [0.0] + [0.5] * 99, [1] * 100
    assert value(data, "quantile_unweighted") == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("data", "mode", "words"),
    [
        (([0.5] * 99, [1] * 99), "hle_rms_b100", "fewer than 100 rows.*IndexError"),
        (([0.0, 1.0], [1, 1]), "kapoor24", "exactly 1"),
        (([1.0, 1.0], [1, 0]), "quantile_unweighted", "exactly 1"),
    ],
)
def test_where_the_original_fails_the_result_is_nan_and_says_why(data, mode, words):
    with pytest.warns(UserWarning, match=f"{mode} is undefined.*{words}"):
        assert math.isnan(compat_ece(*data, mode))


def test_ours_is_defined_where_hle_is_not():
    assert rms_calibration_error([0.5] * 99, [1] * 99, bins=1, strategy="mass") == 0.5


@given(rows(), st.sampled_from(ALL), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_of_rows_changes_nothing_and_bounds_hold(data, mode, random):
    found = value(data, mode)
    assert found == value(shuffled(data, random), mode) or math.isnan(found)
    assume(not math.isnan(found))
    assert 0 <= found <= 1 + 1e-12


@given(rows(max_size=20), st.sampled_from(ALL))
@settings(deadline=None)
def test_hundredfold_data_keep_their_ties_and_the_order_free_value(data, mode):
    many = np.tile(data[0], 100), np.tile(data[1], 100)
    first, second = value(many, mode), value((many[0][::-1], many[1][::-1]), mode)
    assert first == second or math.isnan(first)


@pytest.mark.parametrize("mode", ALL)
def test_prepared_sums_give_the_same_error_along_leading_axes(mode):
    data = calibrated(350)
    prepared_gap, index, reduce = prepare(*data, mode)
    kept, bins = index >= 0, index.max() + 1
    sums, count = np.zeros((2, 3, bins)), np.zeros((2, 3, bins))
    np.add.at(sums, (..., index[kept]), prepared_gap[kept])
    np.add.at(count, (..., index[kept]), 1)
    found = reduce(sums, count, np.full((2, 3), 350))
    assert found.shape == (2, 3)
    assert found == pytest.approx(np.full((2, 3), value(data, mode)), abs=1e-12)


def test_unknown_mode_is_refused_with_the_list():
    with pytest.raises(ValueError, match="mode is 'guo'.*guo17, kapoor24"):
        compat_ece([0.5], [1], "guo")


@pytest.mark.parametrize("mode", ALL)
def test_every_mode_refuses_percent(mode):
    with pytest.raises(ValueError, match="percent"):
        compat_ece([50.0], [1], mode)
