"""False alarms and power of the gate for every metric that it tests, and for Holm over ten.

With 100, 500 and 2,000 questions; with confidences that are all different, that have ties, as
stated confidences do, and of which a tenth is missing on each side. With `--junitxml FILE`, pytest
writes the measured rates to a file.
"""

import numpy as np
import pytest

from calib_leaderboards.gate.evidence import CALIBRATION_ERRORS, holm
from calib_leaderboards.gate.measure import paired
from calib_leaderboards.gate.samples import Column
from calib_metrics.registry import METRICS, NAMES

LEVEL = 0.05
TESTED = [n for n in NAMES if not METRICS[n].chance_raises or n in CALIBRATION_ERRORS]
# Few questions differ, or (of the coverage) few thresholds are possible: few values of p are, too.
DISCRETE = ("acc", "answered", "coverage_at_accuracy")
KINDS = ("plain", "ties", "missing")
RUNS = 300  # 5 % of them is 15, with a standard error of 3.8: 1 to 9 % are within 3.2 of those


def confidences(rng, p, kind):
    confidence = np.clip(p + 0.1 + rng.normal(0, 0.08, p.size), 0.001, 0.999)
    if kind == "ties":
        confidence = np.clip(np.round(confidence, 1), 0.01, 0.99)
    if kind == "missing":
        confidence[rng.random(p.size) < 0.1] = np.nan
    return confidence


def two_runs(rng, n, kind):
    """A model that is overconfident by 0.1, twice; a fifth of the questions is answered anew."""
    p = rng.uniform(0.05, 0.88, n)
    before = (rng.random(n) < p).astype(float)
    after = np.where(rng.random(n) < 0.2, rng.random(n) < p, before).astype(float)
    return [Column(confidences(rng, p, kind), correct, {}) for correct in (before, after)]


def harmed(rng, column):
    """The same run with half of the confidences shuffled and all 0.15 too high, ...

    ... a sixth of the right answers wrong, and a tenth of the confidences lost.
    """
    n, confidence = column.correct.size, column.confidence.copy()
    moved = np.flatnonzero(rng.random(n) < 0.5)
    confidence[moved] = confidence[rng.permutation(moved)]
    confidence = np.minimum(confidence + 0.15, 0.999)
    confidence[rng.random(n) < 0.1] = np.nan
    correct = np.where(rng.random(n) < 1 / 6, 0.0, column.correct)
    return Column(confidence, correct, {})


def p_of(name, base, new, seed):
    options = {"tolerance": 0.0, "resamples": 200, "seed": seed}
    return paired(name, base, new, higher=METRICS[name].higher_is_better, **options).p


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [100, 500, 2000])
@pytest.mark.parametrize("name", TESTED)
def test_an_unchanged_model_alarms_in_about_5_of_100_runs(name, n, kind, record_property):
    rng = np.random.default_rng(n)
    alarms = np.mean([p_of(name, *two_runs(rng, n, kind), i) <= LEVEL for i in range(RUNS)])
    record_property("false alarms", f"{alarms:.3f}")
    assert alarms <= 0.09
    if name not in DISCRETE:
        assert alarms >= 0.01


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
# No threshold makes this model right in 9 of 10 answers, so that it has no coverage to lose.
@pytest.mark.parametrize("name", [name for name in TESTED if name != "coverage_at_accuracy"])
def test_a_worse_model_is_found_and_the_surer_the_more_questions_there_are(
    name, kind, record_property
):
    found = []
    for n in (100, 500, 2000):
        rng, caught = np.random.default_rng(n), 0
        for i in range(60):
            base, new = two_runs(rng, n, kind)
            caught += p_of(name, base, harmed(rng, new), i) <= LEVEL
        found.append(caught / 60)
    record_property("power", " ".join(f"{share:.2f}" for share in found))
    assert found[1] >= 0.75 and found[2] >= 0.95
    assert found[0] <= found[1] + 0.1 and found[1] <= found[2] + 0.1


def ten_methods(rng, n, kind):
    """The Brier scores' p of ten methods about the same answers, of which none has changed."""
    base, new = two_runs(rng, n, kind)
    p = rng.uniform(0.05, 0.88, n)
    found = []
    for place in range(10):
        sides = [Column(confidences(rng, p, kind), base.correct, {}) for _ in "ab"]
        found.append(p_of("brier", *sides, place))
    return found


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [100, 500, 2000])
def test_ten_scores_of_an_unchanged_model_alarm_in_at_most_5_of_100_runs(n, kind, record_property):
    """With 200 resamples the least p is 1 / 201, which Holm's method multiplies by 10: alarms are
    counted where a score alone would have one at 0.5 %, the first step of ten."""
    rng = np.random.default_rng(n)
    families = [ten_methods(rng, n, kind) for _ in range(RUNS)]
    alone = np.mean([min(family) <= LEVEL for family in families])
    together = np.mean([min(holm(family, 10)) <= LEVEL for family in families])
    record_property("false alarms", f"{together:.3f} with Holm, {alone:.3f} without")
    assert together <= 0.09 and alone > 0.25


@pytest.mark.parametrize("kind", KINDS)
def test_one_worse_score_of_ten_is_found(kind):
    rng = np.random.default_rng(1)
    caught = []
    for i in range(12):
        base, new = two_runs(rng, 500, kind)
        p = [paired_p(rng, base, kind, i) for _ in range(9)]
        worse = Column(np.minimum(base.confidence + 0.2, 0.999), base.correct, {})
        options = {"higher": False, "tolerance": 0.0, "resamples": 2000, "seed": i}
        p.append(paired("brier", base, worse, **options).p)
        caught.append([place for place, value in enumerate(holm(p, 10)) if value <= LEVEL])
    assert sum(9 in found for found in caught) >= 10
    assert sum(len(set(found) - {9}) for found in caught) <= 2


def paired_p(rng, base, kind, seed):
    """p of a rerun: of two runs whose confidences differ by noise, as much in both."""

    def noisy():
        noise = rng.normal(0, 0.04, base.correct.size)
        return Column(np.clip(base.confidence + noise, 0.001, 0.999), base.correct, {})

    options = {"higher": False, "tolerance": 0.0, "resamples": 2000, "seed": seed}
    return paired("brier", noisy(), noisy(), **options).p


def test_every_metric_is_tested_or_known_to_be_untestable():
    assert {"acc", "answered", "brier", "nll", "auroc", "ece", "rms", "brier_skill", "aurc"} <= set(
        TESTED
    )
    assert set(NAMES) - set(TESTED) == {"mce", "smooth_ece", "ks"}
