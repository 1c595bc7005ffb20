"""What the methods ask, inside lm-eval: their prompts, their cost, their settings.

The model here is a scripted one: its replies follow from the prompts, so that every expectation
can be worked out by hand.
"""

import re

import pytest

from harness_tasks.elicitation.grading import exact
from harness_tasks.elicitation.prompts import Conversation
from harness_tasks.elicitation.question import Question
from harness_tasks.elicitation.registry import METHODS
from harness_tasks.elicitation.settings import METHOD_NAMES, UNTRAINED, parse_settings
from helpers.chat_api import TASKS, ChatApi, Scoring, records, run, save

SAMPLED = ("sampling", "distinct_answers", "semantic_clusters", "semantic_entropy")


def test_every_method_reads_its_confidence():
    results = run(Scoring(), methods=list(UNTRAINED), k=6)
    expected = {
        "verbalized": 0.7,
        "verbalized_top_k": 0.25,
        "linguistic": 0.875,
        "cot_verbalized": 0.6,
        "sampling": 4 / 6,
        "distinct_answers": 1 - 1 / 5,
        "semantic_clusters": 4 / 6,
        "self_consistency": 1.0,
        "p_ik": 1 / (1 + 2.718281828459045),  # " Yes" is one character longer than " No"
    }
    for method, confidence in expected.items():
        found = [record["confidence"] for record in records(results, method)]
        assert found == pytest.approx([confidence] * 2), method
    for method in UNTRAINED:
        assert len(records(results, method)) == 2


def test_all_methods_on_samples_together_cost_what_sampling_alone_costs():
    model = ChatApi()
    run(model, methods=list(SAMPLED), k=5)
    prompts = {prompt for prompt, sampled in model.asked if sampled}
    assert len(prompts) == 2  # two questions
    assert {model.asked[prompt, True] for prompt in prompts} == {5}
    assert {model.asked[prompt, False] for prompt in prompts} == {1}  # the answer


def test_before_answering_the_prompt_holds_the_question_and_no_answer():
    model = Scoring()
    results = run(model, methods=["p_ik", "verbalized_top_k", "self_consistency"], k=2)
    for record in records(results, "p_ik"):
        assert record["query"] == (
            f"Question: {record['question']}\n\nDo you know the answer?\nAnswer:"
        )
    for prompt, _ in model.asked:
        if not prompt.endswith("Answer:"):
            asked = prompt.rsplit("Question: ", 1)[1]
            assert asked.split("\n")[0].endswith("?") and "Answer:" not in asked


def test_before_answering_a_chat_leaves_out_the_cue_and_the_prefix_of_an_answer():
    def render(messages):
        return "".join(f"<{m['role']}>{m['content']}" for m in messages) + "<assistant>"

    messages = [
        {"role": "user", "content": "Question: Capital of France?\nAnswer:"},
        {"role": "assistant", "content": "It is"},
    ]
    chat = Conversation("unused", "unused", "", messages, render)
    assert chat.before("Do you know?", cue="Answer").context == (
        "<user>Question: Capital of France?\n\nDo you know?<assistant>"
    )
    assert len(messages) == 2


@pytest.mark.parametrize(
    ("alone", "kept"),
    [
        ("Question: Why?\nAnswer:", "Question: Why?"),
        ("Question: Why?\nA. x\nB. y\nFinal answer: ", "Question: Why?\nA. x\nB. y"),
        ("The capital of France is:", "The capital of France is:"),
        ("Facts.\nThe capital of France is:", "Facts.\nThe capital of France is:"),
    ],
)
def test_only_a_bare_cue_is_left_out(alone, kept):
    asked = Conversation(alone, alone).before("Sure?", cue="Answer")
    assert asked.context == f"{kept}\n\nSure?\nAnswer:"


@pytest.mark.parametrize("task", ["calib_worldfacts", "calib_worldfacts_mc"])
def test_every_method_gives_the_same_confidence_to_the_same_frozen_answers(task, tmp_path):
    first = run(Scoring(), task, methods=list(UNTRAINED), k=3)
    again = run(Scoring(), task, methods=list(UNTRAINED), k=3, answers=save(first, tmp_path, task))
    for method in UNTRAINED:
        assert records(again, method, task) == records(first, method, task), method
        for record in records(first, method, task):
            assert record["confidence"] is None or 0 <= record["confidence"] <= 1


def test_the_signature_names_what_a_confidence_depends_on():
    signatures = {
        name: METHODS[name](parse_settings("t", {})).signature
        for name in ("likelihood", "zero_shot_classifier", "verbalized", "sampling")
    }
    assert signatures == {
        "likelihood": "norm:tokens",
        "zero_shot_classifier": "wording:yes_no|temperature:1",
        "verbalized": "format:percent|read:2",  # the second way to read a reply
        "sampling": "k:10|weighting:count|temperature:1",
    }


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (" Lyon\nP1: 40%\nG2: Nice\nP2: 3%", "none of 2 guesses is the answer"),
        (" Paris", "has no probability"),
        (" Paris\nP1: high", "no number"),
        ("", "no line 'G1:'"),
    ],
)
def test_guesses_that_say_nothing_of_the_answer_leave_the_confidence_missing(reply, reason):
    reading = read("verbalized_top_k", reply)
    assert reading.confidence is None and reason in reading.reason


def test_a_third_turn_holds_the_second():
    first = Conversation("unused", "Question: Why?\nAnswer:")
    second = first.turn("So.", "Correct?", cue="Reasoning")
    assert second.then("I think.", "How sure?", cue="Probability") == (
        "Question: Why?\nAnswer: So.\n\nCorrect?\nReasoning: I think.\n\nHow sure?\nProbability:"
    )


def test_a_third_turn_of_a_chat_holds_all_messages():
    def render(messages):
        return "".join(f"<{m['role']}>{m['content']}" for m in messages) + "<assistant>"

    first = Conversation("", "", "", [{"role": "user", "content": "Why?"}], render)
    second = first.turn("So.", "Correct?", cue="Reasoning")
    assert second.then("I think.", "How sure?", cue="Probability") == (
        "<user>Why?<assistant>So.<user>Correct?<assistant>I think.<user>How sure?<assistant>"
    )


def read(method, reply):
    question, built = make_question(), METHODS[method](parse_settings("t", {}))
    (request,) = built.requests(question)
    request.resps = [reply]
    return built.read(question, [request])


def make_question():
    prompt = "Question: What is the capital of France?\nAnswer:"
    return Question(
        conversation=Conversation(prompt, prompt),
        answer=lambda: "Paris",
        answered_by="generate_until",
        agrees=lambda text, answer: exact(text, [answer]),
        options=None,
        generation={"until": ["\n"]},
        instance={"doc": {}, "metadata": ("t", 0, 1)},
    )


def test_the_readme_states_what_each_method_costs():
    """The column "requests" of the methods' table, for open-ended questions."""
    page = (TASKS / "README.md").read_text(encoding="utf-8")
    table = page.split("\n## Methods\n")[1].split("\n*Requests*")[0]
    rows = re.findall(r"^\| (`.+?`) \| (\d*)(k?)(?: \+ (\d))?\b", table, flags=re.MULTILINE)
    stated = {
        name: int(n or 1) * (7 if k else 1) + int(more or 0)
        for names, n, k, more in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    assert set(stated) == set(METHODS)
    settings = parse_settings("t", {"k": 7})
    for name, cost in stated.items():
        requests = METHODS[name](settings).requests(make_question())
        assert sum(request.repeats for request in requests) == cost, name


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"yes_no": "maybe"}, "'first_token' or 'sampled'"),
        ({"yes_no": "sampled", "temperature": 1.5}, "'temperature' divides log-odds"),
        ({"guesses": 0}, "greater than or equal to 1"),
        ({"reasoning_tokens": 0}, "greater than or equal to 1"),
        ({"guess": 2}, "did you mean 'guesses'"),
        ({"grading": "judge:"}, "'judge:' is not one of contains, exact, f1, judge:PATH"),
    ],
)
def test_options_of_the_methods_are_checked(metadata, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_settings("calib_x", metadata)


def test_the_settings_and_the_registry_name_the_same_methods():
    assert tuple(METHODS) == METHOD_NAMES


@pytest.mark.parametrize("method", ["verbalized", "cot_verbalized"])
def test_the_percentage_is_asked_for_in_the_chosen_wording(method):
    model = Scoring()
    results = run(model, methods=[method], percent_wording="confidence")
    asked = [prompt for prompt, _ in model.asked if prompt.endswith("Confidence:")]
    words = "As a percentage, what is your confidence in the proposed answer?"
    assert len(asked) == 2 and all(f"\n\n{words}\nConfidence:" in prompt for prompt in asked)
    for record in records(results, method):
        assert "|wording:confidence|" in record["signature"]
    for record in records(run(Scoring(), methods=[method]), method):
        assert "wording" not in record["signature"]


def test_the_log_of_a_stated_number_has_its_prompts():
    model = Scoring()
    for record in records(run(model, methods=["verbalized"]), "verbalized"):
        assert (record["query"], False) in model.asked
        assert record["query"].startswith(f"Question: {record['question']}\nAnswer:")
        assert record["context"].endswith("Answer:")
        assert record["answer_text"] == f" {record['answer']}"
        assert record["reply_form"].format(70) == " 70%"
        assert record["reply_end"] == "\n\nQuestion:"


def test_what_follows_a_reply_in_a_chat_is_what_its_template_adds():
    def render(messages):
        turns = (f"<{m['role']}>{m['content']}</{m['role']}>" for m in messages)
        return "".join(turns) + "<assistant>"

    chat = Conversation("", "", "", [{"role": "user", "content": "90%?"}], render)
    assert chat.end("90%") == "</assistant><assistant>"
