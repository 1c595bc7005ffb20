"""Sources of `prepare` that are no data set: a sentence, at once."""

import json

import datasets
import pytest
from lm_eval.tasks import TaskManager

import calib_adapters.data.prepare.tasks
from calib_adapters.data.prepare import prepare
from harness_tasks.rows import load_dataset, load_rows


@pytest.fixture
def no_search(monkeypatch):
    """Neither lm-eval's thousands of tasks nor the files of a folder are looked through."""

    def search(*_, **__):
        raise AssertionError("a search that takes minutes")

    monkeypatch.setattr(datasets, "load_dataset", search)
    monkeypatch.setattr(calib_adapters.data.prepare.tasks, "TaskLoader", search)


@pytest.mark.parametrize("source", ["anything", ".", "..", "./anything", "{}", "some/thing"])
def test_a_folder_of_anything_is_refused_at_once(tmp_path, monkeypatch, no_search, source):
    for name in ("anything", "some/thing/below"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "notes.pdf").write_bytes(b"%PDF")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="is a folder: give a file"):
        prepare([source.format(tmp_path / "anything")], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "near"), [
    ("calib_worldfact", "did you mean calib_worldfacts"), ("hellaswg", "did you mean hellaswag"),
    ("qqqqqqqqqqqqqqqq", "`lm_eval ls tasks` lists them"), ("", "a source is empty"),
])  # fmt: skip
def test_a_misspelt_task_is_refused_without_lm_evals_half_minute(tmp_path, monkeypatch, name, near):
    def manager(**options):
        assert options["include_defaults"] is False
        return TaskManager(**options)

    monkeypatch.setattr(calib_adapters.data.prepare.tasks, "TaskManager", manager)
    with pytest.raises(ValueError, match=near):
        prepare([name], tmp_path / "out")


@pytest.mark.parametrize("name", ["org/set", "org/set.v2"])
def test_a_copy_of_a_data_set_in_the_hubs_layout_is_read(tmp_path, monkeypatch, name):
    (tmp_path / name / "data").mkdir(parents=True)
    row = {"question": "?", "answer": "!"}
    (tmp_path / name / "data" / "test.jsonl").write_text(json.dumps(row) + "\n")
    monkeypatch.chdir(tmp_path)
    assert load_rows(name) == [row]


def test_a_damaged_copy_of_a_data_set_is_named(tmp_path, monkeypatch):
    (tmp_path / "org" / "set").mkdir(parents=True)
    (tmp_path / "org" / "set" / "test.jsonl").write_text('{"a": 1}\n{"a": [\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="org/set cannot be read as a data set"):
        load_dataset("org/set")
