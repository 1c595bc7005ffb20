"""KS calibration error: by hand, and against the authors' computation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib_metrics import ks_calibration_error, score
from calib_metrics.signature import SIGNATURE_VERSION


def published(scores, labels):
    """The steps of the authors' code (Gupta et al., ICLR 2021), which takes rows one by one."""
    order = np.argsort(scores)
    integrated_scores = np.cumsum(scores[order]) / len(scores)
    integrated_accuracy = np.cumsum(labels[order]) / len(scores)
    return np.max(np.abs(integrated_scores - integrated_accuracy))


def test_by_hand():
    # Drift after each row: .2, .2 - .6 = -.4, -.4 + .6 = .2, .2 - .2 = 0.
    assert ks_calibration_error([0.8, 0.2, 0.6, 0.4], [1, 0, 0, 1]) == pytest.approx(0.1)
    # Always 90 % sure and right three times in ten: .9 - .3.
    assert ks_calibration_error([0.9] * 10, [1] * 3 + [0] * 7) == pytest.approx(0.6)


def test_equal_confidences_enter_together_whatever_their_order():
    for correct in ([1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0]):  # one by one: 1/4, 1/4, 1/8
        assert ks_calibration_error([0.5] * 4, correct) == pytest.approx(0.0, abs=1e-12)


@given(st.integers(0, 10_000), st.integers(1, 300))
def test_without_ties_it_is_what_the_authors_compute(seed, n):
    rng = np.random.default_rng(seed)
    confidence = rng.permutation(np.linspace(0, 1, n) if n > 1 else np.array([0.7]))
    correct = rng.integers(0, 2, n)
    expected = published(confidence, correct)
    assert ks_calibration_error(confidence, correct) == pytest.approx(expected, abs=1e-12)


def test_over_and_underconfidence_that_cancel_over_all_do_not_cancel_here():
    confidence, correct = [0.1] * 10 + [0.9] * 10, [1] * 5 + [0] * 5 + [1] * 5 + [0] * 5
    assert np.mean(confidence) == pytest.approx(np.mean(correct))
    assert ks_calibration_error(confidence, correct) == pytest.approx(10 * 0.4 / 20)


def test_its_signature_has_nothing_to_choose():
    found = score([0.2, 0.9], [0, 1], ("ks",), method="verbalized", resamples=0)["ks"]
    assert found.signature == f"ks|conf:verbalized|missing:exclude|n:2|v:{SIGNATURE_VERSION}"
    assert found.value == pytest.approx(0.1)  # .2, then .2 - .1
