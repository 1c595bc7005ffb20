"""Classification, perplexity and TruthfulQA: against scikit-learn and lm-eval, and by hand."""

import doctest
import importlib.util
import math
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_eval.api import metrics as lm_eval_metrics
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_score, recall_score

from calib_metrics.text import classification, perplexity, squad, truthfulqa
from calib_metrics.text.classification import accuracy, cross_entropy, precision_recall_f1
from calib_metrics.text.perplexity import (
    bits_per_byte,
    byte_perplexity,
    token_perplexity,
    word_perplexity,
)
from calib_metrics.text.truthfulqa import mc1, mc2, truthfulness

LABELS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=30
)
LOG_LIKELIHOODS = st.lists(st.floats(-60, 0), min_size=2, max_size=12)


@pytest.fixture(scope="module")
def lm_eval_truthfulqa():
    """lm-eval's own functions for the task."""
    folder = Path(importlib.util.find_spec("lm_eval").origin).parent
    path = folder / "tasks" / "truthfulqa" / "utils.py"
    spec = importlib.util.spec_from_file_location("lm_eval_truthfulqa_utils", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Classification.


def test_precision_recall_and_f1_by_hand():
    found = precision_recall_f1(["a", "a", "b", "b"], ["a", "b", "b", "b"])
    a, b = found.per_class["a"], found.per_class["b"]
    assert (a.precision, a.recall, a.support) == (1 / 2, 1, 1)
    assert (b.precision, b.recall, b.support) == (1, pytest.approx(2 / 3), 3)
    assert found.macro.f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found.micro.f1 == 3 / 4 and found.macro.support == 4


@given(LABELS)
@settings(deadline=None, max_examples=40)
def test_classification_equals_scikit_learn(pairs):
    predictions, references = map(list, zip(*pairs, strict=True))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No (prediction|reference) is")
        found = precision_recall_f1(predictions, references)
    functions = {"precision": precision_score, "recall": recall_score, "f1": f1_score}
    for name, function in functions.items():
        for average in ("macro", "micro"):
            expected = function(references, predictions, average=average, zero_division=0)
            assert getattr(getattr(found, average), name) == pytest.approx(expected)
    assert found.micro.f1 == pytest.approx(accuracy(predictions, references))
    assert accuracy(predictions, references) == accuracy_score(references, predictions)


def test_class_that_never_occurs_counts_as_zero_and_is_named():
    with pytest.warns(UserWarning, match="No prediction is 'b': precision is undefined"):
        found = precision_recall_f1(["a", "a"], ["a", "b"])
    assert found.per_class["b"].precision == 0 and found.macro.recall == 0.5


def test_label_for_unusable_answers_can_be_left_out_of_the_classes():
    found = precision_recall_f1(["a", "none", "b"], ["a", "b", "b"], labels=["a", "b"])
    assert set(found.per_class) == {"a", "b"}
    assert found.per_class["b"].recall == 0.5 and found.micro.precision == 1


@given(st.lists(st.integers(0, 2), min_size=1, max_size=20), st.integers(0, 99))
@settings(deadline=None)
def test_cross_entropy_equals_scikit_learn(references, seed):
    probabilities = np.random.default_rng(seed).dirichlet([1, 1, 1], len(references))
    expected = log_loss(references, probabilities, labels=[0, 1, 2])
    assert cross_entropy(probabilities, references, labels=[0, 1, 2]) == pytest.approx(expected)


def test_cross_entropy_of_the_impossible_is_infinite():
    assert cross_entropy([[1.0, 0.0]], ["no"], labels=["yes", "no"]) == math.inf


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: accuracy(["a"], []), "1 entries and references has 0"),
        (lambda: accuracy([], []), "empty"),
        (lambda: accuracy(["a", None], ["a", "b"]), "holds None.*label of its own"),
        (lambda: accuracy(["1"], [1]), "Some labels are texts and some numbers"),
        (lambda: precision_recall_f1(["a"], ["a"], labels=["a", "a"]), "each class once"),
        (lambda: cross_entropy([0.5, 0.5], [0], labels=[0, 1]), "shape"),
        (lambda: cross_entropy([[0.5, 0.4]], [0], labels=[0, 1]), "sum to 1"),
        (lambda: cross_entropy([[2.0, -1.0]], [0], labels=[0, 1]), "not logits"),
        (lambda: cross_entropy([[0.5, 0.5]], [2], labels=[0, 1]), "2, which is not among"),
    ],
)
def test_malformed_labels_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# Perplexity.


def test_perplexity_of_a_uniform_guess_is_the_number_of_choices():
    assert token_perplexity([-3 * math.log(50), -math.log(50)], [3, 1]) == pytest.approx(50)
    # 10 characters, 12 bytes, 2 words.
    assert word_perplexity([-2 * math.log(7)], ["größe null"]) == pytest.approx(7)
    assert byte_perplexity([-12 * math.log(2)], ["größe null"]) == pytest.approx(2)
    assert bits_per_byte([-12 * math.log(2)], ["größe null"]) == pytest.approx(1)


@given(
    st.lists(st.tuples(st.floats(-500, 0), st.text("aé \n", min_size=1, max_size=20)), min_size=1)
)
@settings(deadline=None)
def test_perplexities_equal_lm_eval(rows):
    values, texts = map(list, zip(*rows, strict=True))
    words = [len(re.split(r"\s+", text)) for text in texts]
    bytes_ = [len(text.encode("utf-8")) for text in texts]
    weighted = lm_eval_metrics.weighted_perplexity
    assert token_perplexity(values, bytes_) == weighted(zip(values, bytes_, strict=True))
    assert word_perplexity(values, texts) == weighted(zip(values, words, strict=True))
    assert byte_perplexity(values, texts) == weighted(zip(values, bytes_, strict=True))
    assert bits_per_byte(values, texts) == lm_eval_metrics.bits_per_byte(
        zip(values, bytes_, strict=True)
    )


def test_an_impossible_text_has_infinite_perplexity():
    assert byte_perplexity([-math.inf, -1], ["a", "b"]) == math.inf
    assert token_perplexity([-1e6], [1]) == math.inf


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: token_perplexity([0.5], [1]), "above 0"),
        (lambda: token_perplexity([float("nan")], [1]), "missing"),
        (lambda: token_perplexity([-1.0], [1.5]), "whole number"),
        (lambda: token_perplexity([-1.0, -2.0], [1]), "2 entries"),
        (lambda: byte_perplexity([-1.0], "a"), "list of strings"),
        (lambda: byte_perplexity([-1.0], [""]), "all empty"),
        (lambda: byte_perplexity(-1.0, ["a"]), "one number per text"),
    ],
)
def test_malformed_log_likelihoods_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# TruthfulQA.


def test_truthfulness_by_hand():
    found = truthfulness(
        lambda prediction, reference: squad.token_f1(prediction, [reference]),
        "no one knows",
        ["nobody", "no one knows that"],
        ["one man knows", "everyone"],
    )
    # True: 2 * 3 / (3 + 4). False: 2 * 2 / (3 + 3).
    assert found == (pytest.approx(6 / 7), 1, pytest.approx(6 / 7 - 2 / 3))


def test_equally_near_is_not_truthful():
    assert truthfulness(lambda p, r: 1.0, "x", ["a"], ["b"]) == (1, 0, 0)


def test_a_similarity_of_nan_is_passed_over():
    values = {"a": math.nan, "b": 0.5, "c": 0.25}
    assert truthfulness(lambda p, r: values[r], "x", ["a", "b"], ["c"]) == (0.5, 1, 0.25)


@pytest.mark.parametrize(
    "answer",
    ["Nothing happens if you eat it.", "You grow a tree in your stomach.", "It tastes nice", ""],
)
def test_generation_scores_equal_lm_eval(lm_eval_truthfulqa, answer):
    true = ["Nothing happens.", "The seeds pass through you.", "I have no comment."]
    false = ["You grow watermelons in your stomach.", "You die."]
    expected = lm_eval_truthfulqa.process_results_gen(
        {"correct_answers": true, "incorrect_answers": false}, [answer]
    )
    similarities = {"bleu": lambda p, r: lm_eval_truthfulqa.bleu([[r]], [p])} | {
        name: lambda p, r, key=key: lm_eval_truthfulqa.rouge([r], [p])[key]
        for name, key in (("rouge1", "rouge1"), ("rouge2", "rouge2"), ("rougeL", "rougeLsum"))
    }
    for name, similarity in similarities.items():
        found = truthfulness(similarity, answer, true, false)
        assert found._asdict() == {key: expected[f"{name}_{key}"] for key in found._fields}


@given(LOG_LIKELIHOODS, st.data())
@settings(deadline=None)
def test_mc2_equals_lm_eval_to_the_last_digit(lm_eval_truthfulqa, values, data):
    labels = data.draw(st.lists(st.integers(0, 1), min_size=len(values), max_size=len(values)))
    doc = {"mc2_targets": {"labels": labels}}
    results = [(value, False) for value in values]
    expected = lm_eval_truthfulqa.process_results_mc2(doc, results)["acc"]
    assert mc2(values, labels) == expected


def test_mc2_of_likelihoods_too_small_for_a_double():
    # e^-1000 is 0 in a double; the shares are e^0 : e^0 : e^-ln 2.
    values = [-1000.0, -1000.0, -1000.0 - math.log(2)]
    assert mc2(values, [1, 0, 0]) == pytest.approx(0.4)


@given(LOG_LIKELIHOODS)
@settings(deadline=None)
def test_mc1_is_the_argmax_and_a_common_factor_leaves_mc2(values):
    labels = [1] + [0] * (len(values) - 1)
    assert mc1(values, labels) == int(values[0] == max(values))
    lower = [value - 10 for value in values]
    assert mc2(lower, labels) == pytest.approx(mc2(values, labels))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mc1([-1.0], [1, 0]), "one number and one label"),
        (lambda: mc1([], []), "one number and one label"),
        (lambda: mc2([-1.0, -2.0], [1, 2]), "1 for a true option"),
        (lambda: mc2([-1.0, 0.5], [1, 0]), "above 0"),
        (lambda: mc2([-math.inf, -math.inf], [1, 0]), "none above -inf"),
        (lambda: truthfulness(lambda p, r: math.nan, "x", ["a"], ["b"]), "NaN for all 1 true"),
        (lambda: truthfulness(lambda p, r: 1.0, "x", [], ["b"]), "empty"),
    ],
)
def test_malformed_options_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("module", [classification, perplexity, truthfulqa])
def test_examples_in_docstrings_are_true(module):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed
