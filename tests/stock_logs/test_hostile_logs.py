"""Logs of stock tasks with values that cannot be: one sentence that names file and line."""

import json

import pytest
from click.testing import CliRunner

from calibench.cli import cli

HUGE = 10**400


def row(number, **changes):
    """A question of two options, whose likelier one is right."""
    return {
        "doc_id": number,
        "doc": {"question": f"{number}?"},
        "target": "0",
        "arguments": {f"gen_args_{i}": {"arg_0": "?", "arg_1": f" {i}"} for i in (0, 1)},
        "resps": [[["-1.0", "False"]], [["-2.0", "False"]]],
        "filtered_resps": [["-1.0", "False"], ["-2.0", "False"]],
        "filter": "none",
        "acc": 1.0,
        **changes,
    }


def score(tmp_path, results=None, **changes):
    """`calibench score` of a log whose second row has these changes."""
    file = tmp_path / "samples_t_2026-01-01T00-00-00.000000.jsonl"
    rows = [row(0), row(1, **changes), *(row(i, target="1", acc=0.0) for i in (2, 3))]
    file.write_text("".join(json.dumps(each) + "\n" for each in rows))
    if results is not None:
        named = tmp_path / "results_2026-01-01T00-00-00.000000.json"
        named.write_text(json.dumps(results))
    return CliRunner().invoke(cli, ["score", str(file), "--resamples", "0"])


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"doc_id": [1]}, "doc_id is [1], not the number of a document"),
    ({"doc_id": {"a": 1}}, "doc_id is {'a': 1}, not the number of a document"),
    ({"filter": ["none"]}, "the filter is ['none'], not a name"),
    ({"filter": {"a": 1}}, "the filter is {'a': 1}, not a name"),
    ({"filtered_resps": [[HUGE, "False"], ["-2", "False"]]}, "instead of a log-likelihood"),
    ({"acc": HUGE}, "acc is 1000000000"),
    ({"target": HUGE}, "acc = 1"),
])  # fmt: skip
def test_what_cannot_be_is_refused_by_its_line(tmp_path, changes, sentence):
    ended = score(tmp_path, **changes)
    assert isinstance(ended.exception, ValueError)
    message = str(ended.exception)
    assert sentence in message and "line 2" in message and len(message) < 500


@pytest.mark.parametrize("changes", [{"doc": None}, {"doc": []}, {"metrics": {"a": HUGE}}])
def test_what_no_score_depends_on_changes_none(tmp_path, changes):
    (tmp_path / "plain").mkdir()
    (tmp_path / "changed").mkdir()
    plain, changed = score(tmp_path / "plain"), score(tmp_path / "changed", **changes)
    assert plain.exit_code == 0 and changed.output == plain.output


@pytest.mark.parametrize("printed", [HUGE, -1, float("nan"), 0.75])
def test_another_accuracy_than_the_samples_give_is_refused(tmp_path, printed):
    ended = score(tmp_path, {"results": {"t": {"acc,none": printed}}})
    assert "its samples give acc = 0.500000" in str(ended.exception)
    assert len(str(ended.exception)) < 600


def test_groups_that_are_no_names_are_passed_over(tmp_path):
    assert score(tmp_path, {"group_subtasks": {"g": [["t"], {"t": 1}, "t"]}}).exit_code == 0
