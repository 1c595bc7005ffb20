"""Conformal sets: by hand, against the benchmark's code, and the promise by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib_metrics.conformal import conformal_scores, fit_conformal


def questions(seed, n, options=4, sharpness=1.5):
    """Probabilities of a model that is overconfident and noisy, and the right options."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, sharpness, (n, options))
    truth = np.exp(odds - odds.max(1, keepdims=True))
    truth /= truth.sum(1, keepdims=True)
    gold = (truth.cumsum(1) > rng.random((n, 1))).argmax(1)
    said = np.exp(2 * odds + rng.normal(0, 1, odds.shape))
    return said / said.sum(1, keepdims=True), gold


def test_by_hand():
    # Right options at .7, .6, .5, .2: LAC scores .3, .4, .5, .8. With n = 4 and alpha = .25 the
    # threshold is the ceil(5 * .75) = 4th smallest; with alpha = .4 the 3rd.
    cal = [[0.7, 0.3], [0.6, 0.4], [0.5, 0.5], [0.8, 0.2]]
    gold = [0, 0, 0, 1]
    assert fit_conformal(cal, gold, alpha=0.25).threshold == pytest.approx(0.8)
    found = fit_conformal(cal, gold, alpha=0.4)
    assert found.threshold == pytest.approx(0.5)
    # An option is in if its probability is at least 1 - .5.
    sets = found.sets([[0.6, 0.3, 0.1], [0.5, 0.5], [0.4, 0.35, 0.25]])
    assert [inside.tolist() for inside in sets] == [
        [True, False, False],
        [True, True],
        [True, False, False],  # no score is low enough: the most probable one
    ]
    # APS scores: .7, .6, 1 (of a tie both count), 1.
    assert fit_conformal(cal, gold, score="aps", alpha=0.4).threshold == pytest.approx(1)
    assert fit_conformal(cal, gold, score="aps", alpha=0.6).threshold == pytest.approx(0.7)


def test_too_few_questions_promise_nothing_short_of_all_options():
    found = fit_conformal([[0.9, 0.1]] * 8, [0] * 8, alpha=0.1)  # ceil(9 * .9) = 9 > 8
    assert found.threshold == math.inf
    assert found.sets([[0.99, 0.01]])[0].tolist() == [True, True]
    assert fit_conformal([[0.9, 0.1]] * 9, [0] * 9, alpha=0.1).threshold == pytest.approx(0.1)


def published(cal, cal_gold, probabilities, score, alpha):
    """The steps of LLM-Uncertainty-Bench's code, but for its quantile, and for sums that round."""
    n = len(cal)
    if score == "lac":
        scores = 1 - cal[np.arange(n), cal_gold]
    else:
        order = np.argsort(cal, axis=1)[:, ::-1]
        sums = np.take_along_axis(np.take_along_axis(cal, order, 1).cumsum(1), order.argsort(1), 1)
        scores = sums[np.arange(n), cal_gold]
    level = np.ceil((n + 1) * (1 - alpha)) / n
    limit = np.quantile(scores, level, method="inverted_cdf")
    found = []
    for row in probabilities:
        order = np.argsort(row)[::-1]
        key = 1 - row[order] if score == "lac" else row[order].cumsum()
        inside = [
            int(place) for place, value in zip(order, key, strict=True) if value <= limit + 1e-9
        ]
        found.append(set(inside or [int(order[0])]))
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["lac", "aps"]), st.sampled_from([0.1, 0.2, 0.3]))
def test_the_sets_are_those_of_the_benchmarks_code(seed, score, alpha):
    cal, gold = questions(seed, 60)
    new, _ = questions(seed + 1, 40)
    ours = fit_conformal(cal, gold, score=score, alpha=alpha).sets(new)
    theirs = published(cal, gold, new, score, alpha)
    assert [set(np.flatnonzero(inside).tolist()) for inside in ours] == theirs


@pytest.mark.parametrize("score", ["lac", "aps"])
@pytest.mark.parametrize(("n", "alpha"), [(19, 0.1), (40, 0.25)])
def test_the_promise_holds_on_average_over_calibration_sets(score, n, alpha):
    rounds, of_each = 250, 8
    probabilities, gold = questions(n, rounds * (n + of_each))
    covered = []
    for k in range(rounds):
        rows = slice(k * (n + of_each), (k + 1) * (n + of_each))
        p, g = probabilities[rows], gold[rows]
        sets = fit_conformal(p[:n], g[:n], score=score, alpha=alpha).sets(p[n:])
        covered.append(np.mean([s[place] for s, place in zip(sets, g[n:], strict=True)]))
    error = np.std(covered) / math.sqrt(rounds)
    assert np.mean(covered) >= 1 - alpha - 3 * error
    if score == "lac":  # with scores that never tie it is at most 1 / (n + 1) more
        assert np.mean(covered) <= 1 - alpha + 1 / (n + 1) + 3 * error


def test_coverage_size_and_uacc_by_hand():
    found = fit_conformal([[0.7, 0.3], [0.6, 0.4], [0.5, 0.5], [0.8, 0.2]], [0, 0, 0, 1], alpha=0.4)
    probabilities = [[0.6, 0.3, 0.05, 0.05], [0.5, 0.5, 0, 0], [0.9, 0.1, 0, 0]]
    scores = conformal_scores(found, probabilities, [0, 1, 1], method="acc", resamples=50)
    assert scores["lac_coverage"].value == pytest.approx(2 / 3)
    assert scores["lac_size"].value == pytest.approx((1 + 2 + 1) / 3)
    # Of three answers one is right (of a tie the first is the answer): 1/3 / (4/3) * sqrt(4).
    assert scores["lac_uacc"].value == pytest.approx(1 / 3 / (4 / 3) * 2)
    assert scores["lac_size"].low <= 4 / 3 <= scores["lac_size"].high
    assert scores["lac_coverage"].signature.startswith(
        "lac_coverage|alpha:0.4|threshold:0.5|fit_n:4|conf:acc|n:3|"
    )
    assert not scores["lac_size"].higher_is_better and scores["lac_uacc"].higher_is_better


def test_the_order_of_the_questions_does_not_matter_and_groups_widen_the_interval():
    cal, cal_gold = questions(1, 100)
    p, gold = questions(2, 200)
    fitted = fit_conformal(cal, cal_gold, score="aps")
    turned = np.random.default_rng(0).permutation(200)
    one = conformal_scores(fitted, p, gold, resamples=100)
    assert one == conformal_scores(fitted, p[turned], gold[turned], resamples=100)
    twice = conformal_scores(
        fitted, np.tile(p, (2, 1)), np.tile(gold, 2), groups=np.tile(range(200), 2), resamples=100
    )
    assert twice["aps_size"].value == pytest.approx(one["aps_size"].value)
    assert twice["aps_size"].stderr == pytest.approx(one["aps_size"].stderr, rel=0.35)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"score": "raps"}, "score is 'raps'"),
        ({"alpha": 0}, "alpha is 0"),
        ({"alpha": 1}, "alpha is 1"),
        ({"probabilities": [[0.5, 0.6]]}, "does not sum to 1"),
        ({"gold": [2]}, "no option at the position"),
    ],
)
def test_bad_input_is_named(change, why):
    arguments = {"probabilities": [[0.5, 0.5]], "gold": [0], **change}
    with pytest.raises(ValueError, match=why):
        fit_conformal(arguments.pop("probabilities"), arguments.pop("gold"), **arguments)
