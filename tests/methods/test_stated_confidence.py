"""The grammar of a stated probability: what is read, what is refused, and what never happens.

The properties run on as many examples as the environment's CALIBENCH_EXAMPLES says, else a hundred.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness_tasks.elicitation.methods.stated import COMPLEMENT, parse_probability
from harness_tasks.elicitation.methods.stated_values import ENDLESS, MIDDLE, TOLERANCE
from harness_tasks.elicitation.methods.stated_words import (
    BOUNDS,
    KNOWN,
    LABELS,
    NEGATIONS,
    REASONS,
    WRONG,
)


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        (" 85%", 0.85),
        ("85 percent", 0.85),
        ("85 per cent", 0.85),
        ("85", 0.85),
        ("0.85", 0.85),
        (".85", 0.85),
        ("1.0", 1.0),
        ("1%", 0.01),
        ("0", 0.0),
        ("100%.", 1.0),
        ("0.5%", 0.005),
        ("99,9%", 0.999),
        ("0,85", 0.85),
        ("９０％", 0.9),
        ("٩٠٪", 0.9),
        ("९०%", 0.9),
        ("%90", 0.9),
        ("8/10", 0.8),
        ("9 out of 10", 0.9),
        ("nine out of ten", 0.9),
        ("95 out of 100", 0.95),
        ("a 9 in 10 chance", 0.9),
        ("90% (out of 100)", 0.9),
        ("50/50", 0.5),
        ("fifty-fifty", 0.5),
        ("ninety percent", 0.9),
        ("ninety-five percent", 0.95),
        ("one hundred percent", 1.0),
        ("P = .9", 0.9),
        ("P(correct) = 0.9", 0.9),
        ("about 90%", 0.9),
        ("~90 %", 0.9),
        ("≈90%", 0.9),
        ("**90%**", 0.9),
        ("__Confidence:__ 90%", 0.9),
        ("\\boxed{90}", 0.9),
        ("$\\boxed{90\\%}$", 0.9),
        ("<confidence>90</confidence>", 0.9),
        ('{"confidence": 90}', 0.9),
        ('```json\n{"answer": "7", "confidence": "0.9"}\n```', 0.9),
        ("Confidence: 85", 0.85),
        ("Confidence\n\n85%", 0.85),
        ("Confidence (0-100): 85", 0.85),
        ("Yes, 90%", 0.9),
        ("I am 99.9% sure.", 0.999),
        ("I'm 95% confident that Paris is the capital of France.", 0.95),
        ("The probability that Paris is the capital of France is 90%.", 0.9),
        ("The answer is 100% correct.", 1.0),
        ("85%\n\nReason: Paris is the capital of France.", 0.85),
        ("90% because the city is well known", 0.9),
        ("The probability is 70%, so 70%.", 0.7),
        ("0.9 (90%)", 0.9),
        ("from 0% to 100%: 85%", 0.85),
        ("0.999... (100%)", 1.0),
        ("How likely is it that the proposed answer is correct, from 0% to 100%? 85%", 0.85),
    ],
)
def test_a_stated_probability_is_read_as_it_was_written(text, confidence):
    reading = parse_probability(text)
    assert reading.confidence == pytest.approx(confidence, abs=1e-12)
    assert reading.extra is None


@pytest.mark.parametrize(
    ("text", "confidence", "note"),
    [
        ("60-70%", 0.65, MIDDLE),
        ("60–70%", 0.65, MIDDLE),
        ("60% to 70%", 0.65, MIDDLE),
        ("between 60 and 70%", 0.65, MIDDLE),
        ("from 60 to 70 percent", 0.65, MIDDLE),
        ("95%-99%", 0.97, MIDDLE),
        ("0.6-0.7", 0.65, MIDDLE),
        ("in the range of 60 - 70%", 0.65, MIDDLE),
        ("90 ± 5%", 0.9, TOLERANCE),
        ("90% +/- 5", 0.9, TOLERANCE),
        ("90% (plus or minus 5%)", 0.9, TOLERANCE),
        ("0.9999...", 0.9999, ENDLESS),
        ("10% chance of being wrong", 0.9, COMPLEMENT),
        ("There is a 10% chance that the answer is incorrect.", 0.9, COMPLEMENT),
        ("90% sure that it is false", 0.1, COMPLEMENT),
    ],
)
def test_what_is_not_read_literally_is_read_with_a_note(text, confidence, note):
    reading = parse_probability(text)
    assert reading.confidence == pytest.approx(confidence, abs=1e-12)
    assert reading.extra == {"note": note}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no number"),
        ("very sure", "no number"),
        ("How likely is it, from 0% to 100%?", "no number"),
        ("90%?", "no number"),
        ("from 0% to 100%", "only the scale"),
        ("60% and 70%", "several numbers"),
        ("60 70", "several numbers"),
        ("1 000", "several numbers"),
        ("85%. Or 90%.", "several numbers"),
        ("60%, 70%", "several numbers"),
        ("0.999... (90%)", "several numbers"),
        ("150%", "out of range"),
        ("1,000", "out of range"),
        ("-5%", "out of range"),
        ("−5%", "out of range"),
        ("3/0", "out of range"),
        (">90%", "a bound"),
        ("≥ 90%", "a bound"),
        ("&gt;90%", "a bound"),
        ("at least 90%", "a bound"),
        ("at least\n90%", "a bound"),
        ("90% or more", "a bound"),
        ("90+", "a bound"),
        ("almost 100%", "a bound"),
        ("not 100%", "a denial"),
        ("It isn’t 90%", "a denial"),
        ("90% incorrect", "a denial"),
        ("90%. No, it is wrong.", "a denial"),
        ("Incorrect (90%)", "a denial"),
        ("70-60%", "the wrong way round"),
        ("1-10", "without a percent sign"),
        ("12/25/2024", "a date"),
        ("2024-12-25", "a date"),
        ("9/11", "a date"),
        ("12:30", "a time"),
        ("8 of 10", "another whole"),
        ("Rating: 4", "about something else"),
        ("1e2", "not read"),
        ("1.2.3", "not read"),
        ("99,999.5.1%", "not read"),
        ("85th", "in a word"),
        ("B12%", "not understood"),
        ("sure.90%", "not understood"),
        ("1_000", "in a word"),
        ("0.9...", "not understood"),
        ("$90", "not understood"),
        ("90°", "not understood"),
        ("90% uncertain", "not understood"),
        ("The population is 90% rural", "not understood"),
        ("To determine the probability of a number being 100% correct,", "not understood"),
        ("the probability of it being 100% correct", "'being' before"),
        ("90% of people say so", "'of' behind"),
        ("The answer is 42", "about something else"),
        ("It is 85", "about something else"),
        ("The answer is 90%", "the answer itself"),
        ("1", "certainty"),
        ("9.5", "rating"),
        ("Confidence: 1.01", "rating"),
        ("P = 1", "certainty"),
        ("Confidence: 1", "certainty"),
        ("Probability (0 to 1): 1", "certainty"),
        ("90% or", "breaks off"),
        ("The probability is 90% and the", "breaks off"),
        ("Probability = 1 - 0.01 = 99.99", "without a percent sign"),
        ('{"confidence": null}', "no number"),
        ('{"confidence": 90, "probability": 80}', "no number under one name"),
        ("<think>90%", "not understood"),
    ],
)
def test_what_is_not_understood_is_missing_with_its_reason(text, reason):
    reading = parse_probability(text)
    assert reading.confidence is None
    assert reason in reading.reason


# Numbers as they can be written, with the probability that each states.
@st.composite
def numbers(draw):
    percent = draw(st.integers(0, 100))
    forms = ["{}%", "{} %", "{} percent", "{}/100", "{} out of 100", "**{}%**"]
    form = draw(st.sampled_from(forms))
    return form.format(percent), percent / 100


WORDS = sorted(KNOWN | BOUNDS | LABELS | NEGATIONS | REASONS | WRONG) + [
    "risk", "half", "twice", "than", "doubt", "unlikely", "if", "people", "Paris", "isn't", "ever",
]  # fmt: skip
LETTERS = st.text(st.characters(categories=["L"]), min_size=1, max_size=8)
MARKS = st.sampled_from(list(" \n.,;:!?()-–=~*_\"'`>") + ["\n\n", " - ", "...", "**", ": "])
PHRASES = st.lists(st.tuples(st.one_of(st.sampled_from(WORDS), LETTERS), MARKS), max_size=6).map(
    lambda pairs: "".join(word + (mark if mark.strip() else " " + mark) for word, mark in pairs)
)


@given(PHRASES, numbers(), PHRASES)
def test_words_around_a_number_never_make_it_another_number(before, number, after):
    written, value = number
    confidence = parse_probability(f"{before} {written} {after}").confidence
    allowed = [value]
    if any(word in after.casefold() for word in WRONG):
        allowed.append(1 - value)
    assert confidence is None or any(confidence == pytest.approx(v, abs=1e-9) for v in allowed)


@given(st.text())
def test_any_text_gives_a_probability_or_a_reason(text):
    reading = parse_probability(text)
    assert (reading.confidence is None) == (reading.reason is not None)
    assert reading.confidence is None or 0 <= reading.confidence <= 1


PIECES = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from("%/-–±~>+:=().,?!\n$*_'\"{}<&\\½²٪％−e"),
    st.sampled_from("50 0 1 100 0.5 .5 1,000 99,9 1.0 2024 ５０ ٥".split()),
    st.sampled_from("fifty hundred one ninety out of between and to per".split()),
)


@given(st.lists(PIECES, max_size=12), st.sampled_from(["", " "]))
def test_any_run_of_the_grammars_own_pieces_gives_a_probability_or_a_reason(pieces, joint):
    reading = parse_probability(joint.join(pieces))
    assert (reading.confidence is None) == (reading.reason is not None)
    assert reading.confidence is None or 0 <= reading.confidence <= 1


@given(
    st.one_of(PHRASES, st.lists(PIECES, max_size=8).map(" ".join)),
    st.sampled_from([" {} ", "\n{}\n", "\n\n  {}", "**{}**", "`{}`", '"{}"', "\u200b{}", "{}\r\n"]),
)
def test_space_and_markdown_around_a_reply_change_nothing(text, dress):
    text = text.strip()
    plain, dressed = parse_probability(text), parse_probability(dress.format(text))
    assert dressed.confidence == plain.confidence


@given(st.integers(0, 1000))
def test_every_percentage_is_read_back(tenths):
    for written in (f"{tenths / 10}%", f"{tenths / 10:g} percent", f"Confidence: {tenths / 10}%"):
        assert parse_probability(written).confidence == pytest.approx(tenths / 1000)


@given(st.integers(0, 100), st.integers(0, 100), st.sampled_from(["{}-{}%", "{}% to {}%"]))
def test_a_range_is_its_middle_and_nothing_else(low, high, form):
    reading = parse_probability(form.format(low, high))
    if low > high or (low <= 1 and high == 100):
        assert reading.confidence is None
    else:
        assert reading.confidence == pytest.approx((low + high) / 200)


@given(st.integers(0, 100), st.integers(0, 100), st.sampled_from([", ", " or ", ". ", " and "]))
def test_two_numbers_are_read_only_if_they_are_the_same(one, other, joint):
    confidence = parse_probability(f"{one}%{joint}{other}%").confidence
    assert confidence == (pytest.approx(one / 100) if one == other else None)


def test_a_reply_of_any_length_is_parsed():
    assert parse_probability("9" * 5000).confidence is None
    assert parse_probability("(" * 5000 + "90%").confidence == 0.9
    assert parse_probability("{" * 5000).confidence is None
