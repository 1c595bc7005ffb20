"""Rows are sorted once, whatever their order, and the caller's arrays stay as they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib_metrics import _checks, compat, score
from calib_metrics.registry import NAMES

CONFIDENCES = st.sampled_from([0.0, -0.0, 0.25, 0.5, np.nextafter(0.5, 1), 1.0, np.nan])


@given(st.lists(st.tuples(CONFIDENCES, st.sampled_from([0.0, 1.0])), min_size=1), st.integers(1, 4))
def test_rows_have_the_order_of_numpys_sort_by_both_columns(rows, chunk):
    confidence, correct = np.array(rows).T
    order = np.lexsort((correct, confidence + 0.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_checks, "_CHUNK", chunk)
        for columns in ((confidence, correct), (confidence[order], correct[order])):
            found = _checks.check_rows(*columns, allow_missing=True)
            np.testing.assert_array_equal(found[0], confidence[order])
            np.testing.assert_array_equal(found[1], correct[order])
            assert not np.signbit(found[0][~np.isnan(found[0])]).any()
        assert all(
            one is other
            for one, other in zip(
                found, _checks.check_rows(*found, allow_missing=True), strict=True
            )
        )


def test_no_score_writes_to_the_columns_it_is_given():
    rng = np.random.default_rng(0)
    confidence = np.sort(rng.random(200))
    correct = (rng.random(200) < confidence).astype(float)
    for column in (confidence, correct):
        column.flags.writeable = False
    score(confidence, correct, NAMES, resamples=10)
    for mode in compat.MODES:
        compat.compat_ece(confidence, correct, mode)
