"""Reading what models write: likelihood terms, guesses, yes and no. Nothing is ever guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness_tasks.elicitation.methods.replies import (
    LIKELIHOOD_TERMS,
    parse_guesses,
    parse_likelihood_term,
)
from harness_tasks.elicitation.methods.stated import parse_probability
from harness_tasks.elicitation.methods.yes_no import parse_yes_no
from harness_tasks.elicitation.prompts import LINGUISTIC, WORDINGS


# Middles of the ranges in Intelligence Community Directive 203 (2015).
@pytest.mark.parametrize(
    ("reply", "confidence"),
    [
        ("Almost certain.", 0.97),
        (" very likely", 0.875),
        ("It is likely that the answer is correct.", 0.675),
        ("Roughly even chance", 0.5),
        ("unlikely", 0.325),
        ("VERY\nUNLIKELY", 0.125),
        ("almost no chance", 0.03),
        ("Highly improbable", 0.125),
        ("Probably; likely, I would say", 0.675),
        ("**Very likely**, because Lyon is smaller", 0.875),
        ("Likelihood: almost certain", 0.97),
    ],
)
def test_a_likelihood_term_is_the_middle_of_its_range(reply, confidence):
    assert parse_likelihood_term(reply).confidence == pytest.approx(confidence)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "no likelihood term"),
        ("The answer is correct.", "no likelihood term"),
        ("certain", "no likelihood term"),
        ("an unlikelihood", "no likelihood term"),
        ("likely or unlikely", "several"),
        ("not likely", "modified"),
        ("It isn\u2019t very likely", "modified"),
        ("not at all likely", "modified"),
        ("extremely unlikely", "modified"),
        ("more likely than not", "modified"),
        ("likely wrong", "modified"),
        ("likely to be wrong", "modified"),
        ("It is likely that the answer is wrong.", "modified"),
        ("I do not think that it is likely", "modified"),
        ("Not even likely.", "modified"),
        ("more than likely", "modified"),
        ("far from likely", "modified"),
        ("highly likely", "modified"),
        ("unlikely to be incorrect", "modified"),
        ("Likely? No.", "modified"),
        ("Is it likely?", "no likelihood term"),
        (LINGUISTIC, "several"),
    ],
)
def test_a_term_that_is_not_on_the_scale_is_missing_with_a_reason(reply, reason):
    reading = parse_likelihood_term(reply)
    assert reading.confidence is None
    assert reason in reading.reason


@given(st.text(), st.sampled_from(sorted(LIKELIHOOD_TERMS)), st.text())
def test_any_reply_gives_a_value_of_the_scale_or_a_reason(before, term, after):
    reading = parse_likelihood_term(before + term + after)
    assert (reading.confidence is None) == (reading.reason is not None)
    assert reading.confidence is None or reading.confidence in LIKELIHOOD_TERMS.values()


def test_the_prompt_offers_one_term_for_every_value_of_the_scale():
    offered = LINGUISTIC.split("one of: ")[1].rstrip(".").split(", ")
    assert {LIKELIHOOD_TERMS[term] for term in offered} == set(LIKELIHOOD_TERMS.values())
    assert len(offered) == len(set(LIKELIHOOD_TERMS.values()))


def test_guesses_are_read_with_their_probabilities():
    reply = "G1: Paris\nP1: 60%\n\nG2: Lyon\nP2: 0.3\nG3: Nice\nG4:\nP4: 5%"
    assert parse_guesses(reply) == [("Paris", "60%"), ("Lyon", "0.3"), ("Nice", None)]


def test_of_a_repeated_guess_the_first_counts():
    assert parse_guesses("G1:G1: Paris\nP1: 60%\nG1: Rome\nP1: 10%") == [("Paris", "60%")]


@given(st.text(), st.lists(st.sampled_from(["G1:", "P1:", "g 2 :", "\n", "50%"])), st.text())
def test_any_text_gives_a_list_of_guesses_that_are_not_empty(before, middle, after):
    for guess, stated in parse_guesses(before + "".join(middle) + after):
        assert guess.strip() and "\n" not in guess
        assert stated is None or stated.strip()


WORD = st.text(st.characters(categories=["L"]), min_size=1, max_size=12)


@given(st.lists(st.tuples(WORD, st.integers(0, 100)), min_size=1, max_size=9))
def test_guesses_written_as_asked_are_read_back(guesses):
    lines = [f"G{i}: {word}\nP{i}: {p}%" for i, (word, p) in enumerate(guesses, start=1)]
    read = parse_guesses("\n".join(lines))
    assert [guess for guess, _ in read] == [word for word, _ in guesses]
    for (_, stated), (_, percent) in zip(read, guesses, strict=True):
        assert parse_probability(stated).confidence == pytest.approx(percent / 100)


@pytest.mark.parametrize(
    ("reply", "wording", "said"),
    [
        (" Yes", "yes_no", True),
        ("**No**, it is not", "yes_no", False),
        ("NO.", "yes_no", False),
        ("Not sure", "yes_no", None),
        ("Yesterday", "yes_no", None),
        ("", "yes_no", None),
        ("I would say yes", "yes_no", None),
        ("(ii)", "roman_choice", True),
        ("(i): no", "roman_choice", False),
        ("ii", "roman_choice", True),
        ("yes", "roman_choice", None),
    ],
)
def test_a_reply_says_yes_or_no_only_with_its_first_word(reply, wording, said):
    assert parse_yes_no(reply, WORDINGS[wording]) is said


@given(st.text(), st.sampled_from(sorted(WORDINGS)))
def test_any_reply_is_yes_no_or_neither(reply, wording):
    assert parse_yes_no(reply, WORDINGS[wording]) in (True, False, None)


@given(st.integers(10, 5000))
def test_a_number_of_any_length_is_read_or_refused(digits):
    reading = parse_probability(f"1/{'9' * digits} and {'9' * digits}")
    assert (reading.confidence is None) == (reading.reason is not None)
