"""The store and input that is broken, or meant to do harm: a sentence, and nothing written."""

import json
import os
import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib_leaderboards.store import add, read_entries, read_kept_samples
from calib_leaderboards.store.paths import slug
from helpers.store_runs import (
    CHOICE,
    OURS,
    change_record,
    change_results,
    entry_of,
    log_file,
    results_file,
    tree,
)

FEW = {"resamples": 20}
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


def refused(run, store, message, error=ValueError, **options):
    """Adding the run is refused with a sentence, and nothing is written."""
    before = tree(store.parent)
    with pytest.raises(error, match=message) as caught:
        add([run], store, **FEW, **options)
    after = {name: content for name, content in tree(store.parent).items() if ".lock" not in name}
    assert after == {name: content for name, content in before.items() if ".lock" not in name}
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


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


# ----------------------------------------------------------------------------------- broken results


def test_a_results_file_of_200_mb_is_refused_unread(ours, tmp_path):
    with results_file(ours).open("r+b") as file:
        file.truncate(200 * 2**20)
    with pytest.raises(ValueError, match="has 209,715,200 bytes; results files .* far below"):
        add([ours], tmp_path / "s", **FEW)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not valid JSON"),
        (b'{"results": {', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"results": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[1, 2]", "expected a JSON object, found list"),
        (b"{}", "it has no mapping 'results'"),
        (b'{"results": {"a": 1}, "configs": {"a": {}}}', "it has no mapping 'config'"),
    ],
)
def test_a_broken_results_file_is_named(ours, tmp_path, content, message):
    results_file(ours).write_bytes(content)
    assert results_file(ours).name in refused(ours, tmp_path / "s", message)


SECTIONS = ["results", "configs", "config", "versions", "n-shot", "n-samples"]
OPTIONAL = [
    "higher_is_better",
    "task_hashes",
    "date",
    "pretty_env_info",
    "chat_template_sha",
    "total_evaluation_time_seconds",
    "lm_eval_version",
]


@pytest.mark.parametrize("odd", [None, "x", -1.5, {"x": []}], ids=repr)
def test_a_part_of_the_results_that_is_another_kind_of_thing_never_crashes(ours, tmp_path, odd):
    """Whatever stands there, an add is refused in a sentence or makes an entry that can be read."""
    change_results(ours, lambda r: r["results"].pop(CHOICE))
    original = results_file(ours).read_bytes()
    changes = [lambda r, key=key: r.update({key: odd}) for key in SECTIONS + OPTIONAL]
    changes += [
        lambda r, key=key: r[key].update({OURS: odd})
        for key in SECTIONS + OPTIONAL[:2]
        if key != "config"
    ]
    for key in (
        "model_args",
        "model",
        "model_dtype",
        "model_num_parameters",
        "gen_kwargs",
        "limit",
        "batch_size",
        "random_seed",
        "peft_sha",
    ):
        changes.append(lambda r, key=key: r["config"].update({key: odd}))
    for key in ("metadata", "metric_list", "output_type", "test_split"):
        changes.append(lambda r, key=key: r["configs"][OURS].update({key: odd}))
    for number, change in enumerate(changes):
        results_file(ours).write_bytes(original)
        store = tmp_path / f"s{number}"
        try:
            add([change_results(ours, change)], store, resamples=2)
        except (ValueError, FileNotFoundError) as error:
            assert str(results_file(ours).name) in str(error) or "samples_" in str(error)
            assert not store.exists()
        else:
            read_entries(store)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_printed_score_that_is_no_number_disagrees_with_one_that_is(ours, tmp_path, value):
    change_results(ours, lambda r: r["results"][OURS].update({"acc,sampling": value}))
    refused(ours, tmp_path / "s", r"gives acc,sampling = -?(nan|inf) for calib_nq_open, but")


def test_an_undefined_score_is_null(evaluated, tmp_path):
    """No likelihood has a confidence under this model: lm-eval prints NaN, which JSON has not."""
    assert "NaN" in results_file(evaluated).read_text(encoding="utf-8")
    path = add([evaluated], tmp_path / "s", **FEW)[0]
    assert "NaN" not in path.read_text(encoding="utf-8")
    assert entry_of(path)["scores"][0]["metrics"]["ece"]["value"] is None


# -------------------------------------------------------------------------------------- broken logs


def test_a_log_cut_in_a_line_is_named_with_the_line(ours, tmp_path):
    log_file(ours).write_bytes(log_file(ours).read_bytes()[:-40])
    message = refused(ours, tmp_path / "s", "line 96: not valid JSON.*cut off or damaged")
    assert log_file(ours).name in message


@pytest.mark.parametrize("lines", [95, 90, 73])
def test_a_log_cut_between_lines_is_refused(ours, tmp_path, lines):
    text = log_file(ours).read_text(encoding="utf-8").splitlines(keepends=True)
    log_file(ours).write_text("".join(text[:lines]), encoding="utf-8")
    refused(ours, tmp_path / "s", "'likelihood' and 'sampling' are not about the same questions")


def test_a_log_that_lost_a_method_is_refused(ours, tmp_path):
    text = log_file(ours).read_text(encoding="utf-8").splitlines(keepends=True)
    log_file(ours).write_text("".join(text[:72]), encoding="utf-8")
    refused(ours, tmp_path / "s", "task_hashes")
    change_results(ours, lambda r: r.pop("task_hashes"))
    refused(ours, tmp_path / "s", "results_.* has scores of the filter 'sampling'")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"  \n"])
def test_an_empty_log_is_refused(ours, tmp_path, content):
    log_file(ours).write_bytes(content)
    refused(ours, tmp_path / "s", "holds no samples")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"confidence": float("nan")}, "line 5: the confidence is nan"),
        ({"confidence": float("inf")}, "line 5: the confidence is inf"),
        ({"confidence": 95}, "line 5: the confidence is 95, neither null nor a number from 0 to 1"),
        ({"confidence": "0.5"}, "line 5: the confidence is '0.5'"),
        ({"confidence": True}, "line 5: the confidence is True"),
        ({"correct": 2}, "line 5: correct is 2, neither 0 nor 1"),
        ({"correct": [1]}, r"line 5: correct is \[1\]"),
        ({"task": "other"}, "line 5: the row belongs to the task 'other'"),
        ({"method": "verbalized"}, "line 5: the method is 'verbalized', but the filter 'likeli"),
        ({"answer": "Another."}, "differ in the question, its target or the answer"),
    ],
)
def test_a_record_that_cannot_be_is_named_with_its_line(ours, tmp_path, changes, message):
    change_record(ours, 5, **changes)
    assert log_file(ours).name in refused(ours, tmp_path / "s", message)


def test_an_id_that_comes_twice_is_named(ours, tmp_path):
    first = json.loads(log_file(ours).read_text(encoding="utf-8").splitlines()[0])
    key = json.loads(first["filtered_resps"][0])["id"]
    change_record(ours, 2, id=key)
    refused(ours, tmp_path / "s", rf"line 2: id '{key}' appears twice under the filter")


def change_row(file, line, **changes):
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[line - 1] = json.dumps({**json.loads(lines[line - 1]), **changes})
    file.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"doc_id": 0}, "line 2: id '0' appears twice under the filter 'none'"),
        ({"doc_id": -1}, "line 2: doc_id is -1"),
        ({"doc_id": "1"}, "line 2: doc_id is '1'"),
        ({"filter": None}, "line 2: the filter is None"),
        ({"metrics": "acc"}, "line 2: metrics is 'acc'"),
        ({"acc": float("nan")}, "acc of question '1' is not a finite number"),
        ({"acc": float("inf")}, "acc of question '1' is not a finite number"),
        ({"acc": 10**400}, "line 2: int too large"),
        ({"doc_hash": "0"}, "does not hold the samples"),
    ],
)
def test_a_stock_row_that_cannot_be_is_named(evaluated_stock, tmp_path, changes, message):
    run = shutil.copytree(evaluated_stock, tmp_path / "run")
    change_row(log_file(run, "mmlu_anatomy"), 2, **changes)
    refused(run, tmp_path / "s", message)


def test_a_log_of_two_kinds_is_refused(ours, tmp_path):
    change_row(log_file(ours), 3, filtered_resps=["A"])
    refused(ours, tmp_path / "s", "1 of 96 rows hold no confidence record")


def test_a_line_without_end_is_refused_before_it_fills_the_memory(ours, tmp_path, monkeypatch):
    monkeypatch.setattr("harness_tasks.elicitation.logs.LONGEST_LINE", 100)
    refused(ours, tmp_path / "s", "line 1 is longer than 100 bytes")


def recode(file, encoding):
    file.write_bytes(file.read_text(encoding="utf-8").encode(encoding))


@pytest.mark.parametrize("which", [results_file, log_file])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_another_encoding_is_named(ours, tmp_path, which, encoding):
    if which is log_file:
        change_row(log_file(ours), 4, note="\xe4", doc={})
        text = log_file(ours).read_text(encoding="utf-8")
        log_file(ours).write_text(text.replace("\\u00e4", "\xe4"), encoding="utf-8")
    else:
        text = results_file(ours).read_text(encoding="utf-8")
        results_file(ours).write_text(text.replace("Fast One", "F\xe4st"), encoding="utf-8")
    recode(which(ours), encoding)
    message = refused(ours, tmp_path / "s", "is not UTF-8 text|not valid JSON")
    assert which(ours).name in message


def test_a_byte_order_mark_does_no_harm(ours, evaluated, tmp_path):
    recode(results_file(ours), "utf-8-sig")
    recode(log_file(ours), "utf-8-sig")
    got, expected = [
        entry_of(add([run], tmp_path / f"s{i}", **FEW)[0])["scores"]
        for i, run in enumerate((ours, evaluated))
    ]
    assert got == expected


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
    with pytest.raises(ValueError, match="is no regular file"):
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
