"""Scores of all options with intervals: the plain functions' values, and the bootstrap's."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from calib_metrics import classwise_ece, ece, multiclass_brier, multiclass_nll
from calib_metrics.option_scores import OPTION_METRICS, option_scores

RNG = np.random.default_rng(5)
PROBABILITIES = [RNG.dirichlet(np.ones(3 + k % 3)) for k in range(150)]
GOLD = [int(RNG.integers(0, len(row))) for row in PROBABILITIES]
FUNCTIONS = {
    "classwise_ece": classwise_ece,
    "multiclass_nll": multiclass_nll,
    "multiclass_brier": multiclass_brier,
}


def test_values_are_those_of_the_plain_functions():
    found = option_scores(PROBABILITIES, GOLD, OPTION_METRICS, method="acc", resamples=0)
    for name, function in FUNCTIONS.items():
        assert found[name].value == function(PROBABILITIES, GOLD)
        assert np.isnan(found[name].low) and "|conf:acc|n:150|" in found[name].signature


@pytest.mark.parametrize("name", ["multiclass_nll", "multiclass_brier"])
def test_intervals_are_those_of_scipys_bootstrap(name):
    def statistic(rows):
        rows = np.asarray(rows, int)
        return FUNCTIONS[name]([PROBABILITIES[k] for k in rows], [GOLD[k] for k in rows])

    expected = bootstrap(
        (np.arange(150),),
        statistic,
        n_resamples=1000,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(1),
    )
    found = option_scores(PROBABILITIES, GOLD, [name])[name]
    tolerance = 0.25 * expected.standard_error
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=tolerance)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=tolerance)
    assert found.stderr == pytest.approx(expected.standard_error, rel=0.1)


@pytest.mark.parametrize("strategy", ["width", "mass"])
@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_every_row_drawn_once_gives_classwise_ece_itself(monkeypatch, strategy, norm):
    monkeypatch.setattr(
        "calib_metrics.scores.draws", lambda units, resamples, seed: [np.ones((2, units))]
    )
    found = option_scores(PROBABILITIES, GOLD, ["classwise_ece"], strategy=strategy, norm=norm)
    expected = classwise_ece(PROBABILITIES, GOLD, strategy=strategy, norm=norm)
    assert found["classwise_ece"].low == pytest.approx(expected, abs=1e-12)
    assert f"strategy:{strategy}|norm:{norm}" in found["classwise_ece"].signature


def test_a_resample_is_the_score_of_the_rows_that_it_drew(monkeypatch):
    """One unit, drawn as a whole group: its own rows and no others."""
    groups = ["a"] * 100 + ["b"] * 50
    counts = np.array([[2.0, 0.0], [2.0, 0.0]])
    monkeypatch.setattr("calib_metrics.scores.draws", lambda units, resamples, seed: [counts])
    found = option_scores(PROBABILITIES, GOLD, ["multiclass_nll", "classwise_ece"], groups=groups)
    expected = multiclass_nll(PROBABILITIES[:100], GOLD[:100])
    assert found["multiclass_nll"].low == pytest.approx(expected)
    expected = classwise_ece(PROBABILITIES[:100], GOLD[:100])
    assert found["classwise_ece"].high == pytest.approx(expected)
    assert "|clusters:2" in found["multiclass_nll"].signature


def test_the_order_of_the_rows_changes_nothing():
    order = np.random.default_rng(2).permutation(150)
    one = option_scores(PROBABILITIES, GOLD, OPTION_METRICS)
    two = option_scores([PROBABILITIES[k] for k in order], [GOLD[k] for k in order], OPTION_METRICS)
    for name in OPTION_METRICS:
        assert one[name].value == pytest.approx(two[name].value, abs=1e-14)
        assert one[name].low == pytest.approx(two[name].low, abs=1e-12)


def test_an_infinite_loss_has_no_interval():
    found = option_scores([[1.0, 0.0], [0.5, 0.5]], [1, 0], ["multiclass_nll"])["multiclass_nll"]
    assert found.value == np.inf and np.isnan(found.low)


def test_with_two_options_it_is_the_ece_of_either():
    probabilities = [row[:2] / row[:2].sum() for row in PROBABILITIES]
    gold = [k % 2 for k in GOLD]
    found = option_scores(probabilities, gold, ["classwise_ece"], resamples=0)["classwise_ece"]
    first, second = zip(*probabilities, strict=True)
    expected = (ece(first, np.equal(gold, 0)) + ece(second, np.equal(gold, 1))) / 2
    assert found.value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "probabilities, gold, metrics, sentence",
    [
        ([[0.5, 0.5]], [2], ["multiclass_nll"], "no option at the position"),
        ([[0.5, 0.5]], [0], ["ece"], "a metric of all options is 'ece'"),
        ([], [], ["multiclass_nll"], "empty"),
    ],
)
def test_bad_input_is_refused(probabilities, gold, metrics, sentence):
    with pytest.raises(ValueError, match=sentence):
        option_scores(probabilities, gold, metrics)
