"""What was cut, did not fit or never came to its point gives no confidence, and says why.

The model is a transparent one: its tokens are words, and its replies are given.
"""

import math
import pickle
import re

import pytest
from lm_eval.api.instance import Instance

from harness_tasks.elicitation.ending import Reply, without_thought
from harness_tasks.elicitation.late import token_loglikelihood
from harness_tasks.elicitation.prompts import PERCENT_WORDINGS, PercentWording
from harness_tasks.elicitation.response_cache import _Entries
from helpers.task_runs import (
    TASKS,
    Hashed,
    records,
    run,
    write_samples,
)

TASK = "calib_worldfacts"


class Words(Hashed):
    """Words are its tokens; `reply` is what it says, to the first question or to every one."""

    tokenizer = object()
    max_length = 400

    def __init__(self, reply=" Paris", judgement=" 70%", **attributes):
        super().__init__()
        self.said, self.judgement = reply, judgement
        for name, value in attributes.items():
            setattr(self, name, value)
        self.asked = []

    def tok_encode(self, text, **_):
        return text.split()

    def generate_until(self, requests):
        self.asked += [request.args for request in requests]
        return super().generate_until(requests)

    def reply(self, prompt):
        return self.judgement if prompt.endswith("Probability:") else self.said

    def loglikelihood(self, requests):
        return [(-1.0 - len(c.split()), False) for _, c in (r.args for r in requests)]


def worldfacts(model, task=TASK, **metadata):
    return run(task, include=TASKS / "worldfacts", model=model, limit=2, metadata=metadata)


# ------------------------------------------------------------------------------------ the answer


def test_an_answer_cut_at_its_limit_gives_no_confidence_and_is_counted(caplog):
    found = worldfacts(Words(reply=" Uganda Addis" * 8))  # 16 words, the limit of the task
    for method in ("likelihood", "zero_shot_classifier", "verbalized", "sampling"):
        for record in records(found, TASK, method):
            assert record["confidence"] is None
            assert record["reason"].startswith(
                "the answer is unfinished: cut at its limit of 16 tokens"
            )
        assert found["results"][TASK][f"answered,{method}"] == 0
    assert "2 of 2 replies were cut at their limit of 16 tokens" in caplog.text
    assert "max_gen_toks" in caplog.text


def test_a_cut_answer_stays_cut_when_it_is_frozen(tmp_path):
    class Once(Words):
        """Its first answer is cut, its second is not."""

        def generate_until(self, requests):
            replies = super().generate_until(requests)
            prompt = requests[0].args[0]
            return [
                " on" * 16 if r.args[0] == prompt else x
                for r, x in zip(requests, replies, strict=True)
            ]

    methods = ["zero_shot_classifier"]
    file = write_samples(worldfacts(Once(), methods=methods), TASK, tmp_path)
    again = records(worldfacts(Words(), methods=methods, answers=str(file)), TASK, methods[0])
    assert [record["confidence"] is None for record in again] == [True, False]
    assert again[0]["reason"].startswith("the answer is unfinished: cut at its limit of 16")


def test_an_answer_whose_line_ended_is_whole_wherever_the_reply_was_cut():
    reply = " Paris\n\nQuestion " + "and on " * 8
    for record in records(worldfacts(Words(reply=reply)), TASK, "verbalized"):
        assert (record["answer"], record["confidence"]) == ("Paris", 0.7)


def test_a_thought_is_left_out_and_one_without_an_end_is_no_answer():
    closed = worldfacts(Words(reply="<think>Perhaps Rome?</think> Paris"))
    assert {r["answer"] for r in records(closed, TASK, "verbalized")} == {"Paris"}
    open_ = worldfacts(Words(reply="<think>Perhaps Paris? Or"))
    for record in records(open_, TASK, "sampling"):
        assert (record["answer"], record["correct"], record["confidence"]) == ("", 0, None)
        assert "a thought without its </think>" in record["reason"]


def test_a_reply_behind_a_thought_of_several_lines_can_be_cut_too():
    thought = "<think>Perhaps Rome?\nNo, on and on and on.</think>"
    cut = worldfacts(Words(reply=thought + " Uganda Addis" * 4))  # 16 words
    for record in records(cut, TASK, "verbalized"):
        assert record["confidence"] is None and "cut at its limit" in record["reason"]
    whole = worldfacts(Words(reply=thought + " Paris\nand more"))
    assert {r["confidence"] for r in records(whole, TASK, "verbalized")} == {0.7}


class Engine(Words):
    """Ends a reply at the first stop string and at the limit, as engines do, thought or not."""

    def generate_until(self, requests):
        replies = super().generate_until(requests)
        return [self.ended(text, **r.args[1]) for text, r in zip(replies, requests, strict=True)]

    def ended(self, text, until, max_gen_toks, **_):
        (whole,) = re.findall(rf"^(?:\s*\S+){{0,{max_gen_toks}}}", text)
        return min((whole.split(stop)[0] for stop in until), key=len, default=whole)


THINKER = {
    "reply": "<think>Perhaps Rome?\n\nNo, it is in France.</think> Paris\nQuestion: and more",
    "judgement": "<think>Fairly\nsure.</think> 80%\nOr so",
}


def test_room_for_a_thought_keeps_stop_strings_out_of_it():
    methods = ["verbalized", "sampling"]
    for record in records(worldfacts(Engine(**THINKER), methods=methods), TASK, "verbalized"):
        assert record["confidence"] is None and "thinking_tokens" in record["reason"]
    model = Engine(**THINKER)
    found = worldfacts(model, methods=methods, thinking_tokens=20, k=2)
    assert {args[1]["max_gen_toks"] for args in model.asked} == {16 + 20, 32 + 20}
    assert not any("thinking_tokens" in args[1] for args in model.asked)
    for record in records(found, TASK, "verbalized"):
        assert (record["answer"], record["confidence"]) == ("Paris", 0.8)
    for record in records(found, TASK, "sampling"):
        assert record["confidence"] == 1.0


def test_a_reply_without_a_thought_ends_where_it_would_without_the_room():
    for tokens in (0, 50):
        model = Engine(reply=" Paris\nQuestion: and more", judgement=" 70%\nOr so")
        for record in records(worldfacts(model, thinking_tokens=tokens), TASK, "verbalized"):
            assert (record["answer"], record["confidence"]) == ("Paris", 0.7)


def test_the_room_for_a_thought_has_to_fit_the_window_too():
    for record in records(worldfacts(Engine(**THINKER), thinking_tokens=400), TASK, "verbalized"):
        assert record["confidence"] is None and "the model's window has 400" in record["reason"]


def test_a_thought_that_the_prompt_opens_is_one_too():
    assert without_thought("Rome? No.</think>Paris") == ("Paris", False)
    assert without_thought("Rome? No", "user: Capital?<think>\n") == ("Rome? No", True)
    assert without_thought("I think Paris", "user: Capital?") == ("I think Paris", False)


def test_how_a_cached_reply_ended_survives_the_cache():
    stored = {}
    entries = _Entries(stored, "me")
    entries["key"] = Reply("from 9", ended=False, limit=2)
    entries["pair"] = (-1.0, True)
    found = pickle.loads(pickle.dumps(stored))
    again = _Entries(found, "me")
    assert again["key"] == "from 9" and again["key"].ended is False and again["key"].limit == 2
    assert again["pair"] == (-1.0, True)
    assert "key" not in _Entries(found, "another")


# ------------------------------------------------------------------------------- further turns


def test_a_further_turn_that_does_not_fit_gives_no_confidence(caplog, monkeypatch):
    methods = ["zero_shot_classifier", "verbalized", "likelihood"]
    whole = worldfacts(Words(), methods=methods)
    assert all(record["confidence"] == 0.7 for record in records(whole, TASK, "verbalized"))
    # The first turns fit, with room for 16 tokens of an answer; a question that is longer does not.
    window = 16 + max(len(row["arguments"][0][0].split()) for row in whole["samples"][TASK])
    long = PercentWording(" ".join(["Why?"] * window), cue="Probability")
    monkeypatch.setitem(PERCENT_WORDINGS, "likely", long)
    cut = worldfacts(Words(max_length=window), methods=methods)
    for record in records(cut, TASK, "verbalized"):
        assert record["confidence"] is None
        assert f"the model's window has {window}" in record["reason"]
    for method in ("zero_shot_classifier", "likelihood"):
        assert all(record["confidence"] is not None for record in records(cut, TASK, method))
    assert "2 of 2 prompts do not fit" in caplog.text and "max_length" in caplog.text


def test_a_yes_no_question_behind_the_options_that_does_not_fit_is_missing():
    def confidences(window):
        found = run(
            "calib_worldfacts_mc",
            include=TASKS / "worldfacts",
            limit=1,
            num_fewshot=0,
            model=Words(max_length=window),
            metadata={"methods": ["p_ik", "likelihood"]},
        )
        return [records(found, "calib_worldfacts_mc", m)[0] for m in ("p_ik", "likelihood")]

    knows, _ = confidences(400)
    query = len(knows["query"].split())
    assert len(knows["context"].split()) + 1 < query
    fitting, _ = confidences(query + 1)  # with the reply, one word
    assert fitting["confidence"] == knows["confidence"] is not None
    missing, likelihood = confidences(query)
    assert missing["confidence"] is None and likelihood["confidence"] is not None
    assert missing["reason"] == (
        f"the prompt and its reply take {query + 1} tokens, the model's window has {query}"
    )


# --------------------------------------------------------------------------------------- limits


def test_samples_have_room_for_the_longest_option():
    model = Words(reply=" x")
    found = worldfacts(model, "calib_worldfacts_cloze", methods=["sampling"], k=2)
    options = {
        row["doc_id"]: max(len(choice.encode()) for choice in row["doc"]["choices"])
        for row in found["samples"]["calib_worldfacts_cloze"]
    }
    limits = [generation["max_gen_toks"] for _, generation in model.asked]
    assert sorted(set(limits)) == sorted({longest + 4 for longest in options.values()})


# ---------------------------------------------------------------------------------- small sums


class Newlines(Words):
    """Its tokens are words and line ends; each costs as many nats as it has letters, a line end 5.

    As lm-eval, it scores the white space that ends a prompt with the continuation.
    """

    def tok_encode(self, text, **_):
        return text.replace("\n", " ⏎ ").split()

    def loglikelihood(self, requests):
        scored = []
        for prompt, continuation in (request.args for request in requests):
            bare = prompt.rstrip()
            tokens = self.tok_encode(prompt + continuation)[len(self.tok_encode(bare)) :]
            scored.append((-float(sum(5 if t == "⏎" else len(t) for t in tokens)), False))
        return scored


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_the_white_space_that_ends_a_prompt_is_no_part_of_the_answer(end):
    pairs = [(f"Capital of Peru?{end}", " Lima Lima"), (f"And Chad?{end}", " Oslo")]
    requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    # Eight letters in two tokens, four in one.
    assert token_loglikelihood(Newlines(), requests) == [(-8.0, 2), (-4.0, 1)]


def test_the_likelihood_under_a_template_that_ends_in_a_newline_is_the_answers_mean():
    (one, _) = token_loglikelihood(
        Newlines(), [Instance("loglikelihood", {}, ("user\nassistant\n", "Lima"), 0)]
    )[0]
    assert math.exp(one / 1) == pytest.approx(math.exp(-4))


def test_the_signature_of_options_says_that_nothing_is_normalised():
    task = "calib_worldfacts_mc"
    options = records(worldfacts(Words(), task, methods=["likelihood"]), task, "likelihood")
    assert {r["signature"] for r in options} == {"norm:none|softmax:options|grading:option"}
    texts = records(worldfacts(Words(), methods=["likelihood"]), TASK, "likelihood")
    assert {r["signature"] for r in texts} == {"norm:tokens|grading:exact"}


# ------------------------------------------------------------------------------------ sentences


class Ending:
    """A tokenizer with one special token."""

    all_special_ids = ("</s>",)

    def convert_ids_to_tokens(self, token):
        return token


def test_a_tokenizer_that_ends_every_text_is_refused_before_anything_is_asked():
    class Appending(Words):
        def tok_encode(self, text, **_):
            return [*text.split(), "</s>"]

    model = Appending(tokenizer=Ending())
    with pytest.raises(ValueError, match=f"{TASK}: .*ends every text with '</s>'.*add_eos_token"):
        worldfacts(model)
    assert model.asked == []
    seq2seq = Appending(tokenizer=Ending(), backend="seq2seq")  # there it belongs
    worldfacts(seq2seq, methods=["verbalized"])


@pytest.mark.parametrize("task", [TASK, "calib_worldfacts_mc"])
def test_a_model_that_thinks_first_is_a_sentence_with_the_tasks_name(task):
    model = Words(enable_thinking=True)
    with pytest.raises(NotImplementedError, match=f"^{task}: .*enable_thinking=True.*leave"):
        worldfacts(model, task, methods=["zero_shot_classifier"])
    assert model.asked == []
