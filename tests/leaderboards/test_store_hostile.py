"""Names, links and files that lead out of the store: an error, and nothing written."""

import json
import os
import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib_leaderboards.pages.index import files_seen
from calib_leaderboards.store import add, read_entries, read_kept_samples
from calib_leaderboards.store.paths import slug
from helpers.store_runs import (
    FEW,
    OURS,
    change_results,
    entry_of,
    log_file,
    refused,
    results_file,
    tree,
)

NAMES = [
    "../../x",
    "..",
    ".",
    "/etc/passwd",
    "a/../../b",
    "..\\..\\x",
    "C:\\x\\..\\y",
    "~root/x",
    "<script>alert(1)</script>",
    "a b|c`d$(e)",
    "x\ny\x00z",
    ".hidden",
    "-rf",
    "模型/\u202eabc",
    "\ud800",
    "name.json",
    "n" * 900,
    "a//b",
    "a/b/c",
    "org__name",
    "con.",
]


def of_model(folder, **arguments):
    return change_results(folder, lambda r: r["config"].update(model_args=arguments))


# -------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_model_name_stays_in_the_store(ours, tmp_path, name):
    outside = tmp_path / "a" / "b"
    store = outside / "store"
    outside.mkdir(parents=True)
    of_model(ours, pretrained=name)
    before = tree(tmp_path)
    paths = add([ours], store, **FEW)
    made = tree(tmp_path).keys() - before.keys()
    assert all(path.startswith("a/b/store/") for path in made)
    assert all(
        re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", part)
        for path in paths
        for part in path.relative_to(store).parts
    )
    assert len(read_entries(store)) == 2


@pytest.mark.parametrize("key", ["peft", "confidence_adapter", "revision"])
@pytest.mark.parametrize("name", ["../../x", "<script>", "\ud800", "/"])
def test_a_hostile_adapter_or_revision_stays_in_the_store(ours, tmp_path, key, name):
    of_model(ours, pretrained="org/tiny", **{key: name})
    paths = add([ours], tmp_path / "s", **FEW)
    assert {path.resolve().parent.parent.parent for path in paths} == {tmp_path / "s"}
    assert len(read_entries(tmp_path / "s")) == 2


@pytest.mark.parametrize("task", ["../../escaped", "<b>x</b>", "a|b\n", "t" * 90])
def test_a_hostile_task_name_stays_in_the_store(ours, tmp_path, task):
    def rename(results):
        for section in results.values():
            if isinstance(section, dict) and OURS in section:
                section[task] = section.pop(OURS)
        results.pop("task_hashes")

    change_results(ours, rename)
    old, rows = log_file(ours), log_file(ours).read_text(encoding="utf-8").splitlines()
    stamp = old.name.removeprefix(f"samples_{OURS}_")
    new = old.parent / f"samples_{task}_{stamp}"  # as lm-eval does
    # lm-eval makes no folder, so that it leaves a name with slashes without a log.
    new.parent.mkdir(parents=True, exist_ok=True)
    with new.open("w") as file:
        for row in map(json.loads, rows):
            record = json.loads(row["filtered_resps"][0]) | {"task": task}
            file.write(json.dumps({**row, "filtered_resps": [json.dumps(record)]}) + "\n")
    paths = add([ours], tmp_path / "s", **FEW)
    assert {path.resolve().parent.parent.parent for path in paths} == {tmp_path / "s"}
    assert task in {entry.task.name for entry in read_entries(tmp_path / "s")}


def test_a_name_of_any_length_is_a_sentence(ours, tmp_path):
    of_model(ours, pretrained="n" * 5000)
    assert len(refused(ours, tmp_path / "s", "Model.name: String should have at most 1000")) < 600


@given(st.text(max_size=120), st.text(max_size=120))
def test_slugs_are_path_parts_and_tell_texts_apart(one, other):
    for text in (one, other):
        assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,89}", slug(text))
        assert "--" not in slug(text)
    assert one == other or slug(one) != slug(other)


# ------------------------------------------------------------------------------------ links, places


def test_results_that_are_a_link_out_of_their_folder_are_refused(ours, tmp_path):
    real = shutil.move(results_file(ours), tmp_path / "elsewhere.json")
    link = ours / "results_2026-01-01T00-00-00.000000.json"
    link.symlink_to(real)
    refused(ours, tmp_path / "s", "is a symbolic link that leads out of")


def test_a_log_that_is_a_link_out_of_its_folder_is_refused(ours, tmp_path):
    log = log_file(ours)
    shutil.move(log, tmp_path / "elsewhere.jsonl")
    log.symlink_to(tmp_path / "elsewhere.jsonl")
    refused(ours, tmp_path / "s", "is a symbolic link that leads out of")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_not_waited_for(ours, tmp_path):
    os.mkfifo(ours / "results_pipe.json")
    with pytest.raises(ValueError, match="is not a regular file"):
        add([ours], tmp_path / "s", **FEW)


@pytest.mark.parametrize("place", ["org__tiny", "org__tiny/main"])
def test_a_folder_of_the_store_that_is_a_link_is_not_followed(evaluated, tmp_path, place):
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tmp_path / "s" / place
    link.parent.mkdir(parents=True)
    link.symlink_to(outside, target_is_directory=True)
    refused(evaluated, tmp_path / "s", "is a symbolic link, which a store may not hold")
    assert not list(outside.iterdir())
    with pytest.raises(ValueError, match="symbolic link"):
        read_entries(tmp_path / "s")


@pytest.mark.parametrize("ending", [".json", ".samples.jsonl.gz"])
def test_a_file_of_the_store_that_is_a_link_is_not_followed(evaluated, tmp_path, ending):
    target = tmp_path / "precious"
    target.write_text("keep me", encoding="utf-8")
    link = tmp_path / "s" / "org__tiny" / "main" / f"{OURS}--5-shot_k-3{ending}"
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    refused(evaluated, tmp_path / "s", "is a symbolic link", replace=True)
    assert target.read_text(encoding="utf-8") == "keep me"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize("ending", [".json", ".samples.jsonl.gz"])
def test_a_pipe_in_the_store_is_neither_waited_for_nor_passed_over(evaluated, tmp_path, ending):
    pipe = tmp_path / "s" / "org__tiny" / "main" / f"{OURS}--5-shot_k-3{ending}"
    add([evaluated], tmp_path / "s", **FEW)
    pipe.unlink()
    os.mkfifo(pipe)
    refused(evaluated, tmp_path / "s", "neither a file nor a folder", replace=True)
    for reading in (read_entries, files_seen):
        with pytest.raises(ValueError, match="neither a file nor a folder"):
            reading(tmp_path / "s")


def test_a_count_that_no_table_can_hold_is_refused(evaluated, tmp_path):
    (path, *_) = add([evaluated], tmp_path / "s", **FEW)
    content = entry_of(path)
    content["model"]["parameters"] = 10**400
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="model.parameters: Input should be less than or equal"):
        read_entries(tmp_path / "s")


def test_a_lock_that_is_a_link_is_not_followed(evaluated, tmp_path):
    target = tmp_path / "precious"
    target.write_text("keep me", encoding="utf-8")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / ".lock").symlink_to(target)
    with pytest.raises(ValueError, match="is a symbolic link"):
        add([evaluated], tmp_path / "s", **FEW)
    assert target.read_text(encoding="utf-8") == "keep me"


def test_a_file_where_a_folder_must_be_is_named(evaluated, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "org__tiny").write_text("mine", encoding="utf-8")
    refused(evaluated, tmp_path / "s", "a file has the name of one of its folders")


def test_samples_of_another_origin_are_not_overwritten(evaluated, tmp_path):
    file = tmp_path / "s" / "org__tiny" / "main" / f"{OURS}--5-shot_k-3.samples.jsonl.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"mine")
    refused(evaluated, tmp_path / "s", "exists without an entry and holds something else")


def test_replace_heals_a_damaged_entry_but_takes_no_others_place(evaluated, ours, tmp_path):
    path = add([evaluated], tmp_path / "s", **FEW)[0]
    good = path.read_bytes()
    path.write_bytes(good[:100])
    with pytest.raises(ValueError, match="--replace"):
        add([ours], tmp_path / "s", **FEW)
    add([ours], tmp_path / "s", replace=True, **FEW)
    assert path.read_bytes() == good
    path.write_bytes(good.replace(b'"name": "org/tiny"', b'"name": "ORG/tiny"'))
    refused(ours, tmp_path / "s", "is an entry of ORG/tiny on .* cannot take its", replace=True)


def test_an_interrupted_add_leaves_the_store_as_it_was(evaluated, ours, tmp_path, monkeypatch):
    add([evaluated], tmp_path / "s", **FEW)
    before = tree(tmp_path / "s")
    change_results(ours, lambda r: r["config"].update(batch_size=9))

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        add([ours], tmp_path / "s", replace=True, **FEW)
    assert tree(tmp_path / "s") == before


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(evaluated, tmp_path, monkeypatch):
    path = add([evaluated], tmp_path / "s", **FEW)[0]
    monkeypatch.setattr("calib_leaderboards.store.samples._LARGEST_UNPACKED", 1000)
    with pytest.raises(ValueError, match="unpacks to more than"):
        read_kept_samples(path)
