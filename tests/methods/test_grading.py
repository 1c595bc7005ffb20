"""String grading: what counts as the same answer, judged by pairs that people judged first."""

import json
import string
import unicodedata
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from harness_tasks.elicitation import numerals
from harness_tasks.elicitation.grading import GRADERS, contains, exact, f1, same, token_f1, words
from harness_tasks.elicitation.official import triviaqa_normalize

PAIRS = Path(__file__).parents[1] / "data" / "graded_pairs.jsonl"
# What no rule about characters can know: other names and languages, and what a reader must guess.
BEYOND = {
    ("1.500 Einwohner", "1500 Einwohner"), ("sieben", "7"), ("三", "3"), ("New Man", "Newman"),
    ("München", "Muenchen"), ("Королёв", "Королев"), ("مُحَمَّد", "محمد"), ("שָׁלוֹם", "שלום"),
}  # fmt: skip


def pairs():
    return [json.loads(line) for line in PAIRS.open(encoding="utf-8")]


@pytest.mark.parametrize("kind", sorted({pair["kind"] for pair in pairs()}))
def test_pairs_are_graded_as_people_grade_them(kind):
    for pair in pairs():
        if pair["kind"] != kind or kind == "other names of one thing":
            continue
        if (pair["answer"], pair["gold"]) not in BEYOND:
            verdict = GRADERS[pair["rule"]](pair["answer"], [pair["gold"]])
            assert verdict == pair["same"], pair


def test_agreement_with_people_on_all_pairs_is_far_above_that_of_squad():
    judged = [pair["same"] for pair in pairs()]
    kappa = {
        name: cohen_kappa_score(judged, [grade(pair) for pair in pairs()])
        for name, grade in {
            "ours": lambda pair: GRADERS[pair["rule"]](pair["answer"], [pair["gold"]]),
            "squad": lambda pair: GRADERS["squad"](pair["answer"], [pair["gold"]]),
        }.items()
    }
    assert kappa["ours"] > 0.9 > 0.5 > kappa["squad"]


def test_there_are_at_least_300_pairs_without_repetition():
    found = [(pair["rule"], pair["answer"], pair["gold"]) for pair in pairs()]
    assert len(found) == len(set(found)) >= 300


# ------------------------------------------------------------------------------------ properties

ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f"
SCRIPTS = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    string.printable + "½²₂′″°♭#€£−–’“”かがはばИЙйकिकीकि北京東都是กิ서울ŁłıİßΣςάأبָ٣३Ａｶﾞﬁ①"
)
TEXTS = st.text(SCRIPTS, max_size=24)
DECIMALS = st.decimals(-(10**9), 10**9, allow_nan=False, places=3)


def visible(text):
    return bool(words(text))


@given(TEXTS)
def test_a_text_is_the_same_as_itself_and_no_text_as_nothing(text):
    assert same(text, text) == visible(text)
    assert contains(text, [text]) == visible(text)
    assert not same(text, "")


@given(TEXTS, TEXTS)
def test_being_the_same_is_symmetric(one, other):
    assert same(one, other) == same(other, one)


@given(TEXTS, TEXTS)
def test_what_is_the_same_is_contained(answer, gold):
    if same(answer, gold):
        assert contains(answer, [gold])
        assert f1(answer, [gold])


@given(TEXTS, TEXTS, st.data())
def test_characters_without_width_change_no_verdict(one, other, data):
    mark = data.draw(st.sampled_from(ZERO_WIDTH))
    place = data.draw(st.integers(0, len(one)))
    marked = one[:place] + mark + one[place:]
    assert words(marked) == words(one)
    assert same(marked, other) == same(one, other)


@given(TEXTS, TEXTS)
def test_a_no_break_space_is_a_space(one, other):
    assert same(one.replace(" ", "\u00a0"), other) == same(one, other)


@given(TEXTS)
def test_composed_and_decomposed_texts_are_the_same(text):
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    assert words(forms[0]) == words(forms[1])


@given(TEXTS)
def test_case_does_not_count_in_a_word(text):
    word = "".join(c for c in text if c.isalpha() and len(c.upper()) == 1)
    assume(word and word.lower() not in ("a", "an", "the"))
    assert same(word.upper(), word.lower()) == visible(word) or not word.isascii()


@given(DECIMALS, DECIMALS)
def test_two_different_numbers_are_never_the_same(one, other):
    assert same(f"{one}", f"{other}") == (one == other)
    assert same(f"{one:,}", f"{other}") == (one == other)
    assert same(f"{one}".replace("-", "−"), f"{other}") == (one == other)
    assert same(f"${one}", f"{other}") == (one == other)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.sampled_from(",.' \u00a0\u202f"))
def test_separators_of_thousands_do_not_change_a_number(one, other, mark):
    assume(mark != "." or one >= 10**6)
    assert same(f"{one:,}".replace(",", mark), f"{other}") == (one == other)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_joining_two_numbers_never_makes_another(a, b, c, d):
    for mark in ("-", "–", ":", "/", " ", " to "):
        if (a, b) != (c, d) and mark not in "/":
            assert not same(f"{a}{mark}{b}", f"{c}{mark}{d}")
        assert not same(f"{a}{mark}{b}", f"{a}{b}"), mark


@given(st.integers(1, 9), st.integers(2, 99), st.integers(1, 9), st.integers(2, 99))
def test_equal_fractions_are_equal_values(a, b, c, d):
    if same(f"{a}/{b}", f"{c}/{d}"):
        assert Fraction(a, b) == Fraction(c, d)


@given(st.integers(0, 9999), TEXTS)
def test_a_number_is_found_in_a_text_only_where_it_stands(number, text):
    assume(not any(c.isnumeric() for c in unicodedata.normalize("NFKC", text)))
    spelt = [value for _, value in numerals.find(text)]
    if not spelt and not any(word.isdecimal() for word in words(text)):
        assert not contains(text, [str(number)])


@given(TEXTS, TEXTS)
def test_token_f1_is_symmetric_and_within_zero_and_one(one, other):
    assert token_f1(one, other) == token_f1(other, one)
    assert 0 <= token_f1(one, other) <= 1


@given(TEXTS, st.lists(TEXTS))
def test_an_accepted_answer_is_correct_under_every_grader_of_ours(answer, others):
    if visible(answer):
        for grade in (exact, contains, f1):
            assert grade(answer, [*others, answer])


@given(st.text(max_size=200))
def test_any_text_can_be_read(text):
    assert all(word for word in words(text))


# ----------------------------------------------------------------------------------- worked cases


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("twenty-one", "21"),
        ("one hundred and five", "105"),
        ("two thousand and six", "2006"),
        ("nine hundred ninety nine thousand nine hundred ninety nine", "999999"),
        ("three million two", "3000002"),
        ("$1.5 million", "1500000"),
        ("12,34,567", "1234567"),
        ("1.234.567,5", "2469135÷2"),
        ("0,125", "1÷8"),
        ("fifty per cent", "1÷2"),
        ("3e-2", "3÷100"),
        ("−1,000", "-1000"),
        ("thirty-third", "33th"),
        ("22nd", "22th"),
        ("minus two", "-2"),
    ],
)
def test_numbers_have_the_value_that_they_are_written_for(text, expected):
    (token,) = numerals.find(text)
    assert token[1].value == expected


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("no one knows", []),
        ("one of them", []),
        ("1,2,3", ["1", "2", "3"]),
        ("F-16", ["16"]),
        ("10 -5", ["10", "5"]),
        ("is -5", ["-5"]),
        ("five and six", ["5", "6"]),
        ("1, 000", ["1", "000"]),
        ("12/25/2024", ["12/25/2024"]),
        ("192.168.0.1", ["192.168.0.1"]),
        ("1e999", ["1", "999"]),
        ("1" * 5000, ["1" * 5000]),
    ],
)
def test_what_is_not_one_number_is_not_read_as_one(text, values):
    assert [number.value for _, number in numerals.find(text)] == values


def test_contains_finds_whole_words_only():
    assert contains("The capital of France is Paris.", ["Paris"])
    assert not contains("Parisian", ["Paris"])
    assert not contains("U.S. dollars", ["S"])
    assert not exact("The capital of France is Paris.", ["Paris"])


def test_token_f1_of_a_worked_example():
    # Two of three predicted words are among the two expected: P = 2/3, R = 1, F1 = 0.8.
    assert token_f1("New York City", "York New") == pytest.approx(0.8)


# Worked by hand from the published scripts: SQuAD's deletes punctuation, TriviaQA's puts spaces.
@pytest.mark.parametrize(
    ("answer", "gold", "squad", "triviaqa"),
    [
        ("The Beatles!", "beatles", True, True),
        ("Jay-Z", "JayZ", True, False),
        ("Jay-Z", "Jay Z", False, True),
        ("O'Brien", "O Brien", False, True),
        ("1.5", "15", True, False),
        ("C#", "c", True, True),
        ("snake_case", "snake case", False, True),
        ("O’Brien", "O Brien", False, True),
        ("Bogotá", "Bogota", False, False),
        ("seven", "7", False, False),
        ("The", "!", True, True),
    ],
)
def test_the_official_rules_are_those_of_the_scripts(answer, gold, squad, triviaqa):
    assert GRADERS["squad"](answer, [gold]) is squad
    assert GRADERS["triviaqa"](answer, [gold]) is triviaqa


@given(st.text(st.characters(max_codepoint=0x24F)))
def test_triviaqa_is_normalised_step_by_step_as_in_the_script(text):
    marks = set(string.punctuation) | set("‘’´`")
    plain = "".join(" " if c in marks else c for c in text.replace("_", " ").lower())
    kept = [word for word in plain.split() if word not in ("a", "an", "the")]
    assume(not any(c.isalnum() is False and not c.isspace() for c in plain))
    assert triviaqa_normalize(text) == " ".join(kept)
