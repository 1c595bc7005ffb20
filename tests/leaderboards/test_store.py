"""The store of leaderboard entries: what lm-eval wrote, recomputed, described and kept."""

import gzip
import hashlib
import json
import logging
import re
import shutil
import threading
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner
from filelock import FileLock
from sklearn.metrics import brier_score_loss, roc_auc_score

import calibench.cli
from calib_leaderboards.pages.publish import build_store
from calib_leaderboards.store import add, read_entries, read_kept_samples
from calib_leaderboards.store.entry import entry_schema
from calib_leaderboards.store.paths import entry_path
from harness_tasks.elicitation.records import read_samples
from helpers.store_runs import (
    CHOICE,
    OURS,
    change_record,
    change_results,
    entry_of,
    kept_of,
    log_file,
    results_file,
    tree,
)

SCHEMA = Path(__file__).parents[2] / "leaderboards/calib_leaderboards/entry.schema.json"
FEW = {"resamples": 20}  # intervals are not under test where this is given
METHODS = ["likelihood", "zero_shot_classifier", "verbalized", "sampling"]
STOCK = {
    "truthfulqa_mc1": {"none": ["acc"]},
    "truthfulqa_mc2": {"none": ["acc"]},
    "mmlu_anatomy": {"none": ["acc"]},
    "squad_completion": {"none": ["contains"]},
    "gsm8k": {"strict-match": ["exact_match"], "flexible-extract": ["exact_match"]},
}


def records(folder, task=OURS):
    """method -> id -> our record, as the log has them."""
    found = {}
    for _, record in read_samples(log_file(folder, task)):
        found.setdefault(record["method"], {})[record["id"]] = record
    return found


def of_task(paths, task):
    (path,) = [path for path in paths if path.name.startswith(f"{task}--")]
    return path


def with_model(folder, target, **arguments):
    """A copy of a run that says it is of another model."""
    shutil.copytree(folder, target)
    changed = {"pretrained": "org/tiny", "dtype": "float32", **arguments}
    return change_results(target, lambda r: r["config"].update(model_args=changed))


# ------------------------------------------------------------------------------------------ scores


def test_scores_equal_those_of_scikit_learn_and_of_lm_eval(evaluated, tmp_path):
    paths = add([evaluated], tmp_path / "store")
    printed = entry_of(results_file(evaluated))["results"]
    for task in (OURS, CHOICE):
        entry, logged = entry_of(of_task(paths, task)), records(evaluated, task)
        assert [score["method"] for score in entry["scores"]] == METHODS
        assert entry["n"] == 24 and entry["task"]["source"] == "calibench"
        for score in entry["scores"]:
            pairs = [(r["confidence"], r["correct"]) for r in logged[score["method"]].values()]
            known = [pair for pair in pairs if pair[0] is not None]
            assert (score["n"], score["n_missing"]) == (24, 24 - len(known))
            metrics = score["metrics"]
            accuracy = np.mean([correct for _, correct in pairs])
            assert metrics["acc"]["value"] == pytest.approx(accuracy)
            if not known:
                assert metrics["brier"]["value"] is None and score["reliability"] is None
                continue
            confidence, correct = map(np.array, zip(*known, strict=True))
            expected = {
                "brier": brier_score_loss(correct, confidence),
                "auroc": roc_auc_score(correct, confidence),
            }
            for name, value in expected.items():
                metric = metrics[name]
                assert metric["value"] == pytest.approx(value, rel=1e-9)
                assert metric["low"] <= metric["value"] <= metric["high"]
            assert metrics["brier"]["stderr"] > 0
            for name in ("acc", "ece", "auroc", "brier", "answered"):
                theirs = printed[task][f"{name},{score['method']}"]
                assert metrics[name]["value"] == pytest.approx(theirs, rel=1e-9)
            assert sum(score["reliability"]["count"]) == len(known)
            curve = score["risk_coverage"]
            assert curve["coverage"][-1] == 1
            assert curve["risk"][-1] == pytest.approx(1 - correct.mean())
            assert f"conf:{score['method']}|" in metrics["ece"]["signature"]
    verbalized = next(s for s in entry_of(paths[0])["scores"] if s["method"] == "verbalized")
    assert 0 < verbalized["n_missing"] < 24


def test_stock_tasks_have_the_scores_of_their_table(evaluated_stock, tmp_path):
    paths = add([evaluated_stock], tmp_path / "store")
    results = entry_of(results_file(evaluated_stock))
    assert len(paths) == len(STOCK)
    for task, filters in STOCK.items():
        entry = entry_of(of_task(paths, task))
        assert entry["task"]["source"] == "lm_eval" and entry["n"] == 24
        printed = [score for score in entry["scores"] if score["reliability"] is None]
        assert {score["method"]: list(score["metrics"]) for score in printed} == filters
        for score in printed:
            for name, metric in score["metrics"].items():
                theirs = results["results"][task][f"{name},{score['method']}"]
                assert metric["value"] == pytest.approx(theirs, rel=1e-9)
                assert metric["higher_is_better"] is True
                if 0 < theirs < 1:
                    assert metric["low"] < metric["value"] < metric["high"]
        command = entry["provenance"]["command"]
        assert f"--tasks {task} " in command and "--include_path" not in command


def test_the_standard_error_of_a_stock_mean_is_that_of_a_mean(evaluated_stock, tmp_path):
    entry = entry_of(of_task(add([evaluated_stock], tmp_path / "store"), "truthfulqa_mc2"))
    log = log_file(evaluated_stock, "truthfulqa_mc2").read_text(encoding="utf-8")
    values = [json.loads(line)["acc"] for line in log.splitlines()]
    metric = entry["scores"][0]["metrics"]["acc"]
    # 1,000 draws: the bootstrap's standard error has one of its own, of about 2 %.
    assert metric["stderr"] == pytest.approx(np.std(values) / np.sqrt(len(values)), rel=0.1)


def test_the_costs_of_all_methods_are_the_requests_in_the_log(evaluated, tmp_path):
    paths = add([evaluated], tmp_path / "store", **FEW)
    for task, answer in ((OURS, 1), (CHOICE, 4)):
        scores = entry_of(of_task(paths, task))["scores"]
        costs = {score["method"]: score["cost"]["requests_per_question"] for score in scores}
        row = json.loads(log_file(evaluated, task).read_text(encoding="utf-8").splitlines()[0])
        assert answer + sum(costs.values()) == sum(len(replies) for replies in row["resps"])
        assert costs["zero_shot_classifier"] == 2 and costs["sampling"] == 3


def test_a_score_that_is_no_mean_over_questions_is_left_out_and_named(
    evaluated_stock, tmp_path, caplog
):
    run = shutil.copytree(evaluated_stock, tmp_path / "run")
    change_results(run, lambda r: r["results"]["mmlu_anatomy"].update({"f1,none": 0.25}))
    with caplog.at_level(logging.WARNING):
        path = of_task(add([run], tmp_path / "store", **FEW), "mmlu_anatomy")
    assert list(entry_of(path)["scores"][0]["metrics"]) == ["acc"]
    assert "mmlu_anatomy: without f1" in caplog.text


def test_groups_are_no_entries(evaluated_stock, tmp_path):
    run = shutil.copytree(evaluated_stock, tmp_path / "run")
    change_results(run, lambda r: r["results"].update(mmlu={"acc,none": 0.5}))
    assert len(add([run], tmp_path / "store", **FEW)) == len(STOCK)


# -------------------------------------------------------------------------------------- provenance


def test_an_entry_says_where_it_comes_from(evaluated, tmp_path):
    path = of_task(add([evaluated], tmp_path / "store", **FEW), OURS)
    assert path.relative_to(tmp_path).as_posix() == (
        f"store/org__tiny/main/{OURS}--5-shot_k-3.json"
    )
    entry = entry_of(path)
    model = {"name": "org/tiny", "revision": "main", "sha": "abc", "parameters": 1234}
    assert entry["model"] == {**model, "dtype": "float32", "adapter": None}
    origin = entry["provenance"]
    for name, file in (("results", results_file(evaluated)), ("samples", log_file(evaluated))):
        assert origin[name]["file"] == file.name
        assert origin[name]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert origin["samples"]["rows"] == 96
    assert origin["versions"]["torch"] == "2.13.0+cpu" and origin["hardware"]["cpu"] == "Fast One"
    assert origin["seeds"]["fewshot_seed"] == 1234 and origin["date"] == "2025-01-02"
    assert "--model_args dtype=float32,pretrained=org/tiny " in origin["command"]
    assert entry["setting"]["num_fewshot"] == 5 and entry["setting"]["answers"] == "own"


def test_a_note_stands_beside_the_scores_on_every_page_and_is_escaped(ours, tmp_path):
    add([ours], tmp_path / "store", note="a part <i>only</i> | 40 of 90", **FEW)
    build_store(tmp_path / "store", tmp_path / "board")
    pages = [tmp_path / "board" / "README.md", *(tmp_path / "board/site/model").iterdir()]
    assert len(pages) == 2
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "a part &lt;i&gt;only&lt;/i&gt;" in text and "<i>" not in text, page


def test_the_readme_begins_with_tasks_that_have_confidences_and_links_to_each(
    ours, evaluated_stock, tmp_path
):
    add([evaluated_stock, ours], tmp_path / "store", **FEW)
    build_store(tmp_path / "store", tmp_path / "board")
    page = (tmp_path / "board" / "README.md").read_text(encoding="utf-8")
    overview, *tasks, _ = (line[3:] for line in page.splitlines() if line.startswith("## "))
    assert overview == "Which method?"
    assert set(tasks[:2]) == {OURS, CHOICE} and set(tasks[2:]) == set(STOCK)
    (contents,) = (line for line in page.splitlines() if line.startswith("**Tasks**"))
    assert re.findall(r"\(#([a-z0-9_]+)\)", contents) == tasks


def test_a_note_that_is_too_long_is_refused(ours, tmp_path):
    with pytest.raises(ValueError, match="note: String should have at most 300 characters"):
        add([ours], tmp_path / "store", note="x" * 301, **FEW)
    assert not list(tmp_path.rglob("*.json.gz")) and not list((tmp_path / "store").rglob("*.json"))


def test_no_folder_and_no_credential_of_the_machine_is_published(evaluated, tmp_path):
    secret = {
        "pretrained": f"{tmp_path}/model-b179c9523d0e",
        "base_url": "https://me:sesame@example.org:8000/v1/completions?key=sesame#sesame",
        "header": {"Authorization": "Bearer sesame"},
        "ca_cert_path": "sesame.pem",
    }
    secret |= dict.fromkeys(("api_key", "bearer", "credential", "key", "cookie", "x"), "sesame")
    run = with_model(evaluated, tmp_path / "run", **secret)
    paths = add([run], tmp_path / "store", **FEW)
    build_store(tmp_path / "store", tmp_path / "pages")
    for file in [*(tmp_path / "store").rglob("*"), *(tmp_path / "pages").rglob("*")]:
        if file.is_file():
            content = file.read_bytes()
            content = gzip.decompress(content) if file.suffix == ".gz" else content
            assert b"sesame" not in content and str(tmp_path).encode() not in content, file
    entry = entry_of(paths[0])
    assert entry["model"]["name"] == "model"
    url = "https://example.org:8000/v1/completions"
    assert entry["provenance"]["model_args"]["base_url"] == url
    assert url in entry["provenance"]["command"]


def test_the_data_fingerprint_changes_with_a_question_and_with_nothing_else(ours, tmp_path):
    def fingerprints(folder, store):
        origin = entry_of(of_task(add([folder], tmp_path / store, **FEW), OURS))["provenance"]
        return origin["data_fingerprint"], origin["answers_fingerprint"]

    data, answers = fingerprints(ours, "a")
    lines = log_file(ours).read_text(encoding="utf-8").splitlines(keepends=True)
    log_file(ours).write_text("".join(reversed(lines)), encoding="utf-8")
    change_results(ours, lambda r: r.pop("task_hashes"))
    assert fingerprints(ours, "b") == (data, answers)
    for line in (1, 25, 49, 73):
        change_record(ours, line, question="Another?")
    changed = fingerprints(ours, "c")
    assert changed[0] != data and changed[1] == answers


def test_an_adapter_is_named_labelled_and_hashed(evaluated, tmp_path):
    adapter = tmp_path / "my_adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    run = with_model(evaluated, tmp_path / "run", peft="/somewhere/my_adapter")
    path = of_task(add([run], tmp_path / "store", adapters=[adapter], **FEW), OURS)
    assert path.parent == tmp_path / "store" / "org__tiny" / "my_adapter"
    entry = entry_of(path)
    assert entry["model"]["adapter"] == {
        "name": "my_adapter",
        "revision": None,
        "sha256": hashlib.sha256(b"weights").hexdigest(),
        "use": "peft",
    }
    labels = {score["method"]: score["label"] for score in entry["scores"]}
    assert labels["zero_shot_classifier"] == "Fine-Tuned"
    with pytest.raises(ValueError, match="No run used an adapter of the name of .*store"):
        add([run], tmp_path / "other", adapters=[tmp_path / "store"], **FEW)


def set_metadata(key, value):
    return lambda r: r["configs"][OURS]["metadata"].update({key: value})


@pytest.mark.parametrize(
    "change, slug",
    [
        (lambda r: None, "5-shot_k-3"),
        (lambda r: r["n-shot"].update({OURS: 0}), "0-shot_k-3"),
        (lambda r: r.update(chat_template_sha="c1", fewshot_as_multiturn=True), "5-shot_chat_k-3"),
        (lambda r: r.update(system_instruction_sha="s1"), "5-shot_system-[0-9a-f]{8}_k-3"),
        (set_metadata("answers", "runs/base"), "5-shot_frozen-[0-9a-f]{8}_k-3"),
        (set_metadata("k", 10), "5-shot"),
        (set_metadata("split", "train"), "5-shot_k-3_split-train"),
        (lambda r: r["config"].update(gen_kwargs={"t": 1}), "5-shot_k-3_gen-[0-9a-f]{8}"),
        (
            lambda r: r["config"]["model_args"].update(load_in_4bit=True),
            "5-shot_k-3_args-[0-9a-f]{8}",
        ),
        (lambda r: r["config"]["model_args"].update(device="cpu"), "5-shot_k-3"),
    ],
)
def test_settings_lie_side_by_side(ours, tmp_path, change, slug):
    path = of_task(add([change_results(ours, change)], tmp_path / "store", **FEW), OURS)
    assert entry_of(path)["setting"]["slug"] == path.stem.removeprefix(f"{OURS}--")
    assert re.fullmatch(slug, path.stem.split("--")[1])


# ---------------------------------------------------------------------------------------- the files


def test_the_schema_in_the_repository_is_that_of_the_models():
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json.loads(json.dumps(entry_schema()))


def test_entries_keep_to_the_schema(evaluated, evaluated_stock, tmp_path):
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    for path in add([evaluated, evaluated_stock], tmp_path / "store", **FEW):
        check.validate(entry_of(path))
    with pytest.raises(jsonschema.ValidationError, match="unexpected"):
        check.validate({**entry_of(path), "rank": 1})


def test_the_same_runs_give_the_same_bytes(evaluated, evaluated_stock, tmp_path):
    copy = shutil.copytree(evaluated, tmp_path / "elsewhere")
    add([evaluated, evaluated_stock], tmp_path / "one", **FEW)
    add([evaluated_stock], tmp_path / "two", **FEW)
    add([copy], tmp_path / "two", **FEW)
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    assert one == two and len(one) == 15  # seven entries, their samples, and the lock
    packed = next(content for name, content in one.items() if name.endswith(".gz"))
    assert packed[4:8] == bytes(4)  # RFC 1952: no time stamp


def test_the_samples_kept_are_those_of_the_log_without_its_texts(evaluated, tmp_path):
    path = of_task(add([evaluated], tmp_path / "store", **FEW), OURS)
    logged, rows = records(evaluated), kept_of(path)
    assert {row["id"] for row in rows} == set(logged["sampling"])
    for row in rows:
        for method in METHODS:
            record = logged[method][row["id"]]
            assert row["confidence"][method] == record["confidence"]
            assert row["correct"] == record["correct"]
        digest = hashlib.sha256(record["question"].encode()).hexdigest()
        assert row["question_sha256"] == digest[:16]
        assert row.keys() == {"id", "question_sha256", "answer_sha256", "correct", "confidence"}
    samples = read_kept_samples(path)
    assert list(samples.ids) == sorted(samples.ids)
    expected = [logged["verbalized"][key]["confidence"] for key in samples.ids]
    np.testing.assert_array_equal(samples.confidence["verbalized"], np.array(expected, float))


def test_the_samples_of_a_stock_task_are_its_values(evaluated_stock, tmp_path):
    path = of_task(add([evaluated_stock], tmp_path / "store", **FEW), "truthfulqa_mc2")
    text = log_file(evaluated_stock, "truthfulqa_mc2").read_text(encoding="utf-8")
    logged = {str(row["doc_id"]): row["acc"] for row in map(json.loads, text.splitlines())}
    samples = read_kept_samples(path)
    assert dict(zip(samples.ids, samples.values["acc,none"].tolist(), strict=True)) == logged


def test_samples_too_large_for_a_repository_are_not_kept(evaluated, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("calib_leaderboards.store.make.LARGEST_SAMPLES", 100)
    paths = add([evaluated], tmp_path / "store", **FEW)
    assert entry_of(paths[0])["samples"] == {"file": None, "sha256": None}
    assert "samples are not kept" in caplog.text and not list(tmp_path.rglob("*.gz"))
    assert len(read_entries(tmp_path / "store")) == 2
    with pytest.raises(FileNotFoundError, match="too large"):
        read_kept_samples(paths[0])


def test_entries_come_back_in_the_order_of_their_paths(evaluated, evaluated_stock, tmp_path):
    paths = add([evaluated_stock, evaluated], tmp_path / "store", **FEW)
    entries = read_entries(tmp_path / "store")
    places = [tmp_path / "store" / entry_path(entry) for entry in entries]
    assert places == sorted(paths)
    assert entries[0].model_dump() == entry_of(places[0])


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
        (limited, r"asked 24 of the 24 questions of calib_nq_open \(--limit 24\.0\).*only whole"),
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
    with pytest.raises(ValueError, match="already in the store; give --replace"):
        add([ours], store, **FEW)
    assert tree(store) == before
    change_results(ours, lambda r: r["config"].update(batch_size=7))
    paths = add([ours], store, replace=True, **FEW)
    assert entry_of(paths[0])["provenance"]["batch_size"] == "7"
    assert tree(store).keys() == before.keys()


def test_two_runs_of_one_entry_are_refused(ours, tmp_path):
    again = shutil.copytree(ours, tmp_path / "again")
    change_results(again, lambda r: r["config"].update(batch_size=7))
    with pytest.raises(ValueError, match="both give the entry 'org__tiny/main/calib_nq_open--5"):
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


# --------------------------------------------------------------------------------------- at a time


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


# -------------------------------------------------------------------------------------- the command


def test_the_command_prints_the_files_or_a_sentence(ours, tmp_path):
    arguments = ["leaderboard", "add", str(ours), "--store", str(tmp_path / "store")]
    done = CliRunner().invoke(calibench.cli.cli, arguments)
    assert done.exit_code == 0
    assert [Path(line).is_file() for line in done.output.splitlines()] == [True, True]
    again = CliRunner().invoke(calibench.cli.cli, arguments)
    assert isinstance(again.exception, ValueError) and "--replace" in str(again.exception)
    assert CliRunner().invoke(calibench.cli.cli, [*arguments, "--replace"]).exit_code == 0


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
