"""Runs that the store refuses to add, and entries that it refuses to read."""

import gzip
import json
import shutil

import pytest

from calib_leaderboards.store import add, read_entries, read_kept_samples
from helpers.store_runs import (
    FEW,
    OURS,
    change_record,
    change_results,
    entry_of,
    log_file,
    of_task,
    results_file,
    tree,
    with_model,
)

# ----------------------------------------------------------------------------------------- refusals


def limited(results):
    results["config"]["limit"] = 24.0


def sampled(results):
    results["n-samples"][OURS]["original"] = 3610


def uncounted(results):
    results["n-samples"] = {}


def overstated(results):
    results["n-samples"][OURS] = {"original": 30, "effective": 30}


def flattered(results):
    results["results"][OURS]["ece,verbalized"] = 0.0123


def other_hash(results):
    results["task_hashes"][OURS] = "0" * 64


def without_method(results):
    scores = results["results"][OURS]
    for key in [key for key in scores if key.endswith(",sampling")]:
        del scores[key]


@pytest.mark.parametrize(
    "change, message",
    [
        (limited, r"asked 24 of the 24 questions of \S+ \(--limit 24\.0\).*only complete"),
        (sampled, r"asked 24 of the 3610 questions of calib_nq_open \(--samples\)"),
        (uncounted, "does not say how many questions calib_nq_open has"),
        (overstated, "has samples of 24 questions, but .* says that 30 were asked"),
        (flattered, r"gives ece,verbalized = 0\.0123 for calib_nq_open, but its samples .* give 0"),
        (other_hash, "does not hold the samples .* was made from: their 'task_hashes' differ"),
        (without_method, "samples.* has scores of the filter 'sampling'"),
    ],
)
def test_results_that_are_not_what_they_say_are_refused(ours, tmp_path, change, message):
    with pytest.raises(ValueError, match=message) as error:
        add([change_results(ours, change)], tmp_path / "store", **FEW)
    assert any(file.name in str(error.value) for file in (results_file(ours), log_file(ours)))
    assert not (tmp_path / "store").exists()


def test_an_edited_confidence_is_noticed(ours, tmp_path):
    change_record(ours, 3, confidence=0.987)
    with pytest.raises(ValueError, match=r",likelihood = .* but its samples"):
        add([ours], tmp_path / "store", **FEW)


def test_an_edited_stock_value_is_noticed(evaluated_stock, tmp_path):
    run = shutil.copytree(evaluated_stock, tmp_path / "run")
    file = log_file(run, "mmlu_anatomy")
    lines = file.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[0])
    lines[0] = json.dumps({**row, "acc": 1 - row["acc"]})
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match="acc,none = .* for mmlu_anatomy, but its samples"):
        add([run], tmp_path / "store", **FEW)


def test_a_run_without_logged_samples_is_refused(ours, tmp_path):
    log_file(ours).unlink()
    with pytest.raises(FileNotFoundError, match="--log_samples"):
        add([ours], tmp_path / "store", **FEW)


def test_a_part_of_the_documents_under_a_false_count_is_refused(ours, tmp_path):
    """As --samples logs them: the numbers of the documents have gaps."""
    lines = log_file(ours).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    moved = [{**row, "doc_id": row["doc_id"] + 100 * (row["doc_id"] == 7)} for row in rows]
    log_file(ours).write_text("\n".join(map(json.dumps, moved)), encoding="utf-8")
    with pytest.raises(ValueError, match="does not hold all documents.*number 7"):
        add([ours], tmp_path / "store", **FEW)


def test_a_duplicate_is_refused_unless_it_replaces(ours, tmp_path):
    store = tmp_path / "store"
    add([ours], store, **FEW)
    before = tree(store)
    with pytest.raises(ValueError, match="already in the store; pass --replace"):
        add([ours], store, **FEW)
    assert tree(store) == before
    change_results(ours, lambda r: r["config"].update(batch_size=7))
    paths = add([ours], store, replace=True, **FEW)
    assert entry_of(paths[0])["provenance"]["batch_size"] == "7"
    assert tree(store).keys() == before.keys()


def test_two_runs_of_one_entry_are_refused(ours, tmp_path):
    again = shutil.copytree(ours, tmp_path / "again")
    change_results(again, lambda r: r["config"].update(batch_size=7))
    with pytest.raises(ValueError, match="both make the entry 'org__tiny/main/calib_nq_open--5"):
        add([ours, again], tmp_path / "store", **FEW)
    assert not (tmp_path / "store").exists()


def test_another_version_of_a_task_is_refused_and_named(evaluated, tmp_path):
    store = tmp_path / "store"
    add([evaluated], store, **FEW)
    run = with_model(evaluated, tmp_path / "run", pretrained="org/other")
    change_results(run, lambda r: r["versions"].update({OURS: 3.0}))
    before = tree(store)
    with pytest.raises(ValueError, match=rf"{OURS} has version 3\.0 in 'org__other/.*version 2\.0"):
        add([run], store, **FEW)
    assert tree(store) == before
    # The only entry of a task may be replaced by one of a new version.
    change_results(run, lambda r: r["config"].update(model_args={"pretrained": "org/tiny"}))
    paths = add([run], store, replace=True, **FEW)
    assert entry_of(of_task(paths, OURS))["task"]["version"] == "3.0"


def test_other_questions_under_one_name_are_refused(evaluated, tmp_path):
    add([evaluated], tmp_path / "store", **FEW)
    run = with_model(evaluated, tmp_path / "run", pretrained="org/other")
    for line in (1, 25, 49, 73):
        change_record(run, line, question="Another?")
    with pytest.raises(ValueError, match=f"{OURS}: .* about different questions or targets"):
        add([run], tmp_path / "store", **FEW)


def test_an_error_in_one_run_leaves_out_all_of_them(evaluated, ours, tmp_path):
    change_results(ours, limited)
    change_results(ours, lambda r: r["config"].update(model_args={"pretrained": "org/other"}))
    with pytest.raises(ValueError, match="--limit"):
        add([evaluated, ours], tmp_path / "store", **FEW)
    assert not (tmp_path / "store").exists()


# ------------------------------------------------------------------------------------------ reading


def edit(path, change):
    entry = entry_of(path)
    change(entry)
    path.write_text(json.dumps(entry), encoding="utf-8")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda e: e.update(rank=1), "rank: Extra inputs"),
        (lambda e: e["model"].pop("sha"), "model.sha: Field required"),
        (lambda e: e.update(n="24"), "n: Input should be a valid integer"),
        (lambda e: e["scores"][0]["metrics"]["acc"].update(value=float("nan")), "finite number"),
        (lambda e: e.update(n=23), "another number of questions than 23"),
        (lambda e: e["scores"].append(e["scores"][0]), "a method is listed twice"),
        (lambda e: e["scores"][1]["reliability"]["count"].pop(), "different lengths"),
        (lambda e: e["model"].update(name="org/other"), "holds the entry of 'org__other/main/"),
        (lambda e: e["samples"].update(file="../other.gz"), "samples.file"),
        (lambda e: e["samples"].update(file="other.gz"), "names other samples"),
        (lambda e: e["setting"].update(slug="../x"), "setting.slug"),
    ],
)
def test_an_edited_entry_is_refused_when_it_is_read(evaluated, tmp_path, change, message):
    path = add([evaluated], tmp_path / "store", **FEW)[0]
    edit(path, change)
    with pytest.raises(ValueError, match=message) as error:
        read_entries(tmp_path / "store")
    assert path.name in str(error.value)


def test_samples_that_are_not_the_entrys_are_refused(evaluated, tmp_path):
    path = add([evaluated], tmp_path / "store", **FEW)[0]
    packed = path.with_name(path.name.replace(".json", ".samples.jsonl.gz"))
    text = gzip.decompress(packed.read_bytes())
    packed.write_bytes(gzip.compress(text.replace(b'"correct":0', b'"correct":1')))
    with pytest.raises(ValueError, match="is not the file that its entry was made with"):
        read_kept_samples(path)
    packed.unlink()
    with pytest.raises(FileNotFoundError, match="samples that are not beside it"):
        read_entries(tmp_path / "store")
