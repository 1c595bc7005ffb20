"""The gate's tests: right p, few false alarms, and power that a simulation confirms."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test

from calib_leaderboards.gate.evidence import (
    Evidence,
    detectable,
    holm,
    mean_against,
    paired_mean,
    paired_metric,
    sign_flip,
)
from calib_metrics import compare
from calib_metrics.calibration import log_losses

N = 500
LEVEL = 0.05


def answers(rng, shape):
    """Probabilities of being right, spread as a model's are, and whether each answer is."""
    p = rng.uniform(0.05, 0.92, shape)
    return p, (rng.random(shape) < p).astype(float)


def rerun(rng, confidence):
    """The same model again: other batches, another machine, other numerics."""
    return np.clip(confidence + rng.normal(0, 0.04, confidence.shape), 0.001, 0.999)


def brier_harm(base, new, correct):
    return (new - correct) ** 2 - (base - correct) ** 2


@pytest.mark.parametrize("seed", range(3))
def test_sign_flip_agrees_with_scipys_exact_permutation_test(seed):
    rng = np.random.default_rng(seed)
    base, new = rng.normal(size=10), rng.normal(0.5, 1.0, 10)
    exact = permutation_test(
        (new, base),
        lambda a, b: np.mean(a - b),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
    ).pvalue
    (p,) = sign_flip(new - base, 40_000, seed)
    assert p == pytest.approx(exact, abs=4 * math.sqrt(exact / 40_000))


def test_for_right_and_wrong_answers_it_is_mcnemars_exact_test():
    worse, better = 14, 5
    harm = np.array([1.0] * worse + [-1.0] * better + [0.0] * 200)
    exact = binomtest(worse, worse + better, 0.5, alternative="greater").pvalue
    (p,) = sign_flip(harm, 40_000, 0)
    assert p == pytest.approx(exact, abs=4 * math.sqrt(exact / 40_000))


def test_equal_runs_have_p_one_and_columns_are_tested_alike():
    harm = np.random.default_rng(0).normal(size=(60, 3))
    harm[:, 1] = 0
    p = sign_flip(harm, 500, 7)
    assert p[1] == 1
    assert [sign_flip(column, 500, 7)[0] for column in harm.T] == p.tolist()


def false_alarms(harm):
    return np.mean(sign_flip(harm, 999, 1) <= LEVEL)


def test_a_rerun_of_the_same_model_alarms_in_3_to_7_of_100_runs():
    rng = np.random.default_rng(1)
    p, correct = answers(rng, (N, 2000))
    base, new = rerun(rng, p), rerun(rng, p)
    assert 0.03 <= false_alarms(brier_harm(base, new, correct)) <= 0.07
    assert 0.03 <= false_alarms(log_losses(new, correct) - log_losses(base, correct)) <= 0.07


def test_so_does_a_rerun_that_answers_some_questions_anew():
    rng = np.random.default_rng(2)
    p, before = answers(rng, (N, 2000))
    after = np.where(rng.random(p.shape) < 0.2, rng.random(p.shape) < p, before)
    over = np.clip(p + 0.1, 0, 1)
    assert 0.03 <= false_alarms(before - after) <= 0.07  # accuracy
    assert 0.03 <= false_alarms((over - after) ** 2 - (over - before) ** 2) <= 0.07


def test_a_change_that_helps_as_often_as_it_hurts_but_unevenly_is_no_alarm():
    rng = np.random.default_rng(3)
    harm = rng.exponential(1.0, (N, 2000)) - 1.0  # mean 0, far from symmetric
    assert 0.03 <= false_alarms(harm) <= 0.07


def test_pairing_finds_8_points_of_overconfidence_that_the_interval_cannot():
    rng = np.random.default_rng(4)
    p, correct = answers(rng, (N, 1000))
    base, new = rerun(rng, p), rerun(rng, np.clip(p + 0.08, 0, 1))
    assert np.mean(sign_flip(brier_harm(base, new, correct), 999, 1) <= LEVEL) >= 0.45
    old_loss, new_loss = (base - correct) ** 2, (new - correct) ** 2
    options = {"higher": False, "tolerance": 0.0, "resamples": 100, "seed": 0}
    found = []
    for column in range(200):
        value = float(np.mean(old_loss[:, column]))
        stderr = float(np.std(old_loss[:, column]) / math.sqrt(N))
        seen = mean_against(value, new_loss[:, column], stderr=stderr, **options)
        found.append(seen.p <= LEVEL)
    assert np.mean(found) <= 0.05


def paired_p(name, base, new, tolerance=0.0, higher=False, resamples=150):
    options = {"tolerance": tolerance, "resamples": resamples, "seed": 0, "higher": higher}
    return paired_metric(name, base, new, **options).p


def test_auroc_of_a_rerun_alarms_in_3_to_7_of_100_runs():
    rng = np.random.default_rng(5)
    alarms = []
    for _ in range(400):
        p, correct = answers(rng, 250)
        sides = [(np.clip(p + rng.normal(0, 0.15, 250), 0, 1), correct) for _ in "ab"]
        alarms.append(paired_p("auroc", *sides, higher=True) <= LEVEL)
    assert 0.03 <= np.mean(alarms) <= 0.07


def test_shuffled_confidences_lose_auroc():
    rng = np.random.default_rng(6)
    p, correct = answers(rng, N)
    assert paired_p("auroc", (p, correct), (rng.permutation(p), correct), higher=True) < 1e-6


def test_ece_alarms_rarely_for_calibrated_models_and_not_for_how_their_confidences_spread():
    """The bootstrap alone takes the chance error of many filled bins for a regression."""
    rng = np.random.default_rng(7)
    alarms, bootstrap_alone = [], []
    for _ in range(100):
        p, correct = answers(rng, N)
        constant = np.full(N, 0.485)  # calibrated too, in one bin
        alarms.append(paired_p("ece", (constant, correct), (p, correct)) <= LEVEL)
        seen = compare(p, correct, constant, correct, ("ece",), resamples=150)["ece"]
        bootstrap_alone.append(seen.value / seen.stderr > 1.645)
    assert np.mean(alarms) <= 0.07
    assert np.mean(bootstrap_alone) > 0.2


def test_ece_of_a_rerun_of_an_overconfident_model_alarms_in_3_to_7_of_100_runs():
    rng = np.random.default_rng(8)
    alarms = []
    for _ in range(250):
        p = rng.uniform(0.05, 0.85, N)
        before, after = ((rng.random(N) < p).astype(float) for _ in range(2))
        alarms.append(paired_p("ece", (p + 0.15, before), (p + 0.15, after)) <= LEVEL)
    assert 0.03 <= np.mean(alarms) <= 0.07


def test_ece_finds_8_points_of_overconfidence():
    rng = np.random.default_rng(9)
    found = []
    for _ in range(60):
        p, correct = answers(rng, N)
        found.append(paired_p("ece", (p, correct), (p + 0.08, correct)) <= LEVEL)
    assert np.mean(found) >= 0.45


def test_the_detectable_effect_is_found_in_four_of_five_runs():
    rng = np.random.default_rng(10)
    spread = 0.1
    evidence = Evidence("sign-flip", 0, 0, 0, 1, spread / math.sqrt(N), N)
    effect = detectable(evidence, 0.0, LEVEL)
    harm = rng.normal(effect, spread, (N, 2000))
    assert np.mean(sign_flip(harm, 999, 0) <= LEVEL) == pytest.approx(0.8, abs=0.03)
    assert detectable(evidence, 0.02, LEVEL) == pytest.approx(effect + 0.02)


def test_a_tolerance_is_granted():
    rng = np.random.default_rng(11)
    base = rng.random(N)
    new = base + 0.02 + rng.normal(0, 0.01, N)
    options = {"higher": False, "resamples": 999, "seed": 0}
    assert paired_mean(base, new, tolerance=0.0, **options).p < 0.01
    assert paired_mean(base, new, tolerance=0.03, **options).p > 0.99


@pytest.mark.parametrize("higher, sign", [(True, -1), (False, 1)])
def test_the_interval_test_of_a_share_is_wilsons(higher, sign):
    """All of 200 right where the baseline says 0.95 or 1: the sample's own spread is 0."""
    options = {"stderr": 0.0, "higher": higher, "tolerance": 0.0, "resamples": 100, "seed": 0}
    seen = mean_against(0.95, np.ones(200), **options)
    z = sign * (1 - 0.95) / math.sqrt(0.95 * 0.05 / 200)
    assert seen.p == pytest.approx(math.erfc(z / math.sqrt(2)) / 2)
    assert mean_against(1.0, np.ones(200), **options).p == 1


def test_holm_agrees_with_r():
    """p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm") in R."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05], 5) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.03, 0.01], 5) == pytest.approx([0.12, 0.05])  # three undecided count as p = 1


def test_twenty_scores_of_an_unchanged_model_alarm_in_5_of_100_runs():
    """Independent scores, the worst case for false alarms."""
    rng = np.random.default_rng(12)
    harm = rng.normal(size=(100, 20 * 400))
    p = sign_flip(harm, 1999, 0).reshape(20, 400)
    alarms = [min(holm(column.tolist(), 20)) <= LEVEL for column in p.T]
    assert 0.03 <= np.mean(alarms) <= 0.07
    assert np.mean(p.min(axis=0) <= LEVEL) > 0.5  # uncorrected
