"""What a metric is declared to be, it is; and whatever lists metrics lists all of them."""

import math
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import calib_metrics
from calib_metrics import lm_eval_hooks, score, worst_case
from calib_metrics._checks import sort_rows
from calib_metrics.registry import METRICS, NAMES, find, find_or_none
from calib_metrics.signature import SIGNATURE_VERSION

OF_CONFIDENCES = [name for name in NAMES if not METRICS[name].all_rows]


def sample(n=400, seed=0):
    """Confidences with ties, 0 and 1 among them, of a model that is somewhat overconfident."""
    rng = np.random.default_rng(seed)
    confidence = rng.integers(0, 101, n) / 100
    correct = rng.random(n) < 0.8 * confidence + 0.05
    return sort_rows(confidence, correct.astype(float))


def value_of(name, confidence, correct):
    return score(confidence, correct, (name,), resamples=0)[name].value


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.filterwarnings("ignore:.*undefined")
def test_no_value_leaves_its_declared_range(name):
    metric = METRICS[name]
    rng = np.random.default_rng(1)
    for n in (1, 2, 7, 150, 400):
        for correct in (rng.integers(0, 2, n), np.zeros(n), np.ones(n)):
            for confidence in (rng.random(n), rng.integers(0, 2, n), correct, 1 - correct):
                value = value_of(name, confidence, correct)
                assert math.isnan(value) or metric.lowest <= value <= metric.highest


@pytest.mark.parametrize("name", NAMES)
def test_the_better_end_is_that_of_confidences_that_are_always_right(name):
    metric = METRICS[name]
    correct = np.arange(100) % 2
    best = metric.highest if metric.higher_is_better else metric.lowest
    if name == "acc":
        assert value_of(name, correct, np.ones(100)) == best
    elif name == "coverage_at_accuracy":  # half of the answers are right: no more can be given
        assert value_of("coverage_at_accuracy@0.5", correct, correct) == best
    elif name == "selective_accuracy":
        assert value_of("selective_accuracy@0.5", correct, correct) == best
    elif name == "abstention_score":  # half of the answers are right, the others withheld
        assert value_of(name, correct, correct) == 0.5
        assert value_of(name, np.ones(100), np.ones(100)) == best
    elif name == "aurc":  # depends on the error rate; see excess_aurc
        assert value_of(name, correct, correct) < value_of(name, 1 - correct, correct)
    else:
        assert value_of(name, correct, correct) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].row_values])
def test_row_values_have_the_metric_as_their_mean(name):
    confidence, correct = sample()
    confidence = np.clip(confidence, 0.01, 0.99)
    values = METRICS[name].row_values(confidence, correct)
    assert np.mean(values) == pytest.approx(value_of(name, confidence, correct), abs=1e-12)


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].worst_case])
def test_no_way_to_fill_missing_confidences_in_leaves_the_bounds(name):
    metric, rng = METRICS[name], np.random.default_rng(2)
    confidence, correct = sample(60)
    missing = rng.random(60) < 0.2
    bounds = worst_case(np.where(missing, np.nan, confidence), correct, name)
    low, high = sorted(bounds)
    assert bounds.best == (high if metric.higher_is_better else low)
    for _ in range(50):
        filled = np.where(missing, rng.integers(0, 11, 60) / 10, confidence)
        assert low - 1e-9 <= value_of(name, filled, correct) <= high + 1e-9


@pytest.mark.parametrize("name", [name for name in NAMES if not METRICS[name].worst_case])
def test_a_worst_case_that_is_not_known_is_refused(name):
    with pytest.raises(ValueError, match="worst case"):
        worst_case([0.5, None], [1, 0], name)


@pytest.mark.parametrize("name", METRICS)
def test_chance_alone_raises_those_that_say_so(name):
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.05, 0.95, (20, 200))
    correct = rng.random((20, 200)) < confidence  # perfectly calibrated
    if METRICS[name].chance_raises:
        values = [value_of(name, c, y) for c, y in zip(confidence, correct, strict=True)]
        assert min(values) > 0 or name == "ece:hle_rms_b100" and max(values) > 0


@pytest.mark.parametrize("name", OF_CONFIDENCES)
def test_every_metric_is_an_aggregation_with_a_standard_error(name):
    confidence, correct = sample(60)
    items = list(zip(confidence.tolist(), correct.tolist(), strict=True))
    expected = score(confidence, correct, (name,))[name]
    assert getattr(lm_eval_hooks, name)(items) == expected.value
    assert getattr(lm_eval_hooks, f"{name}_stderr")(items) == expected.stderr


def test_what_is_no_metric_is_no_aggregation():
    for name in ("acc_stderr", "answered_stderr", "nonsense", "ece_stderr_stderr"):
        assert not hasattr(lm_eval_hooks, name)


def test_lm_evals_entry_points_load_and_are_the_aggregations():
    points = [
        point
        for point in metadata.entry_points(group="lm_eval.aggregations")
        if point.dist.name == "calibench"
    ]
    assert len(points) >= 10
    for point in points:
        kind = point.name.removeprefix("calib_")
        items = [(0.9, 1), (0.8, 0), (0.3, 0), (0.6, 1)]
        assert point.load()(items) == getattr(lm_eval_hooks, kind)(items)


def test_the_docs_name_every_metric():
    readme = Path(calib_metrics.__file__).with_name("README.md").read_text(encoding="utf-8")
    for name in METRICS:
        assert f"`{name.removeprefix('ece:')}" in readme


def test_a_name_is_found_with_what_follows_it():
    assert find("selective_accuracy@0.7") == (METRICS["selective_accuracy"], 0.7)
    assert find("selective_accuracy") == (METRICS["selective_accuracy"], None)
    assert find_or_none("ece:nonsense") is METRICS["ece"]
    assert find_or_none("acc_norm") is None


def test_the_packages_version_is_not_the_signatures():
    assert calib_metrics.__version__ == metadata.version("calibench")
    signature = score([0.5, 0.5], [0, 1], ("ece",))["ece"].signature
    assert f"|v:{SIGNATURE_VERSION}|" in signature
