"""What the methods ask, inside lm-eval: their prompts, their cost, and back ends without scores.

The model here is a scripted one: its replies follow from the prompts, so that every expectation
can be worked out by hand.
"""

import json
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from harness_tasks.elicitation.grading import exact
from harness_tasks.elicitation.prompts import Conversation
from harness_tasks.elicitation.question import Question
from harness_tasks.elicitation.registry import METHODS
from harness_tasks.elicitation.settings import METHOD_NAMES, UNTRAINED, parse_settings

TASKS = Path(__file__).parents[2] / "harness_tasks"
SAMPLED = ("sampling", "distinct_answers", "semantic_clusters", "semantic_entropy")


class ChatApi(LM):
    """Answers with the last word of the question; every third sample is something else.

    Like a chat API it returns no log-probabilities.
    """

    def __init__(self):
        super().__init__()
        self.asked = Counter()

    def generate_until(self, requests):
        return [self.reply(*request.args) for request in requests]

    def reply(self, prompt, generation):
        sampled = bool(generation.get("do_sample"))
        self.asked[prompt, sampled] += 1
        turn = self.asked[prompt, sampled] if sampled else 1
        question = prompt.rsplit("Question: ", 1)[1].split("\n")[0]
        answer = question.split()[-1]
        if prompt.endswith("Reply with Yes or No only.\nAnswer:"):
            return [" Yes", " No, I think", " Hm", " yes."][turn % 4]
        if prompt.endswith("Likelihood:"):
            return " Very likely."
        if prompt.endswith("G1:"):
            return f" nothing\nP1: 40%\nG2: {answer}\nP2: 25%"
        if prompt.endswith("Reasoning:"):
            return " Because."
        if prompt.endswith("Probability:"):
            return " 60%" if "\nReasoning: Because.\n\n" in prompt else " 70%"
        return " something else" if sampled and turn % 3 == 0 else f" {answer}\nand more"

    def loglikelihood(self, requests):
        raise NotImplementedError("no log-probabilities here")

    def loglikelihood_rolling(self, requests):
        raise NotImplementedError


class Scoring(ChatApi):
    """The same with log-probabilities: one nat for every character."""

    def loglikelihood(self, requests):
        return [(-float(len(text)), False) for _, text in (request.args for request in requests)]


def run(model, task="calib_worldfacts", **metadata):
    manager = TaskManager(include_path=str(TASKS), include_defaults=False, metadata=metadata)
    return simple_evaluate(
        model=model,
        tasks=[task],
        task_manager=manager,
        limit=2,
        log_samples=True,
        bootstrap_iters=0,
    )


def records(results, method, task="calib_worldfacts"):
    return [row["filtered_resps"][0] for row in results["samples"][task] if row["filter"] == method]


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


@pytest.mark.parametrize("method", ["likelihood", "zero_shot_classifier", "question_only", "p_ik"])
def test_a_back_end_without_log_probabilities_is_a_sentence_that_names_the_way_out(method):
    with pytest.raises(NotImplementedError, match='returns no log-prob.*"yes_no": "sampled"'):
        run(ChatApi(), methods=[method])


def save(results, folder, task="calib_worldfacts"):
    """Write the samples of a run as lm-eval logs them; return the file."""
    file = folder / f"samples_{task}_2026-01-01T00-00-00.000000.jsonl"
    rows = [
        {**row, "filtered_resps": [str(response) for response in row["filtered_resps"]]}
        for row in results["samples"][task]
    ]
    file.write_text("\n".join(json.dumps(row, default=str) for row in rows), encoding="utf-8")
    return str(file)


def test_the_sentence_comes_for_frozen_answers_too(tmp_path):
    first = run(ChatApi(), methods=["verbalized"])
    file = save(first, tmp_path)
    with pytest.raises(NotImplementedError, match="returns no log-probabilities"):
        run(ChatApi(), methods=["zero_shot_classifier"], answers=file)
    judged = run(ChatApi(), methods=["zero_shot_classifier"], answers=file, yes_no="sampled")
    answers = [record["answer"] for record in records(first, "verbalized")]
    assert [r["answer"] for r in records(judged, "zero_shot_classifier")] == answers


@pytest.mark.parametrize("task", ["calib_worldfacts", "calib_worldfacts_mc"])
def test_every_method_gives_the_same_confidence_to_the_same_frozen_answers(task, tmp_path):
    first = run(Scoring(), task, methods=list(UNTRAINED), k=3)
    again = run(Scoring(), task, methods=list(UNTRAINED), k=3, answers=save(first, tmp_path, task))
    for method in UNTRAINED:
        assert records(again, method, task) == records(first, method, task), method
        for record in records(first, method, task):
            assert record["confidence"] is None or 0 <= record["confidence"] <= 1


@pytest.mark.parametrize("method", ["zero_shot_classifier", "question_only", "p_ik"])
def test_sampled_replies_take_the_place_of_log_probabilities(method):
    results = run(ChatApi(), methods=[method], yes_no="sampled", k=8)
    for record in records(results, method):
        # Of eight replies two say Yes, two yes, two No and two neither.
        assert record["confidence"] == pytest.approx(4 / 6)
        assert "|yes_no:sampled|k:8|" in record["signature"]
        assert len(record["replies"]) == 8


def test_replies_that_never_say_yes_or_no_are_missing():
    class Evasive(ChatApi):
        def reply(self, prompt, generation):
            return " perhaps"

    results = run(Evasive(), methods=["p_ik"], yes_no="sampled", k=3)
    for record in records(results, "p_ik"):
        assert record["confidence"] is None
        assert record["reason"] == "none of 3 replies says 'Yes' or 'No'"


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


class SeededApi(ChatApi):
    """Replies with the seed it was sent, as an API that heeds it would make depend on it."""

    _seed = 1234

    def _create_payload(self, messages, **kwargs):
        raise AssertionError("lm-eval's API models have this method; it marks them")

    def reply(self, prompt, generation):
        return f" {generation.get('seed', 'none')}"


def test_an_api_gets_a_seed_of_its_own_for_every_sample_of_every_question():
    results = run(SeededApi(), methods=["sampling", "distinct_answers"], k=3)
    first, second = (record["samples"] for record in records(results, "sampling"))
    assert (first, second) == (["1234", "1235", "1236"], ["1237", "1238", "1239"])
    for record in records(results, "sampling"):
        assert record["answer"] == "none"  # the answer is asked for as ever
    assert [record["confidence"] for record in records(results, "distinct_answers")] == [0, 0]


def test_questions_that_an_api_is_asked_together_share_their_seeds():
    # lm-eval sends at a time only requests with the same generation arguments.
    model = SeededApi()
    model._concurrent = 2
    results = run(model, methods=["sampling"], k=3)
    first, second = (record["samples"] for record in records(results, "sampling"))
    assert first == second == ["1234", "1235", "1236"]


def test_a_server_that_does_not_sample_is_warned_about(caplog):
    class Deaf(SeededApi):
        def reply(self, prompt, generation):
            return " Paris"

    run(Deaf(), methods=["sampling"], k=3)
    assert "gave all 3 replies to each of 2 prompts alike" in caplog.text
    caplog.clear()
    run(SeededApi(), methods=["sampling"], k=3)
    assert "alike" not in caplog.text


def test_what_a_server_leaves_of_a_stop_string_is_cut_off_before_the_third_turn():
    class Uncut(ChatApi):
        def reply(self, prompt, generation):
            return super().reply(prompt, generation) + generation["until"][0] + " Why?"

    results = run(Uncut(), methods=["cot_verbalized"])
    for record in records(results, "cot_verbalized"):
        assert record["reasoning"] == "Because." and record["confidence"] == 0.6


@pytest.mark.parametrize(
    ("metadata", "offered"),
    [
        (
            {"k": 3, "weighting": "likelihood"},
            {
                "methods": ["zero_shot_classifier", "verbalized", "sampling"],
                "k": 3,
                "yes_no": "sampled",
            },
        ),
        (
            {"methods": ["likelihood"], "split": "train"},
            {"methods": ["zero_shot_classifier"], "split": "train", "yes_no": "sampled"},
        ),
        ({"methods": ["likelihood", "verbalized"]}, {"methods": ["verbalized"]}),
    ],
)
def test_the_way_out_keeps_the_other_options_and_runs_before_any_question(metadata, offered):
    model = ChatApi()
    with pytest.raises(NotImplementedError) as caught:
        run(model, **metadata)
    assert not model.asked
    words = shlex.split(str(caught.value).split("--metadata ")[1])
    options = json.loads(words[0].rstrip(".,"))
    assert options == offered
    run(model, **options)
    assert model.asked


def test_multiple_choice_without_log_probabilities_names_the_other_form():
    with pytest.raises(NotImplementedError, match="likeliest option; ask an open-ended task"):
        run(ChatApi(), "calib_worldfacts_mc", yes_no="sampled")


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
