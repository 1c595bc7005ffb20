"""`calibench gate --update`: what it keeps, and what it refuses to write."""

import errno
import os

import pytest
import yaml
from sklearn.metrics import brier_score_loss

from helpers.gate_runs import METHOD, TASK, edit, model, rows_of_model, run_gate, write_run


def test_update_keeps_what_a_person_chose(baseline, tmp_path):
    def choose(data):
        data["tasks"][0]["metrics"] = [
            {"name": "brier", "filter": METHOD, "value": 0, "tolerance": 0.01},
            {"name": "nll", "filter": METHOD, "value": 0, "test": "interval"},
        ]

    edit(baseline, choose)
    assert run_gate("--update", baseline, tmp_path / "base")[0] == 0
    once = baseline.read_bytes()
    (task,) = yaml.safe_load(once)["tasks"]
    brier, nll = task["metrics"]
    confidence, correct = model()
    assert brier["value"] == pytest.approx(brier_score_loss(correct, confidence))
    assert brier["tolerance"] == 0.01 and nll["test"] == "interval" and "samples" in task
    assert run_gate(baseline, tmp_path / "base")[0] == 0
    assert run_gate("--update", baseline, tmp_path / "base")[0] == 0
    assert baseline.read_bytes() == once
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "samples", "tiny.yaml"]


def test_a_baseline_is_written_through_a_link_but_not_in_a_circle(baseline, tmp_path):
    link, loop = tmp_path / "link.yaml", tmp_path / "loop.yaml"
    link.symlink_to(baseline)
    loop.symlink_to(loop)
    baseline.write_text(baseline.read_text() + "# by hand\n")
    assert run_gate("--update", link, tmp_path / "base")[0] == 0
    assert link.is_symlink() and "# by hand" not in baseline.read_text()
    code, said = run_gate("--update", loop, tmp_path / "base")
    assert code == 2 and os.strerror(errno.ELOOP) in said and loop.is_symlink()


def test_no_baseline_is_made_of_results_that_disagree_with_their_samples(tmp_path):
    run = write_run(tmp_path / "base", rows_of_model(), printed={f"ece,{METHOD}": 0.5})
    code, said = run_gate("--update", tmp_path / "b.yaml", run)
    assert code == 2 and f"gives ece,{METHOD} = 0.5, but its samples give" in said
    assert not (tmp_path / "b.yaml").exists()


def test_update_replaces_no_file_of_another_kind(tmp_path):
    base = write_run(tmp_path / "base", rows_of_model())
    mine = tmp_path / "samples" / f"b__{TASK}.json.gz"
    mine.parent.mkdir()
    mine.write_text("mine")
    code, said = run_gate("--update", tmp_path / "b.yaml", base, "--samples", mine.parent)
    assert code == 2 and "choose another folder" in said
    assert mine.read_text() == "mine" and not (tmp_path / "b.yaml").exists()
    notes = tmp_path / "notes.yaml"
    notes.write_text("shopping: [milk]\n")
    assert run_gate("--update", notes, base)[0] == 2
    assert notes.read_text() == "shopping: [milk]\n"
