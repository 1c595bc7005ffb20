"""A judge's verdicts, ratings and preferences as scores, and its agreement with people."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from harness_tasks.judge import scores
from harness_tasks.judge.agreement import (
    agreement,
    cohen_kappa,
    kappa_stderr,
    spearman,
    spearman_stderr,
)
from harness_tasks.judge.verdicts import read_verdicts, verdict_on
from helpers.judge_logs import log, record

DOC = {"label": 1, "labels_given": True}


def test_an_unreadable_verdict_lowers_parsed_and_counts_in_nothing_else():
    items = [scores.verdict(DOC, [reply]) for reply in ("Verdict: correct", "Verdict: hm", "?")]
    assert [item["parsed"] for item in items] == [1, 0, 0]
    assert scores.mean_given([item["judged_correct"] for item in items]) == 1.0
    assert scores.agreement([item["agreement"] for item in items]) == 1.0
    assert all(item["ece"][0] is None for item in items)


def test_a_judge_that_is_never_readable_has_no_score_rather_than_a_wrong_one():
    item = scores.rating({"label": None, "labels_given": False}, ["no idea"])
    assert math.isnan(scores.mean_given([item["rating"]]))
    assert item["parsed"] == 0


def test_the_likelier_reply_is_the_verdict_and_its_share_the_confidence():
    # P(Yes) = 0.2, P(No) = 0.6: the verdict is No, with 0.6 / 0.8.
    results = [(math.log(0.2), False), (math.log(0.6), True)]
    item = scores.likelier_verdict(DOC, results)
    assert item["judged_correct"] == 0
    assert item["ece"] == (pytest.approx(0.75), 0)


def likelihoods(*shares):
    return [(math.log(share) if share else -math.inf, False) for share in shares]


def test_a_judge_without_log_probabilities_has_no_likelier_verdict():
    for pair in ([math.nan, -1.0], [-math.inf, -math.inf], [-1.0, -1.0]):
        item = scores.likelier_verdict(DOC, [(value, False) for value in pair])
        assert (item["judged_correct"], item["parsed"], item["answered"]) == (None, 0, 0)


def test_the_expected_rating_of_a_worked_example():
    # Shares 0.1, 0.2, 0.3, 0.2, 0.2 of a third of all probability. Mean 0.1 + 0.4 + 0.9 + 0.8 + 1;
    # variance 0.1 * 2.2² + 0.2 * 1.2² + 0.3 * 0.2² + 0.2 * 0.8² + 0.2 * 1.8².
    shares = [share / 3 for share in (0.1, 0.2, 0.3, 0.2, 0.2)]
    item = scores.expected_rating({"label": 4, "labels_given": True}, likelihoods(*shares))
    assert item["rating"] == pytest.approx(3.2)
    assert item["spread"] == pytest.approx(math.sqrt(1.56))
    assert item["agreement"] == item["kappa"] == item["weighted_kappa"] == (3, 4)
    assert item["spearman"] == (pytest.approx(3.2), 4)
    assert item["ece"] == item["auroc"] == item["brier"] == (pytest.approx(0.3), 0)
    assert item["parsed"] == item["answered"] == 1


def test_two_likeliest_ratings_have_a_mean_but_no_rating_to_compare_with_people():
    item = scores.expected_rating(DOC, likelihoods(0.4, 0, 0, 0, 0.4))
    assert item["rating"] == pytest.approx(3)
    assert item["spread"] == pytest.approx(2)
    assert (item["parsed"], item["answered"]) == (1, 0)
    assert item["agreement"] == (None, 1)


def test_a_rating_without_a_probability_is_counted_and_not_guessed():
    for values in ([-math.inf] * 5, [-1.0, math.nan, -1.0, -1.0, -1.0]):
        item = scores.expected_rating(DOC, [(value, False) for value in values])
        assert (item["rating"], item["spread"], item["parsed"]) == (None, None, 0)


@given(st.lists(st.floats(-50, 0), min_size=5, max_size=5), st.floats(-100, 0))
def test_an_expected_rating_does_not_depend_on_the_probability_of_all_five(values, shift):
    item = scores.expected_rating(DOC, [(value, False) for value in values])
    moved = scores.expected_rating(DOC, [(value + shift, False) for value in values])
    assert 1 <= item["rating"] <= 5 + 1e-12
    assert 0 <= item["spread"] <= 2 + 1e-12
    assert moved["rating"] == pytest.approx(item["rating"], abs=1e-9)


def verdict_row(hash, answer, given):
    return {"doc": {"judged": hash, "answer": answer}, "judged_correct": given}


def test_verdicts_are_found_by_document_and_answer(tmp_path):
    rows = [verdict_row("h", "b", 1), verdict_row("i", "b", 0), verdict_row("j", "b", None)]
    verdicts = read_verdicts(str(log(tmp_path / "judge", rows)))
    assert verdict_on(verdicts, "h", "b", "q") is True
    assert verdict_on(verdicts, "i", "b", "q") is False
    assert verdict_on(verdicts, "j", "b", "q") is None
    with pytest.raises(ValueError, match="not asked about the answer 'c' to 'q'"):
        verdict_on(verdicts, "h", "c", "q")


def test_a_log_that_holds_no_verdicts_grades_nothing(tmp_path):
    with pytest.raises(ValueError, match="line 1 .* not a verdict"):
        read_verdicts(str(log(tmp_path / "run", [record("a", "b")])))
    with pytest.raises(FileNotFoundError, match="holds no samples_"):
        read_verdicts(str(tmp_path / "nowhere"))


@settings(deadline=None)  # the first call imports
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=30))
def test_kappa_is_scikit_learns(rated):
    judge, human = zip(*rated, strict=True)
    for weights, theirs in (("none", None), ("quadratic", "quadratic")):
        ours = cohen_kappa(rated, weights)
        if len({*judge, *human}) == 1:
            assert math.isnan(ours)  # scikit-learn warns and gives nan
            continue
        # All five ratings named: else scikit-learn weighs by rank, not by the ratings.
        labels = range(1, 6) if theirs else None
        expected = cohen_kappa_score(judge, human, weights=theirs, labels=labels)
        assert ours == pytest.approx(expected, abs=1e-12)


def test_agreement_and_kappa_of_a_worked_example():
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: 35 of 50 agree; by chance 0.5.
    table = [((1, 1), 20), ((1, 0), 5), ((0, 1), 10), ((0, 0), 15)]
    rated = [pair for pair, count in table for _ in range(count)]
    assert agreement(rated) == 0.7
    assert cohen_kappa(rated) == pytest.approx(0.4)
    # Fleiss, Cohen and Everitt 1969: the large-sample standard error is 0.127 for this table.
    assert kappa_stderr(rated) == pytest.approx(0.127, abs=0.01)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(1, 5), st.integers(1, 5)), min_size=2, max_size=30))
def test_spearman_is_scipys(rated):
    judge, human = zip(*rated, strict=True)
    if len(set(judge)) == 1 or len(set(human)) == 1:
        assert math.isnan(spearman(rated))  # scipy warns and gives nan
    else:
        expected = spearmanr(judge, human).statistic
        assert spearman(rated) == pytest.approx(expected, abs=1e-12)


def test_the_standard_error_of_spearman_is_that_of_resampled_pairs():
    rng = np.random.default_rng(3)
    human = rng.integers(1, 6, 60)
    rated = list(zip(human + rng.normal(0, 1.5, 60), human, strict=True))
    drawn = [[rated[i] for i in rng.integers(0, 60, 60)] for _ in range(300)]
    expected = np.std([spearmanr(*zip(*sample, strict=True)).statistic for sample in drawn])
    assert spearman_stderr(rated) == pytest.approx(expected, rel=0.2)
    assert math.isnan(spearman_stderr(rated[:1]))
