"""Options in several orders: models that like a place, a content, or both, worked out by hand."""

import logging
import math
import re

import pytest

from harness_tasks.elicitation.option_orders import averaged
from harness_tasks.elicitation.settings import parse_settings
from helpers.task_runs import TASKS, records, run
from helpers.transparent_model import Transparent, evaluate, on_rows

METHODS = ["likelihood", "order_agreement"]
CAPITALS = {
    "id": "q",
    "question": "Capital of Peru?",
    "choices": ["Lima", "Quito", "Bogota", "Caracas"],
    "gold": 0,
}
EXAMPLE = {**CAPITALS, "id": "e", "question": "Capital of Ecuador?", "gold": 1}


def weighing(places, contents):
    """A model that gives a label the weight of its place times that of what stands there."""

    def logprob(prompt, label):
        asked = prompt.rsplit("Question:", 1)[1]
        options = dict(re.findall(r"^([A-Z])\. (\w+)$", asked, re.MULTILINE))
        letter = label.strip()
        if letter not in options:  # the trial whether there are log-probabilities
            return -1.0
        place = list(options).index(letter)
        return math.log(places[place] * contents.get(options[letter], 1))

    return Transparent(logprob=logprob)


def ask(model, folder, orders=4, methods=METHODS, rows=None, **options):
    rows = {"train": [EXAMPLE], "test": rows or [CAPITALS]}
    on_rows(
        folder,
        "multiple_choice_template_yaml",
        rows,
        test_split="test",
        training_split="train",
        num_fewshot=1,
    )
    metadata = {"methods": methods, "permute_options": orders}
    results, samples = evaluate("mini", model, folder, metadata, **options)
    found = {row["filter"]: row["filtered_resps"][0] for row in samples if row["doc_id"] == 0}
    return results, samples, found


def test_a_preference_for_a_place_alone_gives_every_option_the_same(tmp_path):
    results, samples, found = ask(weighing([8, 4, 2, 2], {}), tmp_path)
    shares = [record["confidence"] for record in found.values()]
    assert shares == pytest.approx([1 / 4, 1 / 4])
    # What stands first: its own order, then each option moves to the front in turn.
    assert found["likelihood"]["order_answers"] == ["A", "B", "C", "D"]
    assert results["flipped,likelihood"] == results["flipped,order_agreement"] == 1


def test_a_preference_for_a_content_alone_does_not_flip(tmp_path):
    results, _, found = ask(weighing([1, 1, 1, 1], {"Bogota": 7}), tmp_path)
    assert found["likelihood"]["answer"] == "C"
    assert found["likelihood"]["confidence"] == pytest.approx(7 / 10)
    assert found["order_agreement"]["confidence"] == 1
    assert results["flipped,likelihood"] == 0


def test_both_preferences_at_once_are_averaged_as_worked_out_by_hand(tmp_path):
    two = {**CAPITALS, "choices": ["Lima", "Quito"]}
    model = weighing([2, 1, 1, 1], {"Lima": 3, "Quito": 2})
    # Lima first: 2 * 3 against 1 * 2. Quito first: 1 * 3 against 2 * 2.
    results, samples, found = ask(model, tmp_path, orders=2, rows=[two])
    assert found["likelihood"]["answer"] == "A"
    assert found["likelihood"]["confidence"] == pytest.approx((6 / 8 + 3 / 7) / 2)
    assert found["likelihood"]["order_answers"] == ["A", "B"]
    assert found["order_agreement"]["confidence"] == 1 / 2
    assert results["acc,likelihood"] == 1


def test_a_question_has_no_more_orders_than_options(tmp_path):
    rows = [{**CAPITALS, "choices": ["Lima", "Quito"]}]
    _, samples, found = ask(weighing([2, 1, 1, 1], {"Lima": 3}), tmp_path, orders=4, rows=rows)
    assert len(found["likelihood"]["order_answers"]) == 2
    assert len(samples[0]["arguments"]) == 2 * 2


def test_only_the_question_changes_between_the_prompts(tmp_path):
    _, samples, _ = ask(weighing([1, 1, 1, 1], {}), tmp_path)
    prompts = list(dict.fromkeys(prompt for prompt, _ in samples[0]["arguments"]))
    example, asked = prompts[0].split("\n\n")
    assert example.startswith("Question: Capital of Ecuador?\nA. Lima\nB. Quito\n")
    assert [prompt.split("\n\n")[0] for prompt in prompts] == [example] * 4
    assert prompts[1].split("\n\n")[1] == (
        "Question: Capital of Peru?\nA. Quito\nB. Bogota\nC. Caracas\nD. Lima\nAnswer:"
    )


def test_under_a_chat_template_too(tmp_path):
    class Chat(Transparent):
        tokenizer_name = "chat"

        def chat_template(self, name):
            return ""

        def apply_chat_template(self, messages, add_generation_prompt=True):
            return "".join(f"<{m['role']}>{m['content']}</>" for m in messages) + "<assistant>"

    model = Chat(logprob=weighing([8, 4, 2, 2], {}).logprob)
    _, samples, found = ask(model, tmp_path, apply_chat_template=True, fewshot_as_multiturn=True)
    prompts = list(dict.fromkeys(prompt for prompt, _ in samples[0]["arguments"]))
    assert len(prompts) == 4
    for prompt, first in zip(prompts, CAPITALS["choices"], strict=True):
        assert prompt.startswith("<user>Question: Capital of Ecuador?\nA. Lima\n")
        assert f"</><user>Question: Capital of Peru?\nA. {first}\n" in prompt
        assert prompt.endswith("Answer:</><assistant>")
    assert found["likelihood"]["confidence"] == pytest.approx(1 / 4)


def test_one_order_is_as_before_and_the_signature_names_several(tmp_path):
    model = weighing([8, 4, 2, 2], {})
    (tmp_path / "one").mkdir()
    results, samples, one = ask(model, tmp_path / "one", orders=1, methods=["likelihood"])
    assert one["likelihood"]["confidence"] == pytest.approx(8 / 16)
    assert "flipped,likelihood" not in results
    assert "order_answers" not in one["likelihood"]
    assert one["likelihood"]["signature"] == "norm:none|softmax:options|grading:option"
    _, _, four = ask(model, tmp_path)
    signature = "norm:none|softmax:options|grading:option|permute_options:4"
    assert four["likelihood"]["signature"] == signature


def test_the_log_says_in_how_many_questions_the_answer_flips(tmp_path, caplog):
    other = {**CAPITALS, "id": "r", "choices": ["Oslo", "Rome", "Bonn", "Kyiv"]}
    with caplog.at_level(logging.INFO):
        ask(weighing([8, 4, 2, 2], {"Rome": 99}), tmp_path, rows=[CAPITALS, other])
    assert "mini: in 1 of 2 questions the likeliest option changes" in caplog.text


def test_frozen_answers_are_judged_over_the_orders_too(tmp_path, hub):
    first = run("calib_openbookqa_mc", include=TASKS, limit=3, metadata={"methods": ["likelihood"]})
    from helpers.task_runs import write_samples

    log = write_samples(first, "calib_openbookqa_mc", tmp_path)
    metadata = {"methods": ["order_agreement"], "permute_options": 4, "answers": str(log)}
    again = run("calib_openbookqa_mc", include=TASKS, limit=3, metadata=metadata)
    before = records(first, "calib_openbookqa_mc", "likelihood")
    after = records(again, "calib_openbookqa_mc", "order_agreement")
    for one, other in zip(before, after, strict=True):
        assert other["answer"] == one["answer"] == other["order_answers"][0]
        votes = other["order_answers"].count(one["answer"])
        assert other["confidence"] == votes / 4


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ("calib_nq_open", "open-ended"),
        ("calib_openbookqa_cloze", "does not list them"),
        ("calib_boolq_mc", "does not list them"),
    ],
)
def test_a_task_that_shows_no_options_is_refused_with_a_sentence(task, why, hub):
    with pytest.raises(ValueError, match=f"{task}: permute_options .*{why}.*by letter"):
        run(task, include=TASKS, limit=2, metadata={"methods": METHODS, "permute_options": 2})


def test_agreement_needs_several_orders():
    with pytest.raises(ValueError, match="order_agreement .* at least 2"):
        parse_settings("t", {"methods": ["order_agreement"]})


@pytest.mark.parametrize("value", [0, -1, 2.5, "4"])
def test_a_number_of_orders_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="permute_options"):
        parse_settings("t", {"permute_options": value})


def test_the_mean_over_orders_sums_to_one():
    shares = averaged([{"A": 0.9, "B": 0.1}, {"A": 0.2, "B": 0.8}])
    assert shares == pytest.approx({"A": 0.55, "B": 0.45})
