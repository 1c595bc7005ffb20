"""Intervals: exact against brute force, right in distribution, the same wherever they are run."""

import json
import math
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from calib_metrics import auroc, bootstrap, brier, ece, nll, score
from calib_metrics._checks import check_rows
from calib_metrics.bootstrap import (
    distinct_rows,
    percentile_interval,
    resampled_counts,
    resampled_metric,
)

ALL = ("acc", "answered", "ece", "rms", "brier", "nll", "auroc")
CONFIDENCE = st.none() | st.integers(0, 10).map(lambda k: k / 10) | st.floats(0, 1)


def calibrated(n, seed=0):
    rng = np.random.default_rng(seed)
    confidence = rng.random(n)
    return confidence, (rng.random(n) < confidence).astype(int)


@given(st.lists(st.tuples(CONFIDENCE, st.integers(0, 1)), min_size=1, max_size=30))
@settings(deadline=None)
def test_each_resample_scores_as_the_rows_it_drew(data):
    confidence, correct = check_rows(*zip(*data), allow_missing=True)
    table = distinct_rows(confidence, correct)
    (counts,) = resampled_counts(table, 5, seed=1)
    plain = {"ece": ece, "brier": brier, "nll": nll, "auroc": auroc}
    assert (counts.sum(axis=1) == len(data)).all()
    for name in plain if table.answered else ():
        options = {"bins": 10, "strategy": "width", "norm": "l1"}
        values = resampled_metric(name, table, **options)(counts)
        for drawn, value in zip(counts, values):
            rows = np.repeat(np.arange(len(drawn)), drawn)
            rows = rows[~np.isnan(table.confidence[rows])]
            if rows.size == 0 or (name == "auroc" and len(set(table.correct[rows])) < 2):
                assert math.isnan(value)
                continue
            expected = plain[name](table.confidence[rows], table.correct[rows])
            assert value == pytest.approx(expected, abs=1e-12)


def test_bins_of_equal_mass_stay_those_of_the_full_sample():
    confidence = [0.1, 0.2, 0.3, 0.9]  # two bins: {.1, .2} and {.3, .9}
    table = distinct_rows(*check_rows(confidence, [0, 1, 0, 1]))
    metric = resampled_metric("ece", table, bins=2, strategy="mass", norm="l1")
    # Drawn: .1, .1, .1 and .2 (right). All lie in the first bin: |1/4 - .5/4|.
    assert metric(np.array([[3, 1, 0, 0]])) == pytest.approx([0.125], abs=1e-12)


def test_bins_of_equal_mass_count_tied_rows():
    confidence, correct = [0.1, 0.2] + [0.9] * 6, [0, 1] + [1] * 6  # two bins: {.1, .2} and {.9}
    table = distinct_rows(*check_rows(confidence, correct))
    metric = resampled_metric("ece", table, bins=2, strategy="mass", norm="l1")
    # Drawn: .1 (wrong) and .2 (right), four times each: |4/8 - (.4 + .8)/8|.
    assert metric(np.array([[4, 4, 0]])) == pytest.approx([0.35], abs=1e-12)


def test_interval_and_standard_error_of_a_few_values():
    # Middle half of 1 to 5, and sqrt((4 + 1 + 0 + 1 + 4) / 4); NaN is left out.
    values = np.array([3, 1, 5, np.nan, 2, 4])
    assert percentile_interval(values, 0.5) == pytest.approx((2, 4, math.sqrt(2.5)))
    # A quantile between two values moves outwards to the next one.
    assert percentile_interval(values, 0.9)[:2] == (1, 5)


def test_every_row_is_drawn_equally_often():
    table = distinct_rows(*check_rows(np.linspace(0, 1, 50), np.zeros(50)))
    counts = np.concatenate(list(resampled_counts(table, 4000, seed=3)))
    assert counts.shape == (4000, 50)
    assert scipy.stats.chisquare(counts.sum(axis=0)).pvalue > 0.001
    # Multinomial: variance n p (1 - p).
    assert counts.var(axis=0).mean() == pytest.approx(1 - 1 / 50, rel=0.02)


def test_standard_error_of_brier_is_that_of_a_mean_and_of_scipy():
    confidence, correct = calibrated(400)
    loss = (confidence - correct) ** 2
    found = score(confidence, correct, ("brier",), resamples=20_000)["brier"]
    scipys = scipy.stats.bootstrap(
        (loss,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(5)
    )
    # Monte Carlo error of a standard deviation from 20,000 draws: 0.5 %.
    assert found.stderr == pytest.approx(scipys.standard_error, rel=0.03)
    assert found.stderr == pytest.approx(loss.std() / math.sqrt(400), rel=0.03)
    width = found.high - found.low
    assert found.low == pytest.approx(scipys.confidence_interval.low, abs=0.03 * width)
    assert found.high == pytest.approx(scipys.confidence_interval.high, abs=0.03 * width)


def test_standard_error_of_ece_and_auroc_is_scipys():
    confidence, correct = calibrated(150)
    correct[confidence > 0.5] = np.arange((confidence > 0.5).sum()) % 2  # miscalibrated
    found = score(confidence, correct, ("ece", "auroc"), resamples=5000)
    for name, function in (("ece", ece), ("auroc", auroc)):
        scipys = scipy.stats.bootstrap(
            (confidence, correct), function, paired=True, vectorized=False, n_resamples=2000,
            method="percentile", rng=np.random.default_rng(5),
        )
        assert found[name].stderr == pytest.approx(scipys.standard_error, rel=0.08)


def test_intervals_cover_the_truth_about_95_times_in_100():
    # Confidence uniform and calibrated: the Brier score is E[p (1 - p)] = 1/6, and the AUROC is
    # the integral of 2c (2c - c^2) = 5/6.
    truth, covered = {"brier": 1 / 6, "auroc": 5 / 6}, {"brier": 0, "auroc": 0}
    for seed in range(500):
        scores = score(*calibrated(300, seed), tuple(truth), resamples=400, seed=seed)
        for name, true in truth.items():
            covered[name] += scores[name].low <= true <= scores[name].high
    for name in truth:
        assert 0.92 <= covered[name] / 500 <= 0.98, name


def test_level_widens_the_interval_around_the_same_value():
    narrow, wide = (score(*calibrated(200), ("brier",), level=x)["brier"] for x in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.value == wide.value < narrow.high < wide.high


@given(
    st.lists(st.tuples(CONFIDENCE, st.integers(0, 1)), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_order_of_rows_changes_no_score_and_no_interval(data, random):
    shuffled = data[:]
    random.shuffle(shuffled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second = (
            score(*zip(*each), ALL, strategy="mass", resamples=30) for each in (data, shuffled)
        )
    # As dicts NaN is None, which equals itself.
    assert [s.to_dict() for s in first.values()] == [s.to_dict() for s in second.values()]


def test_scores_are_the_same_in_another_process_with_other_threads(tmp_path):
    confidence, correct = calibrated(3000)
    rows = [confidence[::-1].tolist(), correct[::-1].tolist()]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    code = (
        "import json, sys; from calib_metrics import score;"
        "c, y = json.load(open(sys.argv[1]));"
        f"print(json.dumps([s.to_dict() for s in score(c, y, {ALL!r}).values()]))"
    )
    here = [s.to_dict() for s in score(confidence, correct, ALL).values()]
    for threads in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "rows.json")],
            env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            check=True, capture_output=True, text=True,
        )
        assert json.loads(found.stdout) == here


def test_size_of_the_chunks_changes_nothing(monkeypatch):
    whole = score(*calibrated(300), ALL)
    monkeypatch.setattr(bootstrap, "_CHUNK", 301)  # one resample at a time
    assert score(*calibrated(300), ALL) == whole


def test_metrics_share_their_resamples():
    alone = score(*calibrated(300), ("auroc",))["auroc"]
    assert score(*calibrated(300), ALL)["auroc"] == alone


def test_seed_changes_the_interval_and_not_the_value():
    first, second = (score(*calibrated(300), ("ece",), seed=s)["ece"] for s in (0, 1))
    assert first.value == second.value and first.low != second.low


def test_auroc_says_when_many_resamples_have_one_class_only():
    confidence, correct = np.linspace(0.1, 0.9, 20), [1] * 19 + [0]
    # A resample misses the one wrong answer with probability (19/20)^20 = 36 %.
    with pytest.warns(UserWarning, match="auroc was undefined in 3[0-9]%"):
        found = score(confidence, correct, ("auroc",))["auroc"]
    assert 0 <= found.low <= found.high <= 1


def test_infinite_nll_has_an_infinite_upper_bound_and_no_nan():
    confidence, correct = [1.0] + [0.5] * 9, [0] + [1] * 9
    found = score(confidence, correct, ("nll",))["nll"]
    assert found.value == found.high == found.stderr == math.inf
    assert found.low == pytest.approx(math.log(2))  # resamples without the infinite row
