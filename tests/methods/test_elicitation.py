"""Reading confidences, the options of --metadata, and the second turn's prompt."""

import pytest

from harness_tasks.elicitation.prompts import Conversation
from harness_tasks.elicitation.settings import parse_settings


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
        ({"temperature": float("inf")}, "finite number"),
        ({"methods": 5}, "valid tuple"),
        ({"methods": {"sampling": 1}}, "valid tuple"),
        ({"methods": [5]}, "valid string"),
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
