"""Several programs that add to one store, and what killed ones left there."""

import threading

from filelock import FileLock

from calib_leaderboards.store import add, read_entries
from helpers.store_runs import (
    FEW,
    tree,
    with_model,
)


def test_an_add_waits_for_another(evaluated, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    with FileLock(store / ".lock"):
        thread = threading.Thread(target=add, args=([evaluated], store), kwargs=FEW)
        thread.start()
        thread.join(timeout=2)
        assert thread.is_alive() and tree(store).keys() == {".lock"}
    thread.join()
    assert len(read_entries(store)) == 2


def test_adds_at_once_lose_nothing(evaluated, tmp_path):
    store, errors = tmp_path / "store", []
    names = ["one", "two", "three", "four", "four"]

    def work(run):
        try:
            add([run], store, **FEW)
        except ValueError as error:
            errors.append(str(error))

    runs = [
        with_model(evaluated, tmp_path / f"{i}", pretrained=f"org/{name}")
        for i, name in enumerate(names)
    ]
    threads = [threading.Thread(target=work, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = read_entries(store)
    assert sorted(entry.model.name for entry in entries) == sorted(
        f"org/{name}" for name in set(names) for _ in range(2)
    )
    assert len(errors) == 1 and "already in the store" in errors[0]
    assert not list(store.rglob("*.part"))


def test_an_add_removes_what_killed_adds_left_and_nothing_else(ours, tmp_path):
    store = tmp_path / "store"
    folder = store / "org__tiny" / "main"
    folder.mkdir(parents=True)
    left = folder / ".0123456789abcdef.part"
    others = [folder / "notes.part", folder / ".mine.part", store / ".0123456789abcdef.part"]
    for file in (left, *others):
        file.write_bytes(b"half")
    add([ours], store, **FEW)
    assert not left.exists() and all(file.exists() for file in others)
