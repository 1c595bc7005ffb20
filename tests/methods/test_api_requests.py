"""Methods on back ends that return no scores, as chat APIs: the way out, the seeds, the stops."""

import json
import shlex

import pytest

from helpers.chat_api import ChatApi, records, run, save


@pytest.mark.parametrize("method", ["likelihood", "zero_shot_classifier", "question_only", "p_ik"])
def test_a_back_end_without_log_probabilities_is_a_sentence_that_names_the_way_out(method):
    with pytest.raises(NotImplementedError, match='returns no log-prob.*"yes_no": "sampled"'):
        run(ChatApi(), methods=[method])


def test_the_sentence_comes_for_frozen_answers_too(tmp_path):
    first = run(ChatApi(), methods=["verbalized"])
    file = save(first, tmp_path)
    with pytest.raises(NotImplementedError, match="returns no log-probabilities"):
        run(ChatApi(), methods=["zero_shot_classifier"], answers=file)
    judged = run(ChatApi(), methods=["zero_shot_classifier"], answers=file, yes_no="sampled")
    answers = [record["answer"] for record in records(first, "verbalized")]
    assert [r["answer"] for r in records(judged, "zero_shot_classifier")] == answers


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
    assert "All 3 replies to each of 2 prompts were the same" in caplog.text
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
