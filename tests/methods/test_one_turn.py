"""Explanation, answer and confidence in one reply: how it is asked, read, graded and scored."""

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib_metrics.compat import compat_ece
from harness_tasks.elicitation.methods.replies import parse_one_turn
from harness_tasks.hle import documents
from helpers.transparent_model import TASKS, Transparent, evaluate

# As much of the form of Humanity's Last Exam as its own README shows to a model.
FORM = (
    "Your response should be in the following format:\n"
    "Explanation: {your explanation for your answer choice}\n"
    "Answer: {your chosen answer}\n"
    "Confidence: {your confidence score between 0% and 100% for your answer}"
)


@pytest.mark.parametrize(
    ("reply", "answer", "stated"),
    [
        ("Explanation: Old.\nAnswer: Paris\nConfidence: 85%", "Paris", " 85%"),
        ("**Explanation:** x\n\n**Answer:** Paris\n\n**Confidence:** 85%", "Paris", " 85%"),
        ("Exact Answer: 42\nConfidence score: 9%\n", "42", " 9%\n"),
        ("Answer:\nParis\nConfidence: 5%", "Paris", " 5%"),
        ("Answer: Rome? No.\nFinal answer: Paris\nconfidence: 5%", "Paris", " 5%"),
        ("Confidence: 10%\nAnswer: Paris\nConfidence: 90%", "Paris", " 90%"),
        ("Answer: Paris", "Paris", None),
        ("It is Paris. Confidence: 85%", "", None),
        ("My answer: Paris is large\nConfidence: 85%", "", None),
        ("", "", None),
    ],
)
def test_answer_and_confidence_are_on_lines_with_their_labels(reply, answer, stated):
    assert parse_one_turn(reply) == (answer, stated)


@given(st.text(alphabet="AnswerConfidence: %*\n90", max_size=60))
def test_any_reply_is_read_without_an_error(text):
    answer, stated = parse_one_turn(text)
    assert "\n" not in answer and (stated is None or text.endswith(stated))


# ------------------------------------------------------------------------------ the task of the HLE

REPLIES = {
    "p1": "Explanation: a\nAnswer: Paris\nConfidence: 90%",
    "p2": "Explanation: a\nAnswer: Rome\nConfidence: 0.4",
    "p3": "Explanation: a\nAnswer: (B) because\nConfidence: about 70%",
    "p4": "Explanation: a\nAnswer: C\nConfidence: at least 80%",
    "p5": "Explanation: a\nAnswer: Paris\nConfidence: 90%, or maybe\n\n40%",
    "p6": "I believe that it is Paris.",
    "p7": "Explanation: a\nAnswer: Paris\nConfidence: 10%",
}


def row(name, answer="Paris", answer_type="exactMatch", image=""):
    """A made-up row in the columns of the data set."""
    return {
        "id": name,
        "question": f"{name}: which?",
        "image": image,
        "image_preview": None,
        "answer": answer,
        "answer_type": answer_type,
        "author_name": "nobody",
        "rationale": "none",
        "rationale_image": None,
        "raw_subject": "Trivia",
        "category": "Other",
        "canary": "none",
    }


ROWS = [
    *(row(name) for name in ("p1", "p2")),
    row("p3", "B", "multipleChoice"),
    row("p4", "B", "multipleChoice"),
    *(row(name) for name in ("p5", "p6")),
    row("p8", image="data:image/png;base64,AAAA"),
    row("p7"),
]


@pytest.fixture(scope="module")
def found():
    rows = datasets.DatasetDict(test=datasets.Dataset.from_list(ROWS))
    model = Transparent(lambda prompt: REPLIES[prompt.split(": which?")[0].split("\n")[-1]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "load_dataset", lambda *args, **options: rows)
        results, samples = evaluate("calib_hle", model, TASKS / "hle")
    return results, {s["filtered_resps"][0]["id"]: s["filtered_resps"][0] for s in samples}, model


def test_the_prompt_is_the_form_and_then_the_question_alone(found):
    assert found[2].prompts[0] == f"{FORM}\n\np1: which?"


def test_questions_with_a_picture_are_left_out(found):
    assert list(found[1]) == ["p1", "p2", "p3", "p4", "p5", "p6", "p7"]
    kept = documents(datasets.Dataset.from_list(ROWS))
    assert set(kept.column_names) == {"id", "question", "answers", "answer_type", "category"}


def test_the_answer_and_the_number_come_from_the_same_reply(found):
    read = {name: (r["answer"], r["correct"], r["confidence"]) for name, r in found[1].items()}
    assert read == {
        "p1": ("Paris", 1, 0.9),
        "p2": ("Rome", 0, 0.4),
        "p3": ("(B) because", 1, 0.7),
        "p4": ("C", 0, None),  # a bound is not a value
        "p5": ("Paris", 1, None),  # two numbers
        "p6": ("", 0, None),
        "p7": ("Paris", 1, 0.1),
    }
    assert found[1]["p6"]["reason"] == "no line 'Answer:'"
    assert found[0]["acc,one_turn"] == pytest.approx(4 / 7)
    assert found[0]["answered,one_turn"] == pytest.approx(4 / 7)


def test_a_missing_confidence_is_not_a_hundred(found):
    right, sure = [1, 0, 1, 1], [0.9, 0.4, 0.7, 0.1]
    gaps = [abs(r - s) for r, s in zip(right, sure, strict=True)]
    assert found[0]["ece,one_turn"] == pytest.approx(sum(gaps) / 4)  # each in a bin of its own


def test_it_is_also_scored_as_the_exams_own_code_does():
    from calib_metrics.lm_eval_hooks import hle_rms_b100

    items = [(place / 300, place % 3 == 0) for place in range(300)]
    expected = compat_ece([c for c, _ in items], [int(r) for _, r in items], "hle_rms_b100")
    assert hle_rms_b100([*items, (None, 1)]) == pytest.approx(expected, abs=1e-12)
    with pytest.warns(UserWarning, match="fewer than 100"):
        assert hle_rms_b100(items[:50]) != hle_rms_b100(items[:50])  # NaN, where that code fails


# ------------------------------------------------------------------ with examples, other questions


class Counting(Transparent):
    """Its tokens are words."""

    tokenizer = "words"

    def tok_encode(self, text, **_):
        return text.split()


def worldfacts(reply, methods=("one_turn",), limit=2, **metadata):
    model = Counting(reply)
    results, samples = evaluate(
        "calib_worldfacts_one_turn",
        model,
        TASKS / "worldfacts",
        {"methods": list(methods), **metadata},
        limit=limit,
    )
    return results, [sample["filtered_resps"][0] for sample in samples], model.prompts


def answering(prompt):
    return (
        " 60%"
        if prompt.endswith("Probability:")
        else "\nExplanation: x\nAnswer: Lima\nConfidence: 20%"
    )


def test_the_examples_show_the_form_with_different_numbers():
    _, _, prompts = worldfacts(answering)
    description, *examples, asked = prompts[0].split("\n\n")
    assert description == FORM
    assert [example.splitlines()[-1] for example in examples] == [
        "Confidence: 97%",
        "Confidence: 35%",
        "Confidence: 65%",
    ]
    assert all(parse_one_turn(example)[0] for example in examples)
    assert asked.startswith("Question: ") and "\n" not in asked


def test_another_method_asks_about_the_answer_alone():
    _, records, prompts = worldfacts(answering, ["one_turn", "verbalized"])
    confidences = {record["method"]: record["confidence"] for record in records}
    assert confidences == {"one_turn": 0.2, "verbalized": 0.6}
    question = prompts[0].rsplit("Question: ", 1)[1]
    start = f"Question: {question}\nAnswer: Lima\n\nHow likely"
    assert prompts[2].startswith(start)


class Chat(Counting):
    """Writes messages out; the form is asked for in the system message."""

    tokenizer_name = "chat"

    def chat_template(self, name):
        return ""

    def apply_chat_template(self, messages, add_generation_prompt=True):
        return "".join(f"<{m['role']}>{m['content']}</>" for m in messages) + "<assistant>"


@pytest.mark.parametrize("system", [None, "Be kind."])
def test_under_a_chat_template_the_form_is_a_system_message_of_the_first_turn_alone(system):
    model = Chat(lambda prompt: "60%" if "How likely" in prompt else answering(prompt))
    metadata = {"methods": ["one_turn", "verbalized"]}
    options = {"system_instruction": system} if system else {}
    evaluate(
        "calib_worldfacts_one_turn",
        model,
        TASKS / "worldfacts",
        metadata,
        limit=1,
        num_fewshot=0,
        apply_chat_template=True,
        **options,
    )
    first, second = model.prompts
    assert first.startswith("<system>" + (f"{system}\n\n" if system else "") + FORM)
    question = first.split("<user>")[1].split("</>")[0]
    kept = f"<system>{system}</>" if system else ""
    assert second.startswith(f"{kept}<user>{question}</><assistant>Lima</><user>How likely")


def test_an_unfinished_reply_is_missing():
    endless = "\nExplanation: x\nAnswer: Lima\nConfidence: 20%" + " and so on" * 99
    _, records, _ = worldfacts(lambda prompt: endless)
    assert records[0]["answer"] == "Lima"
    assert records[0]["confidence"] is None
    assert records[0]["reason"].startswith("the answer is unfinished")


def test_a_task_that_does_not_ask_for_a_confidence_is_refused():
    with pytest.raises(ValueError, match="calib_worldfacts: one_turn .*one_turn_template_yaml"):
        evaluate("calib_worldfacts", Transparent(), TASKS / "worldfacts", {"methods": ["one_turn"]})


def test_frozen_answers_have_no_reply_to_read():
    with pytest.raises(ValueError, match="leave out 'answers' or one_turn"):
        worldfacts(answering, answers="runs/base")
