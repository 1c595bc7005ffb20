"""Points under a stated threshold: by hand, by brute force, and what the rule is made for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib_metrics import abstention_score, best_cutoff, score, worst_case
from calib_metrics.signature import SIGNATURE_VERSION

ROWS = st.lists(
    st.tuples(st.integers(0, 10).map(lambda k: k / 10), st.integers(0, 1)), min_size=1, max_size=25
)
T = st.sampled_from([0.5, 0.75, 0.9])


def test_by_hand():
    # Kalai et al.: at t = 0.5, 0.75 and 0.9 a mistake costs 1, 3 and 9 points.
    confidence, correct = [0.95, 0.8, 0.6, 0.55], [1, 0, 1, 0]
    assert abstention_score(confidence, correct, threshold=0.5) == pytest.approx(0)
    assert abstention_score(confidence, correct, threshold=0.75) == pytest.approx((1 - 3) / 4)
    assert abstention_score(confidence, correct, threshold=0.9) == pytest.approx(1 / 4)


def test_just_t_is_not_more_than_t():
    assert abstention_score([0.75, 0.75], [1, 0], threshold=0.75) == 0
    assert abstention_score([np.nextafter(0.75, 1)], [1], threshold=0.75) == 1


@given(ROWS, T)
def test_always_abstaining_gives_nothing_and_always_answering_the_mean(data, t):
    confidence, correct = zip(*data, strict=True)
    assert abstention_score(np.zeros(len(data)), correct, threshold=t) == 0
    right = np.mean(correct)
    expected = right - (1 - right) * t / (1 - t)
    assert abstention_score(np.ones(len(data)), correct, threshold=t) == pytest.approx(expected)


@given(T, st.integers(0, 1000))
def test_no_cutoff_beats_t_where_the_confidence_is_the_probability(t, seed):
    # In expectation over the answers: p - (1 - p) t / (1 - t) is positive exactly if p > t.
    p = np.random.default_rng(seed).random(50)
    expected = p - (1 - p) * t / (1 - t)
    told = expected[p > t].sum()
    assert all(told >= expected[p > cutoff].sum() - 1e-9 for cutoff in np.append(p, -1))


@given(ROWS, T)
def test_the_best_cutoff_is_that_of_a_search_through_all(data, t):
    confidence, correct = (np.array(column) for column in zip(*data, strict=True))
    found = best_cutoff(confidence, correct, threshold=t)
    reached = [
        abstention_score(confidence, correct, threshold=t, cutoff=cutoff)
        for cutoff in (-np.inf, *np.arange(0, 1.05, 0.05))
    ]
    assert found.score == pytest.approx(max(reached), abs=1e-9)
    again = abstention_score(confidence, correct, threshold=t, cutoff=found.cutoff)
    assert again == pytest.approx(found.score, abs=1e-9)


def test_of_equally_good_cutoffs_the_one_nearest_to_t_is_taken():
    # Halfway between 0.2 and 0.9, though every cutoff between them scores the same.
    assert best_cutoff([0.2, 0.9], [0, 1], threshold=0.5).cutoff == pytest.approx(0.55)
    # With every answer wrong none is given, with every answer right all are.
    assert best_cutoff([0.2, 0.9], [0, 0], threshold=0.5) == (0.9, 0)
    assert best_cutoff([0.2, 0.9], [1, 1], threshold=0.5) == (-np.inf, 1)


def test_missing_confidences_are_counted_and_have_a_worst_case():
    found = score([0.9, None, None], [1, 1, 0], ["abstention_score@0.5"], resamples=0)
    (one,) = found.values()
    assert (one.value, one.n, one.n_missing) == (1, 1, 2)
    assert one.signature == (
        f"abstention_score|threshold:0.5|missing:exclude|n:1|v:{SIGNATURE_VERSION}"
    )
    # At best the right one is given and the wrong one withheld, at worst the other way round.
    bounds = worst_case([0.95, None, None], [1, 1, 0], "abstention_score@0.9")
    assert bounds == pytest.approx(((1 + 1 + 0) / 3, (1 + 0 - 9) / 3))


@pytest.mark.parametrize("t", [0, 1, 1.5, True, "0.5"])
def test_a_threshold_is_between_0_and_1(t):
    with pytest.raises(ValueError, match="threshold is"):
        abstention_score([0.5], [1], threshold=t)
    with pytest.raises(ValueError, match="threshold is"):
        best_cutoff([0.5], [1], threshold=t)
