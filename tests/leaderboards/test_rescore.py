"""Entries of older versions get the scores that newer ones compute, from their samples."""

import json

import pytest
from click.testing import CliRunner

from calib_leaderboards.store import add, read_entries
from calib_leaderboards.store.rescore import rescore

FEW = {"resamples": 20}  # intervals are not under test where this is given


def without(store, *names):
    """Take scores out of every entry, as if an older version had made it."""
    for file in store.rglob("*.json"):
        entry = json.loads(file.read_text("utf-8"))
        for score in entry["scores"]:
            for name in names:
                score["metrics"].pop(name, None)
        file.write_text(json.dumps(entry, indent=1, ensure_ascii=False) + "\n", "utf-8")


def test_an_entry_of_an_older_version_becomes_what_a_new_add_makes(evaluated, tmp_path):
    store = tmp_path / "store"
    files = add([evaluated], store, **FEW)
    made = {file: file.read_bytes() for file in files}
    without(store, "brier_skill", "aurc")
    assert sorted(rescore(store)) == sorted(files)
    assert {file: file.read_bytes() for file in files} == made
    assert rescore(store) == []


def test_stock_tasks_stay_as_they_are(evaluated_stock, tmp_path):
    add([evaluated_stock], tmp_path / "store", **FEW)
    assert rescore(tmp_path / "store") == []


def test_an_edited_score_is_named_and_nothing_is_written(evaluated, tmp_path):
    store = tmp_path / "store"
    files = add([evaluated], store, **FEW)
    without(store, "brier_skill")
    entry = json.loads(files[-1].read_text("utf-8"))
    entry["scores"][0]["metrics"]["brier"]["value"] = 0.0123
    files[-1].write_text(json.dumps(entry), "utf-8")
    before = {file: file.read_bytes() for file in files}
    with pytest.raises(ValueError, match="says that brier of .* is 0.0123"):
        rescore(store)
    assert {file: file.read_bytes() for file in files} == before


def test_the_command_prints_the_files_that_changed(evaluated, tmp_path):
    from calibench.cli import cli

    files = add([evaluated], tmp_path / "store", **FEW)
    without(tmp_path / "store", "aurc")
    done = CliRunner().invoke(
        cli, ["leaderboard", "rescore", "--store", str(tmp_path / "store")], catch_exceptions=False
    )
    assert sorted(done.output.split()) == sorted(map(str, files))
    scores = [score for entry in read_entries(tmp_path / "store") for score in entry.scores]
    assert all("aurc" in score.metrics for score in scores)
