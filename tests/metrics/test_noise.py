"""The noise floor, against the literature's figures and exact enumeration."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib_metrics import ece, noise
from calib_metrics.noise import noise_floor
from helpers.metric_rows import CONFIDENCE


@pytest.mark.parametrize(
    ("n", "mean", "tolerance"),
    [(100, 0.103, 0.004), (250, 0.063, 0.003), (1000, 0.031, 0.002), (10_000, 0.010, 0.001)],
)
def test_uniform_confidences_have_the_known_bias(n, mean, tolerance):
    floor = noise_floor((np.arange(n) + 0.5) / n, draws=400)
    assert floor.mean == pytest.approx(mean, abs=tolerance)


@pytest.mark.parametrize("strategy", ["width", "mass", "sweep"])
@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_mean_and_quantile_are_those_of_all_possible_answers(strategy, norm):
    confidence = [0.1, 0.35, 0.35, 0.8, 0.95]
    values, weights = [], []
    for correct in product([0, 1], repeat=5):
        values.append(ece(confidence, correct, bins=3, strategy=strategy, norm=norm))
        weights.append(
            math.prod(c if y else 1 - c for c, y in zip(confidence, correct, strict=True))
        )
    order = np.argsort(values)
    reached = np.cumsum(np.array(weights)[order])
    floor = noise_floor(confidence, bins=3, strategy=strategy, norm=norm, draws=2000)
    assert floor.mean == pytest.approx(np.dot(values, weights), abs=0.01)
    low, high = (np.array(values)[order][np.searchsorted(reached, q)] for q in (0.93, 0.97))
    assert low - 1e-9 <= floor.high <= high + 1e-9


@given(st.lists(CONFIDENCE, min_size=1, max_size=30), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_of_the_confidences_changes_nothing(confidence, random):
    moved = confidence[:]
    random.shuffle(moved)
    floor = noise_floor(confidence, draws=20)
    assert floor == noise_floor(moved, draws=20)
    assert 0 <= floor.mean <= 1 and 0 <= floor.high <= 1


def test_certain_confidences_have_no_noise():
    floor = noise_floor([0.0, 1.0, 1.0], draws=10)
    assert (floor.mean, floor.high) == (0, 0)


def test_seed_and_draws_are_recorded_and_matter():
    first = noise_floor([0.3, 0.6, 0.9], draws=50, seed=1)
    assert (first.draws, first.seed) == (50, 1)
    assert first == noise_floor([0.3, 0.6, 0.9], draws=50, seed=1)
    assert first.mean != noise_floor([0.3, 0.6, 0.9], draws=50, seed=2).mean


def test_size_of_the_chunks_changes_nothing(monkeypatch):
    confidence = np.linspace(0, 1, 300)
    whole = noise_floor(confidence, draws=50)
    monkeypatch.setattr(noise, "_CHUNK", 701)  # two draws at a time
    assert noise_floor(confidence, draws=50) == whole


def test_normal_and_exact_draws_agree(monkeypatch):
    confidence = np.linspace(0, 1, 20_000)
    exact = noise_floor(confidence, bins=5, draws=1000)
    monkeypatch.setattr(noise, "_NORMAL", 100.0)
    normal = noise_floor(confidence, bins=5, draws=1000)
    assert normal.mean != exact.mean
    # Monte Carlo error of a mean of 1,000 draws: about 1 %.
    assert normal.mean == pytest.approx(exact.mean, rel=0.05)
    assert normal.high == pytest.approx(exact.high, rel=0.08)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"draws": 0}, "draws"),
        ({"bins": 0}, "bins"),
        ({"strategy": "quantile"}, "strategy"),
        ({"norm": "l3"}, "norm"),
        ({"level": 1}, "level"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_options_are_refused_by_name(option, words):
    with pytest.raises(ValueError, match=words):
        noise_floor([0.5], **option)


@pytest.mark.parametrize(
    ("confidence", "words"),
    [([], "empty"), ([50.0], "percent"), ([None], "missing"), (["0.5"], "strings"), (0.5, "0 dim")],
)
def test_bad_confidences_are_refused(confidence, words):
    with pytest.raises(ValueError, match=words):
        noise_floor(confidence)
