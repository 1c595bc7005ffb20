"""Adds that wait for one another: as long as entries come, and not for one that is stuck."""

import importlib
import threading

import pytest
from filelock import FileLock

# The package has a function of that name too.
adding = importlib.import_module("calib_leaderboards.store.add")


@pytest.fixture
def held(tmp_path, monkeypatch):
    monkeypatch.setattr(adding, "_PATIENCE", 0.3)
    (tmp_path / "model" / "main").mkdir(parents=True)
    lock = FileLock(tmp_path / adding.LOCK, thread_local=False)
    lock.acquire()
    yield lock
    lock.release()


def test_an_add_that_gets_nothing_done_is_named(tmp_path, held):
    with pytest.raises(RuntimeError, match="has held '.*lock' for 0 seconds"):
        with adding.locked(tmp_path):
            raise AssertionError("two hold it")


def test_many_adds_may_take_longer_than_one_is_waited_for(tmp_path, held):
    numbers = iter(range(8))  # an entry every 0.15 seconds, for four times the patience

    def work():
        number = next(numbers, None)
        if number is None:
            held.release()
            return
        (tmp_path / "model" / "main" / f"{number}.json").touch()
        threading.Timer(0.15, work).start()

    work()
    with adding.locked(tmp_path):
        assert len(list(tmp_path.glob("model/main/*.json"))) == 8
