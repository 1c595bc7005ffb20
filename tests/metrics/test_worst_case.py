"""Bounds under missing confidences: hand-worked, against brute force, and through `score`."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib_metrics import auroc, brier, ece, score, worst_case

GRID = [k / 8 for k in range(9)]
ROWS = st.lists(
    st.tuples(st.none() | st.sampled_from(GRID), st.integers(0, 1)), min_size=1, max_size=6
).filter(lambda rows: sum(c is None for c, _ in rows) <= 3)


def every_filling(confidence, choices):
    places = [i for i, c in enumerate(confidence) if c is None]
    for values in itertools.product(choices, repeat=len(places)):
        filled = list(confidence)
        for place, value in zip(places, values, strict=True):
            filled[place] = value
        yield np.array(filled, dtype=float)


@given(ROWS, st.sampled_from([1, 2, 4]))
@settings(deadline=None, max_examples=150)
def test_no_filling_gives_an_ece_outside_the_bounds_and_one_comes_close(rows, bins):
    confidence, correct = zip(*rows, strict=True)
    bounds = worst_case(confidence, correct, "ece", bins=bins)
    # All multiples of 1/8, and just below the open ends of the bins.
    choices = sorted({*GRID, *(np.nextafter(k / bins, 0) for k in range(1, bins))})
    values = [ece(filled, correct, bins=bins) for filled in every_filling(confidence, choices)]
    assert min(values) >= bounds.best - 1e-9 and max(values) <= bounds.worst + 1e-9
    # Ends of bins and confidences are multiples of 1/8, so both bounds lie on the grid.
    assert max(values) == pytest.approx(bounds.worst, abs=1e-9)
    assert min(values) == pytest.approx(bounds.best, abs=1e-9)


@given(ROWS.filter(lambda rows: {0, 1} == {y for _, y in rows}))
@settings(deadline=None)
@pytest.mark.parametrize(("name", "function"), [("brier", brier), ("auroc", auroc)])
def test_bounds_of_brier_and_auroc_are_reached_and_never_passed(name, function, rows):
    confidence, correct = zip(*rows, strict=True)
    bounds = worst_case(confidence, correct, name)
    values = [function(filled, correct) for filled in every_filling(confidence, GRID)]
    assert [min(values), max(values)] == pytest.approx(sorted(bounds))


def test_best_ece_spends_missing_rows_where_they_cancel_a_gap():
    # Ten right answers at .5: gap 5 in the bin [.5, .6). A missing wrong answer at just under .6
    # takes .6 off; eight of them 4.8, the rest stay at 0. With ten: 5 of 5, no error at all.
    ten = [0.5] * 10
    eight = worst_case([*ten, *[None] * 8], [1] * 10 + [0] * 8, "ece")
    assert eight.best == pytest.approx(0.2 / 18)
    assert worst_case([*ten, *[None] * 10], [1] * 10 + [0] * 10, "ece").best == 0


def test_worst_ece_puts_a_missing_wrong_answer_where_it_hurts_most():
    # One right answer at 1, one wrong answer missing. At confidence 1 both are in the last bin:
    # |1 - 2| / 2 = .5. At just under .9 it would be alone: .9 / 2.
    assert worst_case([1.0, None], [1, 0], "ece").worst == pytest.approx(0.5)
    # A right answer at .95 has a gap of .05 which a wrong one at 1 would cancel: (1 - .05) / 2
    # against (.9 + .05) / 2 from the bin below.
    assert worst_case([0.95, None], [1, 0], "ece").worst == pytest.approx(0.475)


def test_without_missing_rows_both_bounds_are_the_score():
    confidence, correct = [0.2, 0.7, 0.9], [0, 1, 0]
    for name in ("ece", "brier", "auroc", "aurc"):
        bounds = worst_case(confidence, correct, name)
        value = score(confidence, correct, (name,), resamples=0)[name].value
        assert bounds == pytest.approx((value, value))


def test_score_assumes_the_worst_and_says_so():
    found = score([0.8, None, 0.3], [1, 0, 0], ("brier", "acc"), missing="worst_case")
    assert found["brier"].value == pytest.approx((0.04 + 1 + 0.09) / 3)
    assert (found["brier"].n, found["brier"].n_missing) == (3, 1)
    assert "missing:worst_case" in found["brier"].signature
    assert found["acc"].value == pytest.approx(1 / 3) and found["acc"].n_missing == 0


def test_all_missing_has_bounds():
    assert worst_case([None, None], [0, 1], "brier") == (0, 1)
    assert worst_case([None, None], [0, 1], "ece") == (0, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metrics": ("rms",)}, "worst case is 'rms'.*ece"),
        ({"strategy": "mass"}, 'strategy "width"'),
        ({"norm": "l2"}, 'norm "l1"'),
    ],
)
def test_unknown_worst_cases_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        score([0.5, None], [0, 1], **{"metrics": ("ece",), "missing": "worst_case", **options})
