"""What a judge wrote is read strictly: anything that could mean two things is no verdict."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_tasks.judge.replies import (
    read_confidence,
    read_preference,
    read_rating,
    read_verdict,
)


@pytest.mark.parametrize(
    ("reply", "rating"),
    [
        ("Reason: It is short.\nRating: 4", 4),
        ("**Reason:** fine\n**Rating:** 5", 5),
        ("Rating: **3/5**", 3),
        ("rating: 2 out of 5", 2),
        ("- Rating: 1 (worst)", 1),
        ("4", 4),
        ("4/5.", 4),
        ("Rating: 4\nRating: 4", 4),
        ("Reason: Step 2 of 3 is wrong.\nRating: 2", 2),
    ],
)
def test_a_rating_in_the_asked_form_is_read(reply, rating):
    assert read_rating(reply) == rating


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "It deserves a 4.",
        "4 mistakes.",
        "-4",
        "Rating: 4.5",
        "Rating: 4,5",
        "Rating: 4-5",
        "Rating: 8/10",
        "Rating: 80%",
        "Rating: -4",
        "Rating: 0",
        "Rating: 6",
        "Rating: four",
        "Rating: a whole number from 1 (worst) to 5 (best)",
        "Rating: 3\nRating: 4",
        "Reason: good\nScore: 4",
    ],
)
def test_a_rating_that_could_mean_anything_else_is_none(reply):
    assert read_rating(reply) is None


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("Reason: same city.\nVerdict: correct\nConfidence: 90%", True),
        ("Verdict: Incorrect.", False),
        ("**Verdict:** incorrect", False),
        ("Correct", True),
        ("Verdict: correct or incorrect", None),
        ("Verdict: not correct", None),
        ("Verdict: correct, but only partly", None),
        ("Verdict: correct. No, incorrect.", None),
        ("Verdict: partially correct", None),
        ("The verdict is correct", None),
        ("Verdict: correct\nVerdict: incorrect", None),
        ("Verdict:", None),
    ],
)
def test_a_verdict_is_one_of_two_words_or_none(reply, verdict):
    assert read_verdict(reply) is verdict


@pytest.mark.parametrize(
    ("reply", "preference"),
    [
        ("Reason: longer.\nBetter answer: 1", "1"),
        ("Better answer: Answer 2", "2"),
        ("**Better answer:** Tie", "tie"),
        ("Better answer: 1, 2 or tie", None),
        ("Better answer: 1 is better than 2", None),
        ("Better answer: 1 or a tie", None),
        ("Better answer: 12", None),
        ("Better answer: neither", None),
        ("Answer 1 is worse.", None),
        ("2", "2"),
    ],
)
def test_a_preference_names_one_answer_or_a_tie(reply, preference):
    assert read_preference(reply) == preference


def test_the_stated_confidence_is_read_from_its_line_alone():
    assert read_confidence("Reason: 50% of it\nVerdict: correct\nConfidence: 85%") == 0.85
    assert read_confidence("Verdict: correct, 85% sure") is None
    assert read_confidence("Confidence: from 0% to 100%") is None


@settings(deadline=None)
@given(st.text())
def test_any_reply_gives_something_allowed_or_none(reply):
    assert read_rating(reply) in {None, 1, 2, 3, 4, 5}
    assert read_verdict(reply) in {None, True, False}
    assert read_preference(reply) in {None, "1", "2", "tie"}
