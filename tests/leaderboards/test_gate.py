"""The gate's command on folders in the format that lm-eval writes."""

import hashlib
import json
import re

import numpy as np
import pytest
import yaml
from sklearn.metrics import brier_score_loss, roc_auc_score

from helpers.gate_runs import (
    METHOD,
    TASK,
    N,
    confidence_rows,
    edit,
    model,
    rows_of_model,
    run_gate,
    sharpen,
    verdicts,
    write_run,
)


def test_a_baseline_has_the_command_first_and_values_that_scikit_learn_confirms(baseline):
    first, *_ = baseline.read_text().splitlines()
    assert re.fullmatch(r"# calibench gate --update \S+tiny.yaml \S+ --samples \S+samples", first)
    data = yaml.safe_load(baseline.read_text())
    confidence, correct = model()
    assert data["model_name"] == "Tiny" and data["num_fewshot"] == 3 and "limit" not in data
    (task,) = data["tasks"]
    assert task["name"] == TASK and task["n"] == N
    kept = baseline.parent / task["samples"]["path"]
    assert task["samples"]["sha256"] == hashlib.sha256(kept.read_bytes()).hexdigest()
    metrics = {metric["name"]: metric for metric in task["metrics"]}
    assert list(metrics) == ["acc", "brier", "auroc", "ece", "answered"]
    assert metrics["brier"]["value"] == pytest.approx(brier_score_loss(correct, confidence))
    assert metrics["auroc"]["value"] == pytest.approx(roc_auc_score(correct, confidence))
    assert metrics["brier"]["direction"] == "lower" and metrics["auroc"]["direction"] == "higher"
    assert {metric["filter"] for metric in metrics.values()} == {METHOD}


def test_the_same_results_and_a_noisy_rerun_pass(baseline, tmp_path):
    assert run_gate(baseline, tmp_path / "base")[0] == 0
    confidence, correct = model()
    noise = np.random.default_rng(1).normal(0, 0.03, N)
    rows = confidence_rows({METHOD: np.clip(confidence + noise, 0, 1)}, correct)
    code, judged, said = verdicts(tmp_path, baseline, write_run(tmp_path / "new", rows))
    assert code == 0 and "PASS: none of 5 scores became worse" in said
    brier = judged["brier"]
    assert brier["evidence"]["low"] < brier["evidence"]["difference"] < brier["evidence"]["high"]
    assert 0 < brier["detectable"] < 0.05 and brier["p"] >= brier["evidence"]["p"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_baseline_that_another_editor_saved_is_read(baseline, tmp_path, encoding, end):
    text = baseline.read_text().replace("\n", end)
    baseline.write_bytes(text.encode(encoding))
    code, said = run_gate(baseline, tmp_path / "base")
    assert code == 0, said


def test_rows_are_paired_by_question_whatever_their_order(baseline, tmp_path):
    confidence, correct = model()
    rows = list(confidence_rows({METHOD: sharpen(confidence, correct)[0]}, correct))
    ordered = write_run(tmp_path / "a", rows)
    mixed = write_run(tmp_path / "b", [rows[i] for i in np.random.default_rng(5).permutation(N)])
    assert verdicts(tmp_path, baseline, ordered)[1] == verdicts(tmp_path, baseline, mixed)[1]


def shuffle_confidences(confidence, correct):
    return np.random.default_rng(2).permutation(confidence), correct


def shuffle_answers(confidence, correct):
    return confidence, np.where(np.random.default_rng(3).random(N) < 0.5, correct, 0)


@pytest.mark.parametrize(
    "harm, caught",
    [
        (sharpen, {"brier", "ece"}),
        (shuffle_confidences, {"brier", "auroc", "ece"}),
        (shuffle_answers, {"acc", "brier", "ece", "auroc"}),
    ],
)
def test_a_harmed_model_is_caught(baseline, tmp_path, harm, caught):
    confidence, correct = harm(*model())
    rows = confidence_rows({METHOD: confidence}, correct)
    code, judged, said = verdicts(tmp_path, baseline, write_run(tmp_path / "new", rows))
    assert code == 1 and said.rstrip().endswith("scores became worse.")
    assert {name for name, j in judged.items() if j["verdict"] == "regression"} == caught


def test_no_longer_answering_is_a_regression_although_the_rest_looks_fine(baseline, tmp_path):
    confidence, correct = model()
    confidence = confidence.copy()
    confidence[::10] = np.nan
    rows = confidence_rows({METHOD: confidence}, correct)
    code, judged, said = verdicts(tmp_path, baseline, write_run(tmp_path / "new", rows))
    assert code == 1 and judged["answered"]["verdict"] == "regression"
    assert judged["brier"]["verdict"] == "pass" and judged["brier"]["evidence"]["n_missing"] == 30
    assert "30 questions left out" in said


def test_dtypes_are_compared_where_the_baseline_leaves_the_line_out(baseline, tmp_path):
    edit(baseline, lambda data: data.pop("dtype"))
    run = write_run(tmp_path / "new", rows_of_model(), dtype="bfloat16")
    assert run_gate(baseline, run)[0] == 0


def test_frozen_answers_that_are_the_baselines_can_be_compared(baseline, tmp_path):
    run = write_run(tmp_path / "new", rows_of_model(), answers="/runs/base/samples.jsonl")
    assert run_gate(baseline, run)[0] == 0


def test_a_regression_outweighs_a_score_that_cannot_be_compared(baseline, tmp_path):
    edit(
        baseline,
        lambda data: data["tasks"].append(
            {"name": "absent", "metrics": [{"name": "acc", "value": 0.5}]}
        ),
    )
    rows = confidence_rows({METHOD: sharpen(*model())[0]}, model()[1])
    code, said = run_gate(baseline, write_run(tmp_path / "new", rows))
    assert code == 1
    assert "2 of 6 scores became worse; 1 of 6 scores cannot be compared" in said


def test_level_correction_and_options_are_checked(baseline, tmp_path):
    base = tmp_path / "base"
    wrong = {"--level": ("5", "1e-07"), "--correction": ("bonferoni",), "--resamples": ("3",)}
    for words in ([option, value] for option, values in wrong.items() for value in values):
        code, said = run_gate(baseline, base, *words)
        assert code == 2 and words[1] in said
    assert run_gate(baseline, base, "--samples", tmp_path / "s")[0] == 2
    code, judged, _ = verdicts(tmp_path, baseline, base, "--correction", "none")
    assert code == 0 and judged["brier"]["p"] == judged["brier"]["evidence"]["p"]


def test_output_of_lm_eval_itself_is_read(tmp_path):
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    from helpers.task_runs import Hashed

    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps({"q": f"Is {i}?", "gold": i % 2}) + "\n" for i in range(40)))
    config = {
        "task": "tiny_stock",
        "dataset_path": "json",
        "test_split": "test",
        "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(tmp_path / "c")},
        "output_type": "multiple_choice",
        "doc_to_text": "{{q}}",
        "doc_to_target": "gold",
        "doc_to_choice": ["yes", "no"],
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 2.0},
    }
    results = simple_evaluate(
        Hashed(), tasks=[config], task_manager=TaskManager(include_defaults=False), limit=30,
        bootstrap_iters=0,
    )  # fmt: skip
    samples = results.pop("samples")
    tracker = EvaluationTracker(output_path=str(tmp_path / "run"))
    tracker.general_config_tracker.model_name_sanitized = "hashed"
    tracker.save_results_aggregated(results=results, samples=samples)
    tracker.save_results_samples(task_name="tiny_stock", samples=samples["tiny_stock"])
    file = tmp_path / "b.yaml"
    code, said = run_gate("--update", file, tmp_path / "run", "--samples", tmp_path / "s")
    assert code == 0, said
    made = yaml.safe_load(file.read_text())
    (task,) = made["tasks"]
    assert made["limit"] == 30 and task["version"] == 2.0 and task["n"] == 30
    (metric,) = [metric for metric in task["metrics"] if metric["filter"] == "none"]
    assert metric["value"] == pytest.approx(results["results"]["tiny_stock"]["acc,none"], abs=1e-6)
    assert metric["direction"] == "higher"
    assert run_gate(file, tmp_path / "run")[0] == 0
