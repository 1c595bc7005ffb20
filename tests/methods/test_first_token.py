"""The yes/no methods read from the first token of a reply, against distributions that are known."""

import json
import math
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness_tasks.elicitation.ending import first_token
from harness_tasks.elicitation.first_token import WIDEST, read_first_token
from harness_tasks.elicitation.methods.yes_no import sigmoid
from helpers.chat_server import chat_server
from helpers.transparent_model import Transparent, evaluate

METHODS = ["zero_shot_classifier", "question_only", "p_ik"]


def distribution(message):
    """Of the first token: how likely yes is depends on the length of what is asked."""
    p_yes = (len(message) % 50 + 1) / 60
    rest = 1 - p_yes
    fillers = {f"word{n}": rest * 0.2 / 30 for n in range(30)}
    return {"Yes": p_yes, "No": rest * 0.7, "yes": rest * 0.1, **fillers}


def ask(model, options=None, **metadata):
    _, samples = evaluate(
        "calib_worldfacts", model, metadata=metadata, limit=3, num_fewshot=0, log_samples=True,
        model_args=options, apply_chat_template=options is not None,
    )  # fmt: skip
    return [row["filtered_resps"][0] for row in samples]


def test_the_confidence_is_the_models_own_probability_in_one_call_each():
    with chat_server(distribution) as server:
        records = ask("local-chat-completions", server.options, methods=METHODS,
                      yes_no="first_token")  # fmt: skip
        scored = [asked for asked in server.asked if "logprobs" in asked]
    assert len(records) == 9 and len(scored) == 9 + 1  # and one trial before everything
    for record in records:
        known = distribution(json.loads(record["query"])[-1]["content"])
        exact = known["Yes"] / (known["Yes"] + known["No"])
        assert record["confidence"] == pytest.approx(exact, abs=1e-12)
        assert record["mass"] == pytest.approx(known["Yes"] + known["No"], abs=1e-12)
        assert "|yes_no:first_token|top:20|" in record["signature"]
    assert {asked["max_tokens"] for asked in scored} == {1}
    assert {asked["top_logprobs"] for asked in scored} == {20}


def test_the_temperature_divides_the_log_odds():
    with chat_server(distribution) as server:
        (record, *_) = ask("local-chat-completions", server.options, temperature=2.0,
                           methods=["p_ik"], yes_no="first_token")  # fmt: skip
    known = distribution(json.loads(record["query"])[-1]["content"])
    assert record["confidence"] == pytest.approx(sigmoid(math.log(known["Yes"] / known["No"]) / 2))


def test_a_server_that_gives_first_tokens_is_asked_for_them_in_the_sentence_and_others_are_not():
    for gives, how in ((True, "first_token"), (False, "sampled")):
        with chat_server(distribution, logprobs=gives) as server:
            with pytest.raises(NotImplementedError) as caught:
                ask("local-chat-completions", server.options, methods=["likelihood", *METHODS])
            assert len(server.asked) == 1  # the trial
        words = shlex.split(re.search(r"--metadata '[^']+'", str(caught.value))[0])
        assert json.loads(words[1]) == {"methods": METHODS, "yes_no": how}


def test_without_first_tokens_the_run_ends_before_the_first_question():
    with chat_server(distribution, logprobs=False) as server:
        with pytest.raises(NotImplementedError, match='top_logprobs.*"yes_no": "sampled"'):
            ask("local-chat-completions", server.options, methods=["p_ik"], yes_no="first_token")
        assert len(server.asked) == 1


def test_a_back_end_that_scores_replies_itself_is_not_asked_for_first_tokens():
    with pytest.raises(NotImplementedError, match="is for APIs; this back end scores replies"):
        ask(Transparent(), methods=["p_ik"], yes_no="first_token")


def test_replies_that_begin_alike_cannot_be_told_apart():
    with pytest.raises(ValueError, match="'roman_choice' both begin with a bracket"):
        ask(Transparent(), wording="roman_choice", yes_no="first_token")


@given(
    st.lists(st.floats(1e-9, 1), min_size=3, max_size=40),
    st.integers(1, 20),
    st.permutations(range(3)),
)
def test_what_is_cut_off_moves_the_confidence_by_at_most_half_of_what_is_allowed(weights, top, at):
    probabilities = [weight / sum(weights) for weight in weights]
    names = [f"word{n}" for n in range(len(weights))]
    names[at[0]], names[at[1]] = "Yes", "No"
    known = dict(zip(names, probabilities, strict=True))
    likeliest = sorted(known.items(), key=lambda item: -item[1])[:top]
    found = read_first_token({token: math.log(p) for token, p in likeliest}, "Yes", "No")
    seen = dict(likeliest)
    assert found.mass == pytest.approx(seen.get("Yes", 0) + seen.get("No", 0))
    if found.log_odds is None:
        assert found.reason and not {"Yes", "No"} <= set(seen)
    else:
        exact = known["Yes"] / (known["Yes"] + known["No"])
        assert abs(sigmoid(found.log_odds) - exact) <= WIDEST / 2 + 1e-9


def test_tokens_that_carry_the_space_before_a_word_count_where_the_bare_word_is_not_there():
    odds = read_first_token({"▁Yes": math.log(0.6), " No": math.log(0.2)}, "Yes", "No").log_odds
    assert odds == pytest.approx(math.log(3))
    bare = {"Yes": math.log(0.3), "No": math.log(0.3), " Yes": math.log(0.4)}
    assert read_first_token(bare, "Yes", "No").log_odds == pytest.approx(0)


@pytest.mark.parametrize(
    "said", [None, {}, {"content": []}, {"content": None}, {"top_logprobs": []},
             {"top_logprobs": [None]}, {"content": [{"token": "a", "top_logprobs": []}]}, "no"],
)  # fmt: skip
def test_a_reply_without_log_probabilities_has_none(said):
    assert first_token(said) is None
    assert read_first_token(first_token(said), "Yes", "No").log_odds is None
