"""Scores that are no probabilities: a named scale, an order, or an error that does not guess."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

import calibench.cli
from calib_metrics import score
from calib_metrics.registry import METRICS, NAMES
from calib_metrics.scales import check_order_metrics, of_order, to_confidence

OF_ORDER = [name for name in NAMES if METRICS[name].of_order]
FEW = ("--resamples", "20")


def run(*arguments):
    command = ["score", *map(str, arguments), *FEW]
    found = CliRunner().invoke(calibench.cli.cli, command, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def a_file(tmp_path, confidences, correct):
    path = tmp_path / "answers.csv"
    rows = "".join(f"{c},{y}\n" for c, y in zip(confidences, correct, strict=True))
    path.write_text(f"confidence,correct\n{rows}")
    return path


# Finite scores that survive being written and being scaled, so that their order is theirs.
SCORES = st.integers(-1000, 1000).map(lambda k: k / 8)
ROWS = st.lists(st.tuples(st.none() | SCORES, st.booleans()), min_size=2)


@given(ROWS, st.sampled_from([np.exp, np.arctan, lambda x: 3 * x - 7]))
def test_what_is_declared_to_depend_on_the_order_does_so_alone(rows, increasing):
    values, correct = (np.array(column, float) for column in zip(*rows, strict=True))
    if np.isnan(values).all():
        return
    ranks = to_confidence(values, "rank")
    assert np.array_equal(np.isnan(ranks), np.isnan(values))
    np.testing.assert_array_equal(ranks, to_confidence(increasing(values / 100), "rank"))
    # Any other increasing function into [0, 1] gives the same scores.
    other = 0.25 + values / 10_000
    for name in OF_ORDER:
        with np.testing.suppress_warnings() as quiet:
            quiet.filter(UserWarning)
            one = score(ranks, correct, [name], resamples=0)[name].value
            two = score(other, correct, [name], resamples=0)[name].value
        assert one == pytest.approx(two, nan_ok=True), name


def test_ranks_lie_inside_the_interval_so_that_the_worst_case_is_worse_than_all():
    ranks = to_confidence([-np.inf, 2.0, None, 2.0, np.inf], "rank")
    np.testing.assert_array_equal(ranks, [0.25, 0.5, np.nan, 0.5, 0.75])
    right = [0, 1, 1, 1, 1]
    found = score(ranks, right, ["auroc"], missing="worst_case", resamples=0)["auroc"]
    assert found.value == 0.75  # the missing answer is right, and below the wrong one


@pytest.mark.parametrize("scale, factor", [("probability", 1), ("percent", 100), ("ten", 10)])
def test_scales_divide_by_what_they_are_called(tmp_path, scale, factor):
    """Hand-worked: gaps .1, .4, .3 and .8 in bins of their own."""
    confidences, correct = [0.9, 0.6, 0.3, 0.8], [1, 1, 0, 0]
    path = a_file(tmp_path, [factor * c for c in confidences], correct)
    output = run(path, "--scale", scale)
    assert re.search(r"^  ece ↓ +0.4000 ", output, re.MULTILINE)
    assert output.count(f"|scale:{scale}") == (0 if scale == "probability" else 5)


def test_ratings_from_0_to_10_are_not_taken_for_percent(tmp_path):
    """9, 8, 7 with all right are 1 - .8 off as ratings, not 1 - .08."""
    path = a_file(tmp_path, [9, 8, 7], [1, 1, 1])
    with pytest.raises(ValueError, match="from 7 to 9, outside .*percent, ten or rank") as found:
        run(path)
    assert "looks like percent" not in str(found.value)
    output = run(path, "--scale", "ten")
    assert re.search(r"^  ece ↓ +0.2000 ", output, re.MULTILINE) and "already" not in output
    assert "No value is above 1: are they probabilities already?" in run(
        a_file(tmp_path, [0.9, 0.8, 0.7], [1, 1, 1]), "--scale", "percent"
    )


def test_log_probabilities_are_ranked_as_scikit_learn_ranks_them(tmp_path):
    rng = np.random.default_rng(3)
    values, correct = -rng.exponential(20, 200).round(1), rng.integers(0, 2, 200)
    path = a_file(tmp_path, values, correct)
    run(path, "--scale", "rank", "--json", tmp_path / "s.json")
    (report,) = json.loads((tmp_path / "s.json").read_text())["reports"]
    found = {name: each["value"] for name, each in report["scores"].items()}
    assert found["auroc"] == pytest.approx(roc_auc_score(correct, values))
    assert found["average_precision"] == pytest.approx(average_precision_score(correct, values))
    assert found.keys() == {"acc", "auroc", "average_precision", "aurc", "prr", "answered"}
    assert all(each["signature"].endswith("|scale:rank") for each in report["scores"].values())
    assert report["noise_floor"] is None


def test_with_ranks_no_metric_of_the_values_is_computed(tmp_path):
    path = a_file(tmp_path, [-1, -2], [1, 0])
    with pytest.raises(ValueError, match="ece, brier: the scale 'rank' .* only their order"):
        run(path, "--scale", "rank", "--metrics", "auroc,ece,brier")
    with pytest.raises(ValueError, match="--figures draws reliability diagrams"):
        run(path, "--scale", "rank", "--figures", tmp_path / "figures")
    assert {name for name in NAMES if of_order(name)} == {
        *("auroc", "average_precision", "aurc", "excess_aurc", "prr", "selective_accuracy"),
        *("coverage_at_accuracy", "acc", "answered"),
    }
    check_order_metrics(["selective_accuracy@0.7", "acc"])
    with pytest.raises(ValueError, match="a metric"):
        check_order_metrics(["nonsense"])


def test_an_order_the_wrong_way_round_is_pointed_out(tmp_path):
    entropies, correct = list(range(40)), [1] * 20 + [0] * 20
    path = a_file(tmp_path, entropies, correct)
    assert "negate the column" in run(path, "--scale", "rank")
    path = a_file(tmp_path, [-value for value in entropies], correct)
    assert "negate" not in run(path, "--scale", "rank")


@pytest.mark.parametrize(
    "values, scale, sentence",
    [
        (
            [50, 101.5],
            "percent",
            "from 50 to 101.5, which the scale 'percent' does not: .* 0 to 100",
        ),
        ([-1, 5], "ten", "from -1 to 5, which the scale 'ten' does not: it runs from 0 to 10"),
        ([0.5], "stars", "scale is 'stars': choose one of probability, percent, ten, rank"),
    ],
)
def test_values_that_a_scale_does_not_have_are_errors(values, scale, sentence):
    with pytest.raises(ValueError, match=sentence):
        to_confidence(values, scale)


def test_by_a_column_of_a_table(tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text("confidence,correct,topic\n0.9,1,a\n0.6,1,a\n0.3,0,b\n0.8,0,b\n")
    output = run(path, "--by", "topic", "--metrics", "acc,ece")
    # Gaps .1 and .4 in topic a, .3 and .8 in b: .25 and .55, mean .4.
    lines = [line.split() for line in output.splitlines()]
    assert ["a", "2", "1.0000", "0.2500"] in lines and ["b", "2", "0.0000", "0.5500"] in lines
    assert ["mean", "of", "2", "4", "0.5000", "0.4000"] in lines
    with pytest.raises(ValueError, match="no column 'subject'"):
        run(path, "--by", "subject")
    with pytest.raises(ValueError, match="classwise_ece need the probabilities of all options"):
        run(path, "--metrics", "acc,classwise_ece")
