"""Reading confidences, the options of --metadata, and the second turn's prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness_tasks.elicitation.methods.replies import parse_probability
from harness_tasks.elicitation.prompts import Conversation
from harness_tasks.elicitation.settings import parse_settings


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        (" 85%", 0.85),
        ("85 percent", 0.85),
        ("I am 99.9% sure.", 0.999),
        ("85", 0.85),
        ("0.85", 0.85),
        ("1.0", 1.0),
        ("8/10", 0.8),
        ("100%", 1.0),
        ("0%", 0.0),
        ("0", 0.0),
        ("1", 0.01),
        ("99,5 %", 0.995),
        ("90% (out of 100)", 0.9),
        ("The probability is 70%, so 70%.", 0.7),
    ],
)
def test_a_stated_probability_is_read(text, confidence):
    assert parse_probability(text).confidence == pytest.approx(confidence)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no number"),
        ("very sure", "no number"),
        ("between 80% and 90%", "several numbers"),
        ("150%", "out of range"),
        ("-5%", "out of range"),
        ("3/0", "out of range"),
    ],
)
def test_what_cannot_be_read_is_none_with_a_reason(text, reason):
    reading = parse_probability(text)
    assert reading.confidence is None
    assert reason in reading.reason


@given(st.text())
def test_any_text_gives_a_probability_or_a_reason(text):
    reading = parse_probability(text)
    assert (reading.confidence is None) == (reading.reason is not None)
    assert reading.confidence is None or 0 <= reading.confidence <= 1


@given(st.integers(0, 100))
def test_every_whole_percentage_is_read_back(percent):
    assert parse_probability(f" {percent}%").confidence == pytest.approx(percent / 100)


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"methods": ["verbalised"]}, "'verbalised' is not one of .*verbalized"),
        ({"methods": []}, "name at least one"),
        ({"methods": ["sampling", "sampling"]}, "named twice"),
        ({"k": 0}, "greater than or equal to 1"),
        ({"k": "ten"}, "valid integer"),
        ({"wording": "maybe"}, "'maybe' is not one of roman_choice, yes_no"),
        ({"grading": "fuzzy"}, "'fuzzy' is not one of"),
        ({"weighting": "length"}, "'count' or 'likelihood'"),
        ({"temperature": 0}, "greater than 0"),
        ({"method": ["sampling"]}, "did you mean 'methods'"),
    ],
)
def test_a_wrong_option_is_a_sentence_that_names_it(metadata, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        parse_settings("calib_x", metadata)
    assert "calib_x" in str(error.value)
    assert next(iter(metadata)) in str(error.value)


def test_model_arguments_in_the_metadata_are_left_alone():
    metadata = {"pretrained": "some/model", "peft": "adapter", "dtype": "float32", "version": 1.0}
    assert parse_settings("calib_x", metadata).k == 10


def test_one_method_may_be_given_without_a_list():
    assert parse_settings("calib_x", {"methods": "verbalized"}).methods == ("verbalized",)


def test_the_second_turn_continues_a_plain_prompt():
    first = Conversation("examples", "Question: Capital of France?\nAnswer:")
    assert first.then("Paris", "Is the proposed answer correct?", cue="Answer") == (
        "Question: Capital of France?\nAnswer: Paris\n\nIs the proposed answer correct?\nAnswer:"
    )


def render(messages, add_generation_prompt=True):
    text = "".join(f"<{m['role']}>{m['content']}" for m in messages)
    return text + "<assistant>" * add_generation_prompt


def test_the_second_turn_continues_a_chat_as_two_more_messages():
    messages = [{"role": "user", "content": "Capital of France?"}]
    first = Conversation("examples", render(messages), "", messages, render)
    assert first.then("Paris", "Correct?", cue="Answer") == (
        "<user>Capital of France?<assistant>Paris<user>Correct?<assistant>"
    )
    assert messages == [{"role": "user", "content": "Capital of France?"}]


def test_a_generation_prefix_is_completed_by_the_answer():
    messages = [
        {"role": "user", "content": "Capital of France?"},
        {"role": "assistant", "content": "Answer:"},
    ]
    first = Conversation("examples", "unused", "", messages, render)
    assert "<assistant>Answer: Paris<user>" in first.then("Paris", "Correct?", cue="Answer")
