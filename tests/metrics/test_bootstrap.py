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

from calib_metrics import auroc, brier, ece, resampling, score
from calib_metrics._checks import check_groups, check_rows, sort_order
from calib_metrics.cells import Drawn, make_cells
from calib_metrics.compat import MODES
from calib_metrics.intervals import bca_interval, leave_out, percentile_interval, standard_error
from calib_metrics.registry import NAMES
from calib_metrics.resampling import draws
from calib_metrics.signature import Options
from calib_metrics.smooth import smooth_ece, smooth_ece_bandwidth
from calib_metrics.values import plain_value, resampled_metric

ALL = (*NAMES, "selective_accuracy@0.5", "coverage_at_accuracy@0.6", "abstention_score@0.9")
CONFIDENCE = st.none() | st.integers(0, 10).map(lambda k: k / 10) | st.floats(0, 1)


def calibrated(n, seed=0):
    rng = np.random.default_rng(seed)
    confidence = rng.random(n)
    return confidence, (rng.random(n) < confidence).astype(int)


BINNING = {"bins": 10, "strategy": "width", "norm": "l1", "debias": False}


@given(
    st.lists(st.tuples(CONFIDENCE, st.integers(0, 1)), min_size=1, max_size=30),
    st.sampled_from(["l1", "l2", "max"]),
)
@settings(deadline=None)
@pytest.mark.filterwarnings("ignore:.*undefined")
def test_each_resample_scores_as_the_rows_it_drew(data, norm):
    confidence, correct = check_rows(*zip(*data, strict=True), allow_missing=True)
    cells = make_cells(confidence, correct)
    options = Options(norm=norm)
    (counts,) = draws(len(data), 5, seed=1)
    assert (counts.sum(axis=1) == len(data)).all()
    for name in set(ALL) - {"smooth_ece"} if cells.answered else ("acc", "answered"):
        values = resampled_metric(name, cells, options.binning)(Drawn(cells).load(counts))
        for drawn, value in zip(counts, values, strict=True):
            rows = np.repeat(np.arange(len(data)), drawn.astype(int))
            expected = plain_value(name, confidence[rows], correct[rows], options)
            assert value == pytest.approx(expected, abs=1e-9, nan_ok=True), name


def test_smooth_ece_of_a_resample_is_that_of_its_rows_at_the_full_samples_bandwidth():
    confidence, correct = check_rows(*calibrated(80))
    cells = make_cells(confidence, correct)
    (counts,) = draws(80, 3, seed=1)
    values = resampled_metric("smooth_ece", cells, BINNING)(Drawn(cells).load(counts))
    bandwidth = smooth_ece_bandwidth(confidence, correct)
    for drawn, value in zip(counts, values, strict=True):
        rows = np.repeat(np.arange(80), drawn.astype(int))
        expected = smooth_ece(confidence[rows], correct[rows], bandwidth=bandwidth)
        assert value == pytest.approx(expected, abs=1e-9)


def test_a_definition_that_loses_every_row_has_an_interval_too():
    # Of 100 to 199 rows Humanity's Last Exam visits none, and divides by all: 0 whatever they say.
    found = score(*calibrated(150), ("ece:hle_rms_b100",), resamples=20)["ece:hle_rms_b100"]
    assert (found.value, found.low, found.high) == (0, 0, 0)


@pytest.mark.parametrize("mode", MODES)
def test_other_definitions_are_resampled_in_the_bins_of_the_full_sample(mode):
    confidence, correct = calibrated(300)
    confidence = np.round(confidence, 1)  # ties, 0 and 1
    found = score(confidence, correct, (f"ece:{mode}",), resamples=50)[f"ece:{mode}"]
    cells = make_cells(*check_rows(confidence, correct), merge=False)
    once = resampled_metric(f"ece:{mode}", cells, BINNING)(Drawn(cells).load(np.ones((1, 300))))
    assert once == pytest.approx(found.value, abs=1e-12)
    assert found.low < found.high


def test_bins_of_equal_mass_stay_those_of_the_full_sample():
    confidence = [0.1, 0.2, 0.3, 0.9]  # two bins: {.1, .2} and {.3, .9}
    cells = make_cells(*check_rows(confidence, [0, 1, 0, 1]))
    metric = resampled_metric("ece", cells, {**BINNING, "bins": 2, "strategy": "mass"})
    # Drawn: .1, .1, .1 and .2 (right). All lie in the first bin: |1/4 - .5/4|.
    drawn = Drawn(cells).load(np.array([[3.0, 1, 0, 0]]))
    assert metric(drawn) == pytest.approx([0.125], abs=1e-12)


def test_bins_of_equal_mass_count_tied_rows():
    confidence, correct = [0.1, 0.2] + [0.9] * 6, [0, 1] + [1] * 6  # two bins: {.1, .2} and {.9}
    cells = make_cells(*check_rows(confidence, correct))
    metric = resampled_metric("ece", cells, {**BINNING, "bins": 2, "strategy": "mass"})
    # Drawn: .1 (wrong) and .2 (right), four times each: |4/8 - (.4 + .8)/8|.
    drawn = Drawn(cells).load(np.array([[4.0, 4, 0, 0, 0, 0, 0, 0]]))
    assert metric(drawn) == pytest.approx([0.35], abs=1e-12)


def test_interval_and_standard_error_of_a_few_values():
    # Middle half of 1 to 5, and sqrt((4 + 1 + 0 + 1 + 4) / 4); NaN is left out.
    values = np.array([3, 1, 5, np.nan, 2, 4])
    assert percentile_interval(values, 0.5) == (2, 4)
    assert standard_error(values) == pytest.approx(math.sqrt(2.5))
    # A quantile between two values moves outwards to the next one.
    assert percentile_interval(values, 0.9) == (1, 5)


@pytest.mark.parametrize("units", [1, 2, 10, 50, 300])
def test_counts_of_a_unit_are_binomial(units):
    counts = np.concatenate([part.copy() for part in draws(units, 4000, seed=3)])
    assert counts.shape == (4000, units) and (counts.sum(axis=1) == units).all()
    if units == 1:
        return
    seen = np.bincount(counts.astype(int).ravel(), minlength=units + 1)
    expected = scipy.stats.binom.pmf(np.arange(units + 1), units, 1 / units) * counts.size
    tail = int(np.argmax(expected[::-1].cumsum() > 20))  # merge the rare, large counts
    cut = units + 1 - tail
    seen, expected = (np.append(x[: cut - 1], x[cut - 1 :].sum()) for x in (seen, expected))
    # Counts of one resample hang together, so the statistic is smaller than chi-square's.
    assert scipy.stats.chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 0.001


def test_every_unit_is_drawn_equally_often_and_counts_of_two_units_compete():
    counts = np.concatenate([part.copy() for part in draws(50, 20_000, seed=3)])
    assert scipy.stats.chisquare(counts.sum(axis=0)).pvalue > 0.001
    covariance = np.cov(counts.T)
    # Multinomial: variance n p (1 - p), covariance -n p p.
    assert np.diag(covariance).mean() == pytest.approx(1 - 1 / 50, rel=0.01)
    assert covariance[~np.eye(50, dtype=bool)].mean() == pytest.approx(-1 / 50, rel=0.01)


def test_a_level_in_which_the_poisson_distribution_steps_is_decided_by_further_digits():
    table, steps = resampling._poisson_table(1.0)
    unclear = np.flatnonzero(table < 0)
    # P(0) = e^-1 = 0.36788 lies in level 24109 of 65536.
    assert unclear[0] == int(math.exp(-1) * 65536) and len(unclear) < 12
    assert table[unclear[0] - 1] == 0 and table[unclear[0] + 1] == 1


def test_groups_are_drawn_whole():
    confidence, correct = calibrated(60)
    groups = np.arange(60) % 7
    unit = check_groups(groups, 60)
    order = sort_order(confidence, correct, unit)
    cells = make_cells(confidence[order], correct[order].astype(float), unit[order])
    (counts,) = draws(7, 4, seed=0)
    drawn = Drawn(cells).load(counts)
    for of_groups, value in zip(
        counts, resampled_metric("brier", cells, BINNING)(drawn), strict=True
    ):
        rows = np.concatenate(
            [np.flatnonzero(groups == g) for g in range(7) for _ in range(int(of_groups[g]))]
        )
        assert value == pytest.approx(brier(confidence[rows], correct[rows]), abs=1e-12)


def test_copies_in_a_group_add_no_certainty():
    confidence, correct = calibrated(200)
    once = score(confidence, correct, ("brier",), resamples=4000)["brier"]
    copies = [np.tile(column, 5) for column in (confidence, correct)]
    groups = np.tile([f"question {i}" for i in range(200)], 5)
    clustered = score(*copies, ("brier",), groups=groups, resamples=4000)["brier"]
    alone = score(*copies, ("brier",), resamples=4000)["brier"]
    assert clustered.stderr == pytest.approx(once.stderr, rel=0.06)
    assert alone.stderr == pytest.approx(once.stderr / math.sqrt(5), rel=0.06)
    assert "clusters:200" in clustered.signature


def test_missing_group_labels_are_refused():
    with pytest.raises(ValueError, match="groups has 1 labels for 2 rows"):
        score([0.5, 0.6], [0, 1], groups=["a"])
    with pytest.raises(ValueError, match="missing labels"):
        score([0.5, 0.6], [0, 1], groups=["a", None])


def test_bca_of_a_mean_is_scipys():
    rng = np.random.default_rng(3)
    confidence = rng.beta(8, 1, 60)  # skewed losses
    correct = (rng.random(60) < confidence).astype(int)
    loss = (confidence - correct) ** 2
    found = score(confidence, correct, ("brier",), interval="bca", resamples=50_000)["brier"]
    scipys = scipy.stats.bootstrap(
        (loss,), np.mean, n_resamples=50_000, method="BCa", rng=np.random.default_rng(5)
    ).confidence_interval
    plain = score(confidence, correct, ("brier",), resamples=50_000)["brier"]
    tolerance = 0.02 * (found.high - found.low)
    assert found.low == pytest.approx(scipys.low, abs=tolerance)
    assert found.high == pytest.approx(scipys.high, abs=tolerance)
    assert abs(plain.high - scipys.high) > 2 * tolerance  # so the correction was needed
    assert "interval:bca" in found.signature


def test_jackknife_leaves_every_unit_out_once():
    counts = np.concatenate([part.copy() for part in leave_out(7, seed=0)])
    assert (counts.sum(axis=1) == 6).all() and (counts.sum(axis=0) == 6).all()
    many = np.concatenate([part.copy() for part in leave_out(2500, seed=0)])
    assert many.shape == (1000, 2500) and ((2500 - many.sum(axis=0)) > 0).all()
    assert ((many == 0).sum(axis=0) == 1).all()


def test_bca_is_undefined_where_all_resamples_lie_on_one_side():
    with pytest.warns(UserWarning, match="one side"):
        assert np.isnan(bca_interval(np.array([2.0, 3.0]), 1.0, np.array([1.0, 1.1]), 0.9)).all()


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
            (confidence, correct),
            function,
            paired=True,
            vectorized=False,
            n_resamples=2000,
            method="percentile",
            rng=np.random.default_rng(5),
        )
        assert found[name].stderr == pytest.approx(scipys.standard_error, rel=0.08)


def test_intervals_cover_the_truth_about_95_times_in_100():
    # Confidence uniform and calibrated: the Brier score is E[p (1 - p)] = 1/6, and the AUROC is
    # the integral of 2c (2c - c^2) = 5/6.
    truth, covered = {"brier": 1 / 6, "auroc": 5 / 6}, {"brier": 0, "auroc": 0}
    for seed in range(1000):
        scores = score(*calibrated(300, seed), tuple(truth), resamples=400, seed=seed)
        for name, true in truth.items():
            covered[name] += scores[name].low <= true <= scores[name].high
    for name in truth:
        assert 0.93 <= covered[name] / 1000 <= 0.97, name


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
            score(*zip(*each, strict=True), ALL, strategy="mass", resamples=30)
            for each in (data, shuffled)
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
            check=True,
            capture_output=True,
            text=True,
        )
        assert json.loads(found.stdout) == here


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
