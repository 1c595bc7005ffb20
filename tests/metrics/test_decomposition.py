"""The parts of the Brier score: exact sum, literal formula, and a case by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib_metrics import brier, rms_calibration_error
from calib_metrics.bins import bin_index
from calib_metrics.decomposition import brier_decomposition
from helpers.metric_rows import rows, shuffled

BINS = st.integers(1, 30)
STRATEGY = st.sampled_from(["width", "mass", "sweep"])
FIELDS = ("reliability", "resolution", "uncertainty", "within_variance", "within_covariance")


def parts(found):
    return [getattr(found, name) for name in FIELDS]


@given(rows(), BINS | st.none(), STRATEGY)
def test_parts_add_up_to_the_brier_score(data, bins, strategy):
    found = brier_decomposition(*data, bins=bins, strategy=strategy)
    assert found.brier == pytest.approx(brier(*data), abs=1e-12)
    assert min(found.reliability, found.resolution, found.within_variance) >= 0
    assert found.resolution <= found.uncertainty + 1e-12


@given(rows(), BINS, STRATEGY)
def test_parts_are_their_formulas_read_literally(data, bins, strategy):
    order = np.lexsort(data[::-1])
    c, y = data[0][order], data[1][order].astype(float)
    index = bin_index(c, bins, strategy, y)
    expected = [0.0, 0.0, y.mean() * (1 - y.mean()), 0.0, 0.0]
    for k in set(index.tolist()):
        ck, yk = c[index == k], y[index == k]
        expected[0] += len(ck) * (ck.mean() - yk.mean()) ** 2 / len(c)
        expected[1] += len(ck) * (yk.mean() - y.mean()) ** 2 / len(c)
        expected[3] += sum((ci - ck.mean()) ** 2 for ci in ck) / len(c)
        covariance = sum((ci - ck.mean()) * (yi - yk.mean()) for ci, yi in zip(ck, yk, strict=True))
        expected[4] += 2 * covariance / len(c)
    found = brier_decomposition(*data, bins=bins, strategy=strategy)
    assert parts(found) == pytest.approx(expected, abs=1e-12)


def test_murphys_three_terms_by_hand():
    # .25: one of four right. .75: one of two. Accuracy 1/3.
    found = brier_decomposition([0.25] * 4 + [0.75] * 2, [1, 0, 0, 0, 1, 0], bins=None)
    assert found.reliability == pytest.approx(2 / 6 * 0.25**2)
    assert found.resolution == pytest.approx(4 / 6 * (1 / 12) ** 2 + 2 / 6 * (1 / 6) ** 2)
    assert found.uncertainty == pytest.approx(2 / 9)
    assert (found.within_variance, found.within_covariance) == (0, 0)


@given(rows())
def test_a_bin_for_each_value_leaves_nothing_within(data):
    found = brier_decomposition(*data, bins=None)
    assert (found.within_variance, found.within_covariance) == (0, 0)


@given(rows(), BINS, STRATEGY)
def test_reliability_is_the_squared_rms(data, bins, strategy):
    found = brier_decomposition(*data, bins=bins, strategy=strategy)
    rms = rms_calibration_error(*data, bins=bins, strategy=strategy)
    assert found.reliability == pytest.approx(rms**2, abs=1e-12)


@given(rows(), BINS | st.none(), STRATEGY, st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing(data, bins, strategy, random):
    found = brier_decomposition(*data, bins=bins, strategy=strategy)
    assert found == brier_decomposition(*shuffled(data, random), bins=bins, strategy=strategy)


def test_at_the_edges():
    assert parts(brier_decomposition([0.7], [1])) == pytest.approx([0.09, 0, 0, 0, 0])
    assert parts(brier_decomposition([1.0, 0.0], [1, 0])) == [0, 0.25, 0.25, 0, 0]
    assert brier_decomposition([0.5, 0.5], [1, 1]).uncertainty == 0


@pytest.mark.parametrize("option", [{"bins": 0}, {"bins": 2.5}, {"strategy": "quantile"}])
def test_bad_options_are_refused_by_name(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        brier_decomposition([0.5], [1], **option)
