"""SQuAD scores: hand-worked, and thresholds against trying every cut."""

import doctest
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib_metrics.text import squad as squad_module
from calib_metrics.text.squad import exact_match, normalize_answer, squad, squad_v2, token_f1

TEXT = st.sampled_from(["", "the", "Paris", "Paris, France", "a dog", "dog", "42.", "big dog"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Eiffel Tower!", "eiffel tower"),
        ("  an\tapple a  day ", "apple day"),
        ("theatre another", "theatre another"),
        ("well-known", "wellknown"),
        ("The", ""),
        ("«Été»", "«été»"),
    ],
)
def test_normalization(text, expected):
    assert normalize_answer(text) == expected


def test_exact_match_and_f1_take_the_best_reference():
    assert exact_match("The Eiffel Tower.", ["Paris", "eiffel tower"]) == 1
    assert exact_match("Eiffel", ["Paris", "eiffel tower"]) == 0
    # Precision 1, recall 1/2.
    assert token_f1("Eiffel", ["Paris", "eiffel tower"]) == pytest.approx(2 / 3)


def test_repeated_words_count_as_often_as_both_have_them():
    # Two "no" in common, of 3 predicted and 2 expected: P 2/3, R 1.
    assert token_f1("no no no", ["no no"]) == pytest.approx(0.8)


def test_an_answer_of_nothing_but_articles():
    assert token_f1("the", ["a"]) == 1 and token_f1("the", ["dog"]) == 0
    # The script of 1.1 gives such an answer F1 0, even where it matches exactly.
    assert squad(["the"], [["a"]]) == {"exact_match": 100.0, "f1": 0.0}


def test_squad_is_the_mean_in_percent():
    references = [["the Eiffel Tower"], ["Paris"], ["Eiffel Tower"]]
    found = squad(["Eiffel Tower", "Rome", "Eiffel"], references)
    assert found == {
        "exact_match": pytest.approx(100 / 3),
        "f1": pytest.approx(100 * (1 + 0 + 2 / 3) / 3),
    }


def test_squad_v2_by_hand():
    predictions = ["Denver Broncos", "Broncos", "a guess", ""]
    references = [["Denver Broncos"], ["Denver Broncos"], [], []]
    # Right, F1 2/3, wrongly answered, rightly withheld.
    assert squad_v2(predictions, references) == {
        "exact": pytest.approx(50.0),
        "f1": pytest.approx(100 * (1 + 2 / 3 + 0 + 1) / 4),
        "total": 4,
        "HasAns_exact": 50.0,
        "HasAns_f1": pytest.approx(100 * (5 / 3) / 2),
        "HasAns_total": 2,
        "NoAns_exact": 50.0,
        "NoAns_f1": 50.0,
        "NoAns_total": 2,
    }


def test_best_threshold_by_hand():
    predictions = ["right", "wrong", "a guess", "right"]
    references = [["right"], ["gold"], [], ["right"]]
    found = squad_v2(predictions, references, [0.1, 0.4, 0.9, 0.2])
    # By probability: right, right, wrong, guess. Withholding all: 1 of 4. Answering one: 2, two:
    # 3, three: 3, all four: 2. The lowest threshold that gives 3 is .2.
    assert (found["best_exact"], found["best_exact_thresh"]) == (75.0, 0.2)
    assert (found["best_f1"], found["best_f1_thresh"]) == (75.0, 0.2)
    assert found["exact"] == 50.0  # the default threshold, 1, withholds nothing


def test_probabilities_above_the_threshold_withhold_the_answer():
    predictions, references = ["right", "a guess", "right"], [["right"], [], ["right"]]
    found = squad_v2(predictions, references, [0.5, 0.9, 0.6], no_answer_threshold=0.5)
    # Answered, rightly withheld, wrongly withheld.
    assert found["exact"] == pytest.approx(200 / 3)
    assert found["HasAns_exact"] == 50 and found["NoAns_exact"] == 100


def test_abstaining_does_not_match_a_reference_of_nothing_but_articles():
    assert squad_v2([""], [["the", "dog"]])["exact"] == 0
    # Where there is no other reference, the official script takes it for "".
    assert squad_v2([""], [["the"]])["HasAns_exact"] == 100


def test_groups_without_questions_are_left_out():
    assert "NoAns_exact" not in squad_v2(["a"], [["a"]])
    assert "HasAns_exact" not in squad_v2([""], [[]])
    assert "best_exact" not in squad_v2(["a"], [["a"]])


def test_example_in_the_documentation_of_evaluate():
    found = squad_v2(["1976"], [["1976"]], [0.0])
    assert found == {
        "exact": 100.0, "f1": 100.0, "total": 1,
        "HasAns_exact": 100.0, "HasAns_f1": 100.0, "HasAns_total": 1,
        "best_exact": 100.0, "best_exact_thresh": 0.0, "best_f1": 100.0, "best_f1_thresh": 0.0,
    }  # fmt: skip


def test_a_best_score_that_no_threshold_attains_is_reported_as_such():
    # Official: 0 answered 1/2, the first 2/2, both 1/2. But both have probability 0.3.
    with (
        pytest.warns(UserWarning, match="best_exact is not attainable.*of 0.3"),
        pytest.warns(UserWarning, match="best_f1 is not attainable.*of 0.3"),
    ):
        found = squad_v2(["right", "a guess"], [["right"], []], [0.3, 0.3])
    assert found["best_exact"] == 100


# Without "the", which the script counts as an answer when it looks for the threshold, and as none
# when it scores.
@given(
    st.lists(
        st.tuples(TEXT.filter(lambda text: text != "the"), st.lists(TEXT, max_size=2)),
        min_size=1,
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_best_scores_are_those_of_the_best_threshold(rows, random):
    predictions, references = map(list, zip(*rows, strict=True))
    probabilities = [(k + 1) / 10 for k in range(len(rows))]  # all distinct
    random.shuffle(probabilities)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = squad_v2(predictions, references, probabilities)
    for name in ("exact", "f1"):
        scores = {
            threshold: squad_v2(
                predictions, references, probabilities, no_answer_threshold=threshold
            )[name]
            for threshold in [0.0, *probabilities]
        }
        assert found[f"best_{name}"] == pytest.approx(max(scores.values()))
        assert scores[found[f"best_{name}_thresh"]] == pytest.approx(found[f"best_{name}"])


@given(TEXT, st.lists(TEXT, min_size=1, max_size=3))
@settings(deadline=None)
def test_bounds_and_order(prediction, references):
    exact, f1 = exact_match(prediction, references), token_f1(prediction, references)
    assert exact in (0, 1) and exact <= f1 <= 1
    assert token_f1(prediction, references[::-1]) == f1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: squad(["a"], [[]]), r"references\[0\] is empty"),
        (lambda: squad_v2(["a"], ["a"]), "give a list of strings"),
        (lambda: squad_v2(["a"], [["a"]], [1.5]), r"outside the range \[0, 1\]"),
        (lambda: squad_v2(["a"], [["a"]], [None]), "missing"),
        (lambda: squad_v2(["a"], [["a"]], [0.1, 0.2]), "2 entries"),
        (lambda: squad_v2(["a"], [["a"]], 0.1), "list of one number"),
        (lambda: token_f1("a", "a"), "single string|list of strings"),
    ],
)
def test_malformed_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_percentages_are_of_all_questions():
    rng = np.random.default_rng(0)
    hits = rng.random(40) < 0.3
    found = squad_v2(["x" if hit else "y" for hit in hits], [["x"]] * 40)
    assert found["exact"] == pytest.approx(100 * hits.mean())


def test_examples_in_docstrings_are_true():
    found = doctest.testmod(squad_module)
    assert found.attempted and not found.failed
