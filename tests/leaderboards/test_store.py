"""The store of leaderboard entries: what lm-eval wrote, recomputed, described and kept."""

import hashlib
import json
import logging
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import brier_score_loss, roc_auc_score

import calibench.cli
from calib_leaderboards.store import add, read_entries, read_kept_samples
from calib_leaderboards.store.entry import entry_schema
from calib_leaderboards.store.paths import entry_path
from harness_tasks.elicitation.records import read_samples
from helpers.store_runs import (
    CHOICE,
    FEW,
    OURS,
    change_results,
    entry_of,
    kept_of,
    log_file,
    of_task,
    results_file,
    tree,
)

SCHEMA = Path(__file__).parents[2] / "leaderboards/calib_leaderboards/entry.schema.json"
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


# -------------------------------------------------------------------------------------- the command


def test_the_command_prints_the_files_or_a_sentence(ours, tmp_path):
    arguments = ["leaderboard", "add", str(ours), "--store", str(tmp_path / "store")]
    done = CliRunner().invoke(calibench.cli.cli, arguments)
    assert done.exit_code == 0
    assert [Path(line).is_file() for line in done.output.splitlines()] == [True, True]
    again = CliRunner().invoke(calibench.cli.cli, arguments)
    assert isinstance(again.exception, ValueError) and "--replace" in str(again.exception)
    assert CliRunner().invoke(calibench.cli.cli, [*arguments, "--replace"]).exit_code == 0
