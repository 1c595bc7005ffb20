"""A reply that was cut at its limit of tokens is told from one that ended, on every back end."""

import copy
import pickle

import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI

from harness_tasks.elicitation.ending import Reply, ended, listen_to_api, with_endings
from harness_tasks.elicitation.grading import exact
from harness_tasks.elicitation.prompts import Conversation
from harness_tasks.elicitation.question import Question
from harness_tasks.elicitation.registry import METHODS
from harness_tasks.elicitation.settings import parse_settings


def words(text):
    return len(text.split())


@pytest.mark.parametrize(
    ("text", "limit", "count", "told", "expected"),
    [
        ("from 9", 2, words, None, False),
        ("95%", 2, words, None, True),
        ("95%\nand so on", 2, words, None, True),  # the stop is in it
        ("a b c d", 4, words, True, True),  # the server knows better
        ("a", 4, words, False, False),
        ("", 1, words, None, True),
        # Within a sixteenth of the limit it may have been cut.
        (" ".join("x" * 30), 32, words, None, False),
        (" ".join("x" * 29), 32, words, None, True),
        # A token has at least one byte.
        ("95%", 4, None, None, True),
        ("95%.", 4, None, None, None),
        ("九十", 6, None, None, None),
    ],
)
def test_how_a_reply_ended(text, limit, count, told, expected):
    assert ended(text, ["\n"], limit, count, told) is expected


def request(prompt, **generation):
    arguments = (prompt, {"until": ["\n\n\n"], "do_sample": False, **generation})
    return Instance("generate_until", doc={}, arguments=arguments, idx=0, metadata=("t", 0, 1))


def test_the_embedded_models_reply_is_cut_at_a_low_limit_and_ends_before_a_high_one(
    embedded_model_path, caplog
):
    lm = HFLM(pretrained=str(embedded_model_path), device="cpu", dtype="float32", batch_size=1)
    prompt = lm.apply_chat_template([{"role": "user", "content": "What is the capital of Italy?"}])
    requests = [request(prompt, max_gen_toks=limit) for limit in (4, 40)]
    cut, whole = with_endings(lm, lm.generate_until(requests), requests)
    assert (cut.ended, whole.ended) == (False, True)
    assert whole.startswith(cut) and len(cut) < len(whole)
    assert "t: 1 of 1 replies were cut at their limit of 4 tokens" in caplog.text
    assert "of 40 tokens" not in caplog.text


@pytest.mark.parametrize(
    ("model", "choice"),
    [
        (LocalCompletionsAPI, lambda text: {"text": text}),
        (LocalChatCompletion, lambda text: {"message": {"content": text}}),
    ],
)
def test_what_a_server_says_of_an_ending_is_kept(model, choice):
    lm = object.__new__(model)
    lm.think_end_token = None
    listen_to_api(lm)
    listen_to_api(lm)  # twice is once
    choices = [
        {"index": 1, "finish_reason": "stop", **choice("95% and a long explanation")},
        {"index": 0, "finish_reason": "length", **choice("from 9")},
        {"index": 2, **choice("unknown")},
    ]
    cut, whole, unknown = lm.parse_generations(outputs=[{"choices": choices}])
    assert (cut, whole, unknown) == ("from 9", "95% and a long explanation", "unknown")
    assert (cut.ended, whole.ended) == (False, True)
    requests = [request("p", max_gen_toks=16)] * 2
    assert [reply.ended for reply in with_endings(lm, [cut, whole], requests)] == [False, True]


def test_an_answer_of_a_server_without_choices_is_left_alone():
    lm = object.__new__(LocalChatCompletion)
    lm.think_end_token = None
    listen_to_api(lm)
    assert lm.parse_generations(outputs={"error": "blocked"}) == [""]


def test_a_reply_is_pickled_as_the_plain_text_that_other_programs_can_read():
    reply = Reply("95%", False, 16)
    assert type(pickle.loads(pickle.dumps(reply))) is str
    assert copy.copy(reply) == "95%"


def question(chat=False):
    prompt = "Question: What is the capital of France?\nAnswer:"
    messages = [{"role": "user", "content": prompt}] if chat else None
    return Question(
        conversation=Conversation(prompt, prompt, messages=messages, render=str),
        answer=lambda: "Paris",
        answered_by="generate_until",
        agrees=lambda text, answer: exact(text, [answer]),
        options=None,
        generation={"until": ["\n"]},
        instance={"doc": {}, "metadata": ("t", 0, 1)},
    )


def read(method, *replies, chat=False):
    asked, built = question(chat), METHODS[method](parse_settings("t", {}))
    requests = built.requests(asked)
    for one, reply in zip(requests, replies, strict=True):
        one.resps = [reply]
    return built.read(asked, requests)


CUT = ("from 9", "", "To determine the probability of a number being 100% correct,", "Very likely")


@pytest.mark.parametrize("method", ["verbalized", "linguistic"])
@pytest.mark.parametrize("text", CUT)
def test_nothing_is_read_from_a_cut_line(method, text):
    reading = read(method, Reply(text, False, 32))
    assert reading.confidence is None
    assert reading.reason.startswith("unfinished: cut at its limit of 32 tokens")


def test_a_line_that_ended_is_read_though_the_reply_behind_it_was_cut():
    assert read("verbalized", Reply("\n 70%\nThis is beca", False, 32)).confidence == 0.7
    assert read("linguistic", Reply("\n\nVery likely.\nThis is", False, 32)).confidence == 0.875


def test_a_line_that_goes_on_is_read_with_what_follows():
    assert read("verbalized", "90%\nor more").confidence is None
    assert read("verbalized", Reply("90%\nor", False, 32)).reason.startswith("unfinished")


def test_of_a_chat_a_second_number_contradicts_the_first():
    assert read("verbalized", "70%\n\nActually: 20%", chat=True).confidence is None
    assert read("verbalized", "70%\n\nConfidence: 70%", chat=True).confidence == 0.7
    # A plain prompt is continued with questions that the model makes up.
    assert read("verbalized", "70%\n\nHow likely is it?\nProbability: 20%").confidence == 0.7


def test_the_log_says_how_a_range_was_read():
    asked = "Question: What is the capital of France?\nAnswer:"
    words = "How likely is it that the proposed answer is correct, from 0% to 100%?"
    assert read("verbalized", "60-70%").extra == {
        "context": asked,
        "answer_text": " Paris",
        "query": f"{asked} Paris\n\n{words}\nProbability:",
        "reply_form": " {}%",
        "reply_end": "\n\nQuestion:",
        "note": "a range, read as its middle",
    }
    reading = read("cot_verbalized", Reply("Because it", False, 128), "60-70%")
    assert reading.extra == {
        "reasoning": "Because it", "reasoning_cut": True, "note": "a range, read as its middle",
    }  # fmt: skip


def test_the_last_line_of_cut_guesses_is_left_out():
    reply = Reply(" Rome\nP1: 20%\nG2: Paris\nP2: 8", False, 128)
    assert "has no probability" in read("verbalized_top_k", reply).reason
    assert read("verbalized_top_k", Reply(reply + "0%\nG3", False, 128)).confidence == 0.8
    assert read("verbalized_top_k", Reply("Par", False, 128)).reason.startswith("unfinished")


def test_a_limit_is_an_option():
    settings = parse_settings("t", {"reply_tokens": 7})
    (asked,) = METHODS["verbalized"](settings).requests(question())
    assert asked.arguments[1]["max_gen_toks"] == 7
