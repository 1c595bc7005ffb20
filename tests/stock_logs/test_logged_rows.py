"""Rows of lm-eval's logs, written by hand: what is read from them, and what is refused."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from harness_tasks.stock_logs.lm_eval import read_table
from helpers.stock_logs import GENERATED, run, write_rows

CONTINUED = {**GENERATED, "acc": 1}
CONTINUED["arguments"] = {"gen_args_0": {"arg_0": "2 + 2 =", "arg_1": " 4"}}
CONTINUED["resps"], CONTINUED["filtered_resps"] = [[["-0.1", "True"]]], [["-0.1", "True"]]
WHOLE = {**GENERATED, "arguments": {"gen_args_0": {"arg_0": "A text."}}, "filtered_resps": ["-9.5"]}


@pytest.mark.parametrize(
    "row, sentence",
    [
        (GENERATED, "generated and scored by exact_match, and the log holds no confidence in them"),
        ({**GENERATED, "filter": "strict-match"}, "no confidence in them. Ask for one"),
        (CONTINUED, "one continuation was scored for each question"),
        (WHOLE, "the likelihoods of whole texts"),
    ],
)
def test_a_log_without_confidences_is_one_sentence(tmp_path, row, sentence):
    file = tmp_path / "samples_sums_2026-01-02T03-04-05.jsonl"
    write_rows(file, [row])
    with pytest.raises(ValueError, match=sentence) as found:
        run(file)
    assert len(str(found.value).splitlines()) == 1


def a_log(tmp_path, *rows):
    """Write (likelihoods, texts, target, what lm-eval logged) as a log."""
    file = tmp_path / "samples_t_2026-01-02T03-04-05.jsonl"
    write_rows(
        file,
        [
            {
                "doc_id": place,
                "doc": {},
                "target": target,
                "arguments": {
                    f"gen_args_{k}": {"arg_0": "Q", "arg_1": text} for k, text in enumerate(texts)
                },
                "resps": [[[str(ll), "False"]] for ll in likelihoods],
                "filtered_resps": [[str(ll), "False"] for ll in likelihoods],
                "filter": "none",
                **logged,
            }
            for place, (likelihoods, texts, target, logged) in enumerate(rows)
        ],
    )
    return file


def test_hand_worked_confidences(tmp_path):
    """By hand: e^-1 / (e^-1 + e^-2) = 1 / (1 + 1/e); per character -1/1 and -2/4, so the second."""
    file = a_log(tmp_path, ([-1, -2], [" a", " abcd"], "1", {"acc": 0, "acc_norm": 1}))
    table = read_table(file)
    assert table.columns["acc"].confidence == pytest.approx(1 / (1 + np.exp(-1)))
    assert table.columns["acc"].correct == 0
    assert table.columns["acc_norm"].confidence == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert table.columns["acc_norm"].correct == 1


def test_of_equal_likelihoods_the_first_is_the_answer_as_in_lm_eval(tmp_path):
    file = a_log(tmp_path, ([-1, -1], [" a", " b"], "0", {"acc": 1}))
    assert read_table(file).columns["acc"].confidence == 0.5


@pytest.mark.parametrize(
    "target, logged",
    [("b", 1), ("a", 0), ("[0, 1]", 1), ("[0, 2]", 0), ("-100", 0), ("7", 0), (1, 1), ([1], 1)],
)
def test_targets_in_every_spelling(tmp_path, target, logged):
    file = a_log(tmp_path, ([-2, -1, -3], [" a", " b", " c"], target, {"acc": logged}))
    assert read_table(file).columns["acc"].correct == logged
    other = a_log(tmp_path, ([-2, -1, -3], [" a", " b", " c"], target, {"acc": 1 - logged}))
    with pytest.raises(ValueError, match="acc chooses option 1"):
        read_table(other)


def test_a_text_of_digits_is_an_option_where_its_place_contradicts_lm_eval(tmp_path):
    file = a_log(tmp_path, ([-2, -1], [" 1", " 0"], "0", {"acc": 1}))
    assert read_table(file).columns["acc"].correct == 1


def test_the_second_half_of_mutual_information_is_not_an_option(tmp_path):
    texts, logged = [" a", " b", " a", " b"], {"acc": 1, "acc_mutual_info": 0}
    file = a_log(tmp_path, ([-1, -2, -0.1, -9], texts, "0", logged))
    assert read_table(file).columns["acc"].confidence == pytest.approx(1 / (1 + np.exp(-1)))


def test_an_impossible_question_has_no_confidence_and_is_counted(tmp_path):
    nothing = float("-inf")
    rows = (
        ([nothing, nothing], [" a", " b"], "0", {"acc": 1}),
        ([-1, -2], [" a", " b"], "1", {"acc": 0}),
    )
    output = run(a_log(tmp_path, *rows), "--metrics", "answered,ece,multiclass_nll")
    assert re.search(r"answered ↑ +0.5000", output) and "without 1 questions" in output


def test_a_log_without_verdicts_is_scored_when_asked_to_alone(tmp_path):
    """As crows_pairs: two sentences, neither of them right."""
    logged = {"likelihood_diff": 0.5, "pct_stereotype": 1}
    file = a_log(tmp_path, ([-1, -2], ["a", "b"], "0", logged))
    with pytest.raises(ValueError, match="no verdict on the likeliest option.*--method acc"):
        run(file)
    assert "nothing confirms" in run(file, "--method", "acc")


def test_of_more_than_two_options_a_verdict_tells_the_right_one_too_seldom_to_score_it(tmp_path):
    """Else the options' scores would be those of right answers only, and look good."""
    rows = [([-1, -2, -3], [" a", " b", " c"], "?", {"acc": k % 2}) for k in range(6)]
    output = run(a_log(tmp_path, *rows))
    assert re.search(r"multiclass_nll ↓ +n/a", output) and re.search(r"acc ↑ +0.5000", output)
    assert "does not say which option is right in 6 of 6" in output


def test_pairs_of_the_right_and_the_chosen_option_are_a_verdict(tmp_path):
    """As glue's cola logs them."""
    file = a_log(tmp_path, ([-1, -2], [" no", " yes"], "1", {"mcc": [1, 0]}))
    table = read_table(file)
    assert table.columns["acc"].correct == 0 and len(table.notes) == 1
    other = a_log(tmp_path, ([-1, -2], [" no", " yes"], "1", {"mcc": [1, 1]}))
    with pytest.raises(ValueError, match="lm_eval took number 1"):
        read_table(other)


LIKELIHOODS = st.lists(st.floats(-50, -0.01), min_size=2, max_size=6)


@given(st.lists(LIKELIHOODS, min_size=1, max_size=8), st.floats(-20, 20), st.data())
def test_confidence_is_the_largest_share_and_no_shift_of_the_likelihoods_changes_it(
    tmp_path_factory, questions, shift, data
):
    tmp_path = tmp_path_factory.mktemp("log")
    rows, moved = [], []
    for likelihoods in questions:
        texts = [f" {k}" for k in "abcdef"[: len(likelihoods)]]
        gold = data.draw(st.integers(0, len(likelihoods) - 1))
        for values, into in ((likelihoods, rows), ([ll + shift for ll in likelihoods], moved)):
            verdict = {"acc": int(np.argmax(values) == gold)}
            into.append((values, texts, str(gold), verdict))
    column = read_table(a_log(tmp_path, *rows)).columns["acc"]
    other = read_table(a_log(tmp_path, *moved)).columns["acc"]
    np.testing.assert_allclose(column.confidence, other.confidence, rtol=1e-9)
    for likelihoods, confidence, shares in zip(
        questions, column.confidence, column.probabilities, strict=True
    ):
        assert confidence == shares.max() and confidence >= 1 / len(likelihoods) - 1e-12
        np.testing.assert_allclose(shares, softmax(likelihoods), rtol=1e-12)


def test_methods_that_are_alike_because_all_options_have_one_letter_are_no_surprise(tmp_path):
    rows = [([-1, -2 - k], [" A", " B"], "0", {"acc": 1, "acc_norm": 1}) for k in range(5)]
    output = run(a_log(tmp_path, *rows))
    assert "conf:acc_norm" in output and "the same confidences in every row" not in output
