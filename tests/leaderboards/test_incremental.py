"""A build makes only what has changed, and gives the bytes of a build from nothing."""

import os
import random
import shutil

import pytest

from calib_leaderboards.pages import build as steps
from calib_leaderboards.pages.publish import build_store
from helpers.board_entries import make_entry, make_samples, make_stock_samples, put, write_store
from helpers.leaderboard_runs import contents


def stamps(folder):
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and ".build" not in path.parts
    }


def from_nothing(store, folder):
    build_store(store, folder)
    made = contents(folder)
    shutil.rmtree(folder)
    return made


def added(store, rng, model=None):
    """An entry of a new model or of one that is there, with scores and samples of its own."""
    seed, skill = rng.randrange(10**6), rng.uniform(-0.5, 0.5)
    names = rng.choice([["likelihood"], ["likelihood", "sampling"], ["verbalized"]])
    scores = {"brier_skill": (skill, skill - 0.1, skill + 0.1), "ece": (0.1, 0.05, 0.2)}
    options = {
        "model": model or f"org/{rng.choice('abcdef')}",
        "task": f"calib_task_{rng.randrange(4)}",
        "adapter": rng.choice([None, None, "tuned"]),
        "setting": rng.choice(["3-shot", "3-shot", "0-shot_chat", "preview-5-of-40_3-shot"]),
    }
    samples = make_samples(names, 40, seed) if rng.random() < 0.9 else None
    entry, packed = make_entry(methods=dict.fromkeys(names, scores), samples=samples, **options)
    if rng.random() < 0.2:  # a group of rows of its own, in the same files
        task = entry.task.model_copy(update={"version": "2.0"})
        entry = entry.model_copy(update={"task": task})
    put(store, (entry, packed))


def removed(store, rng):
    file = rng.choice(sorted(store.rglob("*.json")))
    file.unlink()
    file.with_name(f"{file.stem}.samples.jsonl.gz").unlink(missing_ok=True)


def stock(store, rng):
    values = make_stock_samples("f1,none", 30, rng.randrange(100))
    mean = float(values.values["f1,none"].mean())
    scores = {"none": {"f1": (mean, mean - 0.1, mean + 0.1)}}
    name = f"org/{rng.choice('abc')}"
    options = {"task": "squad", "source": "lm_eval", "higher": {"f1": True}}
    put(store, make_entry(model=name, methods=scores, samples=values, **options))


def touched(store, rng):
    os.utime(rng.choice(sorted(store.rglob("*.json"))), (10**9, 10**9))


@pytest.mark.parametrize("seed", [0, 1, pytest.param(2, marks=pytest.mark.nightly)])
def test_after_any_changes_the_bytes_are_those_of_a_build_from_nothing(tmp_path, seed):
    rng, store, out = random.Random(seed), tmp_path / "store", tmp_path / "out"
    write_store(store, models=3, tasks=2, methods=2)
    build_store(store, out)
    for _ in range(5):
        for change in rng.choices((added, added, stock, removed, touched), k=rng.randint(1, 3)):
            change(store, rng)
        build_store(store, out)
        assert contents(out) == from_nothing(store, tmp_path / "fresh")


def test_a_better_score_moves_ranks_and_leaves_the_pages_of_other_models(tmp_path):
    store, out = tmp_path / "store", tmp_path / "out"
    files = {}
    for place, model in enumerate(("org/a", "org/b", "org/c")):
        skill = 0.3 - 0.2 * place
        scores = {"likelihood": {"brier_skill": (skill, skill - 0.01, skill + 0.01)}}
        for task in ("calib_one", "calib_two"):
            files[model, task] = put(store, make_entry(model=model, task=task, methods=scores))
    build_store(store, out)
    before = stamps(out)
    scores = {"likelihood": {"brier_skill": (0.6, 0.59, 0.61)}}
    put(store, make_entry(model="org/c", task="calib_one", methods=scores))
    build_store(store, out)
    after = stamps(out)
    changed = {name for name in after if after[name] != before[name]}
    pages = {name for name in changed if name.startswith("site/model/")}
    assert pages == {"site/model/org__c.html"}
    assert sum(name.startswith("site/data/rank/") for name in changed) == 3
    assert [name for name in changed if "calib_two" in name] == []
    assert contents(out) == from_nothing(store, tmp_path / "fresh")


def test_entries_that_were_touched_and_have_the_same_content_make_nothing_anew(tmp_path):
    store, out = tmp_path / "store", tmp_path / "out"
    files = write_store(store, models=3, tasks=2)
    build_store(store, out)
    before = stamps(out)
    for file in files:
        os.utime(file, (10**9, 10**9))
    build_store(store, out)
    assert stamps(out) == before
    files[0].write_bytes(files[0].read_bytes().replace(b"bfloat16", b"float162"))
    os.utime(files[0], (10**9, 10**9))
    build_store(store, out)
    assert contents(out) == from_nothing(store, tmp_path / "fresh")


@pytest.mark.parametrize(
    "name", ["README.md", "leaderboard.csv", "leaderboard.parquet", "site/index.html", "*"]
)
def test_an_output_that_was_altered_in_place_or_cut_is_made_again(tmp_path, name):
    store, out = tmp_path / "store", tmp_path / "out"
    write_store(store, models=3, tasks=2)
    build_store(store, out)
    made = contents(out)
    for path in made if name == "*" else [name]:
        state = (out / path).stat()
        changed = made[path][:-1] + bytes([made[path][-1] ^ 1]) if made[path] else b"more"
        (out / path).write_bytes(changed)
        os.utime(out / path, ns=(state.st_atime_ns, state.st_mtime_ns))
    build_store(store, out)
    assert contents(out) == made
    for path in made if name == "*" else [name]:
        (out / path).write_bytes(made[path][:-1])
    build_store(store, out)
    assert contents(out) == made


def test_an_entry_that_changes_at_once_after_a_build_is_seen(tmp_path):
    """A file system's clock may not tell the two apart, and neither does the size."""
    store, out = tmp_path / "store", tmp_path / "out"
    file = write_store(store, models=2, tasks=1)[0]
    build_store(store, out)
    state = file.stat()
    with file.open("r+b") as entry:  # in place: the inode stays
        entry.write(file.read_bytes().replace(b'"batch_size": "32"', b'"batch_size": "64"'))
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    build_store(store, out)
    assert "64" in next((out / "site/model").glob("org0*")).read_text().split("Batch size")[1][:20]


def test_numbers_that_came_with_a_clone_are_not_believed(tmp_path):
    store, out = tmp_path / "store", tmp_path / "out"
    write_store(store, models=2, tasks=2)
    build_store(store, out)
    made = contents(out)
    shutil.copytree(out / ".build", tmp_path / "forged")
    for file in (tmp_path / "forged").glob("*/*"):
        kept = file.read_bytes()
        forged = kept.replace(b'"brier_skill":[', b'"brier_skill":[1').replace(
            b"skill,", b"skill,1"
        )
        file.write_bytes(forged)
        assert forged != kept or file.parent.name not in ("rows", "lines")
    shutil.rmtree(out / ".build")
    shutil.copytree(tmp_path / "forged", out / ".build")
    build_store(store, out)
    assert contents(out) == made


def test_a_folder_of_kept_files_that_leads_elsewhere_is_refused(tmp_path):
    write_store(tmp_path / "store", models=1, tasks=1)
    (tmp_path / "out").mkdir()
    (tmp_path / "mine/entries").mkdir(parents=True)
    (tmp_path / "mine/entries/precious.txt").write_text("mine")
    (tmp_path / "out/.build").symlink_to(tmp_path / "mine")
    with pytest.raises(ValueError, match="symbolic link"):
        build_store(tmp_path / "store", tmp_path / "out")
    assert (tmp_path / "mine/entries/precious.txt").read_text() == "mine"


@pytest.mark.nightly
def test_several_processes_give_the_same_bytes(tmp_path, monkeypatch):
    store = tmp_path / "store"
    write_store(store, models=25, tasks=3, methods=2)
    monkeypatch.setattr(steps, "_FEW", 0)
    build_store(store, tmp_path / "out", processes=2)
    made = contents(tmp_path / "out")
    assert made == from_nothing(store, tmp_path / "fresh")


def test_after_a_kill_the_pages_of_what_is_gone_are_removed(tmp_path, monkeypatch):
    store, out = tmp_path / "store", tmp_path / "out"
    files = write_store(store, models=3, tasks=2)
    build_store(store, out)
    shutil.rmtree(files[0].parent.parent)  # a model

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(steps, "site_files", killed)
        with pytest.raises(KeyboardInterrupt):
            build_store(store, out)
    build_store(store, out)
    assert contents(out) == from_nothing(store, tmp_path / "fresh")
