"""String grading: the normaliser and the three graders."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness_tasks.elicitation.grading import contains, exact, f1, normalize, token_f1


def squad_normalize(text: str) -> str:
    """The normalisation of the SQuAD evaluation script, from its published definition."""
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    assert normalize(normalize(text)) == normalize(text)


@given(st.text(st.characters(categories=["Ll", "Lu", "Nd"], max_codepoint=127)
               | st.sampled_from(" .,!?'\"()")))
def test_ascii_without_dashes_is_normalised_as_squad_does(text):
    if squad_normalize(text):
        assert normalize(text) == squad_normalize(text)


@given(st.text(min_size=1), st.lists(st.text(min_size=1), min_size=1))
def test_an_accepted_answer_is_correct_under_every_grader(answer, others):
    if normalize(answer):
        assert exact(answer, [*others, answer])
        assert contains(answer, [*others, answer])
        assert f1(answer, [*others, answer])


@given(st.text(), st.text())
def test_token_f1_is_symmetric_and_within_zero_and_one(one, other):
    assert token_f1(one, other) == token_f1(other, one)
    assert 0 <= token_f1(one, other) <= 1


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("The United States.", "united states"),
        ("U.S.A.", "USA"),
        ("Bogotá", "Bogota"),
        ("Guinea-Bissau", "Guinea Bissau"),
        ("Côte d’Ivoire", "Cote d'Ivoire"),
        ("STRASSE", "straße"),
    ],
)
def test_forms_of_one_name_agree(answer, gold):
    assert exact(answer, [gold])


@pytest.mark.parametrize(("answer", "gold"), [("Niger", "Nigeria"), ("", "Paris"), ("A", "B")])
def test_different_names_do_not_agree(answer, gold):
    assert not exact(answer, [gold])
    assert not contains(answer, [gold])


def test_an_answer_that_is_only_an_article_survives():
    assert normalize("A") == "a"
    assert normalize("The") == "the"


def test_contains_finds_whole_words_only():
    assert contains("The capital of France is Paris.", ["Paris"])
    assert not contains("Parisian", ["Paris"])
    assert not exact("The capital of France is Paris.", ["Paris"])


def test_token_f1_of_a_worked_example():
    # Two of three predicted words are among the two expected: P = 2/3, R = 1, F1 = 0.8.
    assert token_f1("New York City", "York New") == pytest.approx(0.8)
