"""Preferences between two answers, asked for in both orders."""

import pytest

from harness_tasks.judge import answers, pairs, scores
from helpers.judge_logs import log, record


def compared(folder, *replies, label=None):
    """The values that lm-eval collects when both orders of each pair got these replies."""
    one = log(folder / "one", [record(i, "x") for i in "abc"[: len(replies)]])
    two = log(folder / "two", [record(i, "y") for i in "abc"[: len(replies)]])
    documents = answers.load_pairs(answers=str(one), against=str(two), labels=label)["test"]
    flat = [reply for pair in replies for reply in pair]
    return documents, [
        pairs.preference(doc, [f"Better answer: {reply}"])
        for doc, reply in zip(documents, flat, strict=True)
    ]


def test_every_pair_is_shown_in_both_orders(tmp_path):
    documents, _ = compared(tmp_path, ("1", "1"))
    assert [(doc["first"], doc["second"]) for doc in documents] == [("x", "y"), ("y", "x")]


def test_outcomes_need_both_orders_to_agree(tmp_path):
    # a: answers wins in both orders. b: always the first one, which is no preference. c: unusable.
    _, items = compared(tmp_path, ("1", "2"), ("1", "1"), ("2", "both"))
    collected = [item["win_rate"] for item in items]
    assert pairs.outcomes(collected) == {"a": "answers", "b": "tie", "c": None}
    assert pairs.win_rate(collected) == 0.75
    assert pairs.ties(collected) == 0.5
    assert pairs.consistent(collected) == 0.5
    assert pairs.decided(collected) == pytest.approx(2 / 3)
    # Shown first and preferred: a once of two, b twice, c never of one.
    assert scores.mean_given([item["prefers_first"] for item in items]) == pytest.approx(3 / 5)


def test_a_pair_that_limit_cut_is_not_decided(tmp_path):
    _, items = compared(tmp_path, ("1", "2"), ("1", "2"))
    collected = [item["win_rate"] for item in items[:3]]
    assert pairs.outcomes(collected) == {"a": "answers", "b": None}


def test_outcomes_are_compared_with_human_preferences(tmp_path):
    (tmp_path / "labels.csv").write_text("id,label\na,answers\nb,against\n", encoding="utf-8")
    _, items = compared(tmp_path, ("1", "2"), ("1", "1"), label=str(tmp_path / "labels.csv"))
    assert pairs.agreement([item["agreement"] for item in items]) == 0.5


def test_runs_of_different_questions_are_not_compared(tmp_path):
    one = log(tmp_path / "one", [record("a", "x"), record("b", "x")])
    two = log(tmp_path / "two", [record("a", "y")])
    with pytest.raises(ValueError, match="do not answer the same questions; .* b "):
        answers.load_pairs(answers=str(one), against=str(two))
