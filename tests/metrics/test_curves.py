"""ROC and risk–coverage figures: the curves are right, and a reader finds every number."""

import itertools
import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from calib_metrics import Score, auroc

pytest.importorskip("matplotlib")

from calib_metrics.curves import (  # noqa: E402
    risk_coverage_figure,
    risk_points,
    roc_figure,
    roc_points,
)

RNG = np.random.default_rng(0)
CONFIDENCE = RNG.random(300)
CORRECT = (RNG.random(300) < CONFIDENCE).astype(float)
DRAW = {"auroc": roc_figure, "aurc": risk_coverage_figure}


def a_row(label, n=300, **more):
    return {"label": label, "confidence": CONFIDENCE[:n], "correct": CORRECT[:n]} | more


def texts(svg):
    """Return what a reader, or a search, finds in the SVG: its text elements."""
    found = ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")
    return " ".join("".join(element.itertext()) for element in found)


columns = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.6, 1.0]), st.integers(0, 1)), min_size=1
)


@given(columns)
def test_roc_is_scikit_learns_and_its_area_is_the_auroc(rows):
    confidence, correct = map(np.array, zip(*rows, strict=True))
    wrong, right = roc_points(confidence, correct)
    if correct.min() == correct.max():
        assert wrong.size == 0
        return
    expected = sklearn.metrics.roc_curve(correct, confidence, drop_intermediate=False)
    assert wrong == pytest.approx(expected[0]) and right == pytest.approx(expected[1])
    assert sklearn.metrics.auc(wrong, right) == pytest.approx(auroc(confidence, correct))


def test_roc_of_many_rows_is_thinned_and_keeps_its_area():
    confidence = RNG.random(100_000)
    correct = (RNG.random(100_000) < confidence).astype(float)
    wrong, right = roc_points(confidence, correct)
    assert wrong.size <= 2000 and (wrong[0], right[0], wrong[-1], right[-1]) == (0, 0, 1, 1)
    assert sklearn.metrics.auc(wrong, right) == pytest.approx(auroc(confidence, correct), abs=1e-4)


def test_risk_averages_over_the_orders_of_ties():
    # Twenty-one sure and right; then a tie of one right and two wrong.
    confidence = np.array([1.0] * 21 + [0.5] * 3)
    correct = np.array([1.0] * 21 + [1, 0, 0])
    answered, risk, thresholds = risk_points(confidence, correct)
    orders = [np.cumsum(order) for order in itertools.permutations([0, 1, 1])]
    expected = np.mean(orders, axis=0) / [22, 23, 24]
    assert answered.tolist() == [20, 21, 22, 23, 24]
    assert risk == pytest.approx([0, 0, *expected])
    assert thresholds == pytest.approx(np.array([[21 / 24, 0], [1, 2 / 24]]))


@settings(max_examples=30)
@given(columns)
def test_risk_ends_at_the_error_rate(rows):
    confidence, correct = map(np.array, zip(*rows, strict=True))
    assert risk_points(confidence, correct)[1][-1] == pytest.approx(1 - correct.mean())


@pytest.mark.parametrize("name", DRAW)
def test_figure_names_every_method_with_its_score_and_n(tmp_path, name):
    known = Score(name, 0.4321, 0.4111, 0.4551, 0.01, 300, 0, True, f"{name}|boot:9|seed:0")
    rows = [a_row("Sampling", **{name: known}), a_row("Fine-Tuned", emphasise=True)]
    png, svg = DRAW[name](rows, tmp_path / "v0.1", model="SmolLM2", task="WorldFacts")
    assert (png, svg) == (tmp_path / "v0.1.png", tmp_path / "v0.1.svg")
    assert png.read_bytes().startswith(b"\x89PNG")
    shown = texts(svg)
    for words in ("Sampling", "Fine-Tuned", "0.432 [0.411, 0.455]", "SmolLM2", "WorldFacts"):
        assert words in shown
    assert "n = 300 answers" in shown and "95 % interval" in shown
    assert sorted(p.name for p in tmp_path.iterdir()) == ["v0.1.png", "v0.1.svg"]


@pytest.mark.filterwarnings("ignore:AUROC is undefined")
def test_a_method_without_a_curve_says_so(tmp_path):
    row = {"label": "Always right", "confidence": [0.9, None, 0.8], "correct": [1, 0, 1]}
    shown = texts(roc_figure([row], tmp_path / "figure")[1])
    assert "n/a" in shown and "n = 2 answers" in shown


@pytest.mark.parametrize("name", DRAW)
@pytest.mark.parametrize("n", [1, 2, 19, 21])
@pytest.mark.filterwarnings("ignore:.*undefined")
def test_few_answers_are_drawn(tmp_path, name, n):
    DRAW[name]([a_row("Few", n)], tmp_path / "figure")


def test_best_order_is_drawn_only_where_error_rates_are_alike(tmp_path):
    rows = [a_row("One"), a_row("Two")]
    assert "Best possible order" in texts(risk_coverage_figure(rows, tmp_path / "same")[1])
    rows[1] = a_row("Two", correct=CONFIDENCE > 0.9)
    assert "Best possible order" not in texts(risk_coverage_figure(rows, tmp_path / "other")[1])


@pytest.mark.parametrize("name", DRAW)
def test_same_input_gives_the_same_bytes(tmp_path, name):
    rows = [a_row("One"), a_row("Two", 200)]
    first, second = (DRAW[name](rows, tmp_path / stem) for stem in ("first", "second"))
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


@pytest.mark.parametrize("name", DRAW)
def test_incomplete_rows_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="rows is empty"):
        DRAW[name]([], tmp_path / "figure")
    with pytest.raises(ValueError, match="'Sampling' lacks confidence, correct"):
        DRAW[name]([{"label": "Sampling"}], tmp_path / "figure")
    empty = Score(name, math.nan, math.nan, math.nan, math.nan, 0, 1, True, name)
    with pytest.raises(ValueError, match="missing in every row"):
        row = {"label": "None", "confidence": [None], "correct": [1], name: empty}
        DRAW[name]([row], tmp_path / "figure")
