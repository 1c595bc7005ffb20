"""Output folders: whole or absent, and nothing is left beside them."""

import os

import pytest
from filelock import FileLock

import calib_metrics.pipes
from harness_tasks.templates.table import read_table
from harness_tasks.whole_folder import whole_folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_when_all_is_written_and_replaces_an_empty_one(tmp_path):
    (tmp_path / "out").mkdir()
    with whole_folder(tmp_path / "out") as folder:
        (folder / "file").write_text("text")
        assert names(tmp_path / "out") == []
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["file"]


def test_after_an_error_nothing_is_there(tmp_path):
    with pytest.raises(KeyError), whole_folder(tmp_path / "out") as folder:
        (folder / "file").write_text("text")
        raise KeyError
    assert names(tmp_path) == []


def test_what_a_killed_run_left_is_removed_and_not_published(tmp_path):
    (tmp_path / ".out.part").mkdir()
    (tmp_path / ".out.part" / "old").write_text("half")
    (tmp_path / ".out.lock").touch()
    with whole_folder(tmp_path / "out") as folder:
        (folder / "new").write_text("whole")
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["new"]


def test_a_run_that_is_still_writing_is_left_alone(tmp_path):
    (tmp_path / ".out.part").mkdir()
    with FileLock(tmp_path / ".out.lock"):
        with (
            pytest.raises(ValueError, match="another run is writing"),
            whole_folder(tmp_path / "out"),
        ):
            pass
    assert (tmp_path / ".out.part").is_dir()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_without_a_writer_and_a_device_are_refused_as_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(calib_metrics.pipes, "PATIENCE", 0.1)
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(ValueError, match="a pipe that nobody writes to"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.jsonl").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="is a device"):
        read_table(tmp_path / "t.jsonl")
