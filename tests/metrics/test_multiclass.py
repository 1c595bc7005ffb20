"""Multiple choice: against scikit-learn, the two-column metrics, and hand-worked ragged rows."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from calib_metrics import brier, ece, nll
from calib_metrics.multiclass import (
    classwise_ece,
    multiclass_brier,
    multiclass_nll,
    top_label,
    top_label_ece,
)

ALL = (top_label_ece, classwise_ece, multiclass_brier, multiclass_nll)


OPTIONS = st.integers(1, 6)


@st.composite
def questions(draw, options=OPTIONS):
    """Ragged rows of probabilities in 64ths, with zeros, ties and certainties, and gold."""
    probabilities, gold = [], []
    for _ in range(draw(st.integers(1, 20))):
        k = draw(options)
        cuts = sorted(draw(st.lists(st.integers(0, 64), min_size=k - 1, max_size=k - 1)))
        row = np.diff([0, *cuts, 64]) / 64
        probabilities.append(row.tolist())
        gold.append(draw(st.integers(0, k - 1)))
    return probabilities, gold


@given(questions())
def test_top_label_is_argmax_row_by_row(data):
    confidence, correct = top_label(*data)
    for row, right, c, y in zip(*data, confidence, correct, strict=True):
        assert c == max(row) and y == (int(np.argmax(row)) == right)
    assert top_label_ece(*data, bins=7) == ece(confidence, correct, bins=7)


@given(questions())
def test_brier_and_nll_are_their_formulas_read_literally(data):
    squares = [
        sum((p - (k == right)) ** 2 for k, p in enumerate(row))
        for row, right in zip(*data, strict=True)
    ]
    assert multiclass_brier(*data) == pytest.approx(math.fsum(squares) / len(squares))
    losses = [
        -math.log(row[right]) if row[right] else math.inf for row, right in zip(*data, strict=True)
    ]
    assert multiclass_nll(*data) == pytest.approx(math.fsum(losses) / len(losses), abs=1e-12)


def test_nll_equals_scikit_learn():
    rng = np.random.default_rng(0)
    probabilities, gold = rng.dirichlet([1, 2, 3, 4], size=50), rng.integers(0, 4, 50)
    expected = log_loss(gold, probabilities, labels=[0, 1, 2, 3])
    assert multiclass_nll(probabilities, gold) == pytest.approx(expected)


def test_brier_equals_lm_eval_where_it_is_defined():
    lm_eval_metrics = pytest.importorskip("lm_eval.api.metrics")
    rng = np.random.default_rng(0)
    probabilities, gold = rng.dirichlet([1, 2, 3, 4], size=50), rng.integers(0, 4, 50)
    expected = lm_eval_metrics.brier_score(list(zip(gold, probabilities.tolist(), strict=True)))
    assert multiclass_brier(probabilities, gold) == pytest.approx(expected)


@given(questions(options=st.just(2)))
@settings(deadline=None)
def test_two_options_are_the_two_column_metrics(data):
    second, right = np.array(data[0])[:, 1], np.array(data[1])
    assert multiclass_brier(*data) == pytest.approx(2 * brier(second, right))
    assert multiclass_nll(*data) == pytest.approx(nll(second, right))
    both = (ece(second, right) + ece(1 - second, 1 - right)) / 2
    assert classwise_ece(*data) == pytest.approx(both)


def test_classwise_ece_of_ragged_rows_by_hand():
    # Position 0: .6 (right), .5 (wrong): |.5 - .55| in one bin. Position 1: .4 (wrong), .3
    # (right): |.5 - .35|. Position 2, one row: .2 (wrong).
    probabilities, gold = [[0.6, 0.4], [0.5, 0.3, 0.2]], [0, 1]
    expected = (0.05 + 0.15 + 0.2) / 3
    assert classwise_ece(probabilities, gold, bins=1) == pytest.approx(expected)


@given(questions(), st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing(data, random):
    order = list(range(len(data[1])))
    random.shuffle(order)
    moved = [data[0][i] for i in order], [data[1][i] for i in order]
    for metric in ALL:
        assert metric(*data) == metric(*moved)


def test_perfect_and_inverted_predictors():
    perfect = [[1.0, 0.0], [0.0, 0.0, 1.0]]
    assert [metric(perfect, [0, 2]) for metric in ALL] == [0, 0, 0, 0]
    assert math.copysign(1, multiclass_nll(perfect, [0, 2])) == 1
    assert multiclass_brier(perfect, [1, 0]) == 2
    assert top_label_ece(perfect, [1, 0]) == 1
    assert multiclass_nll(perfect, [1, 0]) == math.inf


def test_first_of_equal_options_is_the_answer():
    assert top_label([[0.4, 0.2, 0.4]], [0])[1] == [1]
    assert top_label([[0.4, 0.2, 0.4]], [2])[1] == [0]


def test_a_single_question_with_a_single_option():
    assert [metric([[1.0]], [0]) for metric in ALL] == [0, 0, 0, 0]


def test_rounded_rows_are_accepted_as_they_are():
    # Three times .333 sums to .999; nothing is rescaled.
    assert top_label([[0.333, 0.333, 0.333]], [0])[0] == [0.333]


@pytest.mark.parametrize(
    ("probabilities", "gold", "words"),
    [
        ([], [], "empty: give at least one"),
        ([[0.5, 0.5]], [0, 1], r"1 rows and gold has shape \(2,\)"),
        ([[0.5, 0.5]], 0, "gold has shape"),
        ([[0.5, 0.5]], [0.0], "whole numbers"),
        ([[0.5, 0.5]], ["a"], "whole numbers"),
        ([[0.5, 0.5], []], [0, 0], "Row 1 .* is empty"),
        ([[0.5, 0.5], [0.7, 0.2]], [0, 0], "Row 1 .* does not sum to 1"),
        ([[0.5, 0.5], [1.5, -0.5]], [0, 0], r"Row 1 .* outside \[0, 1\]"),
        ([[0.5, float("nan")]], [0], r"outside \[0, 1\]"),
        ([[50, 50]], [0], r"outside \[0, 1\].*percent"),
        ([[0.5, 0.5]], [2], "no option at the position"),
        ([[0.5, 0.5]], [-1], "no option at the position"),
        ([[0.5, "x"]], [0], "Row 0 .* list of numbers"),
        ([[0.5, None]], [0], "Row 0 .* list of numbers"),
        ([0.5, 0.5], [0, 1], "Row 0 .* list of numbers"),
    ],
)
def test_bad_rows_are_refused_with_a_sentence(probabilities, gold, words):
    for metric in (top_label, *ALL):
        with pytest.raises(ValueError, match=words):
            metric(probabilities, gold)
