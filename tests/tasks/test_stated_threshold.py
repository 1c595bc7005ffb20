"""Answer only if you are surer than t: what the prompt says, and the points that replies get."""

import pytest

from harness_tasks.elicitation.settings import parse_settings
from harness_tasks.elicitation.stated_threshold import points, with_threshold
from helpers.transparent_model import Transparent, evaluate, on_rows

RULE = (
    "Answer only if you are more than 90% sure. A right answer scores 1 point, a wrong answer "
    'loses 9, and "I don\'t know" scores 0.\n\n'
)
ANSWERS = {"a": " right", "b": " wrong", "c": " I don't know", "d": " It is right"}
ROWS = [{"id": key, "question": f"Of {key}?", "answers": ["right"]} for key in ANSWERS]


def reply(prompt):
    if prompt.endswith("Probability:"):
        return " 80%"
    return ANSWERS[prompt.rsplit("Of ", 1)[1][0]]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = on_rows(
        tmp_path_factory.mktemp("task"),
        "open_ended_template_yaml",
        {"train": ROWS, "test": ROWS},
        test_split="test",
        training_split="train",
        description="Be brief.\n\n",
        num_fewshot=0,
    )
    model = Transparent(reply)
    metadata = {"methods": ["verbalized"], "grading": "contains", "stated_threshold": 0.9}
    return *evaluate("mini", model, folder, metadata), model.prompts


def test_the_rule_follows_the_tasks_own_description(found):
    assert found[2][0] == f"Be brief.\n\n{RULE}Question: Of a?\nAnswer:"


def test_a_wrong_answer_costs_what_was_said_and_an_abstention_nothing(found):
    results, _, _ = found
    assert results["points,verbalized"] == pytest.approx((1 - 9 + 0 + 1) / 4)
    assert results["abstained,verbalized"] == 1 / 4
    assert results["answered,verbalized"] == 3 / 4


def test_an_abstention_has_no_confidence_and_the_record_says_why(found):
    records = [row["filtered_resps"][0] for row in found[1]]
    assert [record["confidence"] for record in records] == [0.8, 0.8, None, 0.8]
    assert records[2]["reason"] == "not attempted"
    assert records[0]["signature"].endswith("|grading:contains|stated_threshold:0.9")


@pytest.mark.parametrize(("threshold", "price"), [(0.5, 1), (0.75, 3), (0.9, 9)])
def test_the_price_is_that_of_the_paper(threshold, price):
    config = {"task": "t", "output_type": "generate_until", "metric_list": []}
    assert f"loses {price}, " in with_threshold(config, threshold)["description"]
    wrong = points({"answer": "Rome", "correct": 0}, threshold)
    assert wrong == {"points": pytest.approx(-price), "abstained": 0}


def test_without_a_threshold_nothing_changes():
    assert points({"answer": "Rome", "correct": 0}, None) == {}
    config = {"task": "t", "output_type": "multiple_choice", "metric_list": []}
    assert with_threshold(config, None) == config


def test_multiple_choice_has_no_way_to_abstain():
    config = {"task": "calib_x_mc", "output_type": "multiple_choice", "metric_list": []}
    with pytest.raises(ValueError, match="calib_x_mc.*open-ended"):
        with_threshold(config, 0.5)


@pytest.mark.parametrize("value", [0, 1, 75])
def test_a_threshold_that_is_no_share_is_refused(value):
    with pytest.raises(ValueError, match="stated_threshold"):
        parse_settings("calib_x", {"stated_threshold": float(value)})
