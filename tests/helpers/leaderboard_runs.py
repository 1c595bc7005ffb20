"""Folders in the format that lm-eval writes, and the tables that are built of them."""

import csv
import json

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score

from calib_leaderboards.pages.publish import build_runs

TASK = "calib_worldfacts"
FEW = {"resamples": 20}  # intervals are not under test here


def questions(n=60, seed=0):
    """n made-up questions with answers, and whether each answer is right."""
    rng = np.random.default_rng(seed)
    return [
        {"id": f"q{i}", "question": f"Question {i}?", "answer": f"a{i}", "correct": int(right)}
        for i, right in enumerate(rng.random(n) < 0.6)
    ]


def confidences(n=60, seed=1):
    return [float(value) for value in np.random.default_rng(seed).random(n)]


def sklearn_scores(confidence, correct):
    confidence, correct = np.array(confidence), np.array(correct)
    share, mean = calibration_curve(correct, confidence, n_bins=10)
    count = np.histogram(confidence, bins=10, range=(0, 1))[0]
    return {
        "ece": float(np.sum(count[count > 0] / len(correct) * np.abs(share - mean))),
        "auroc": float(roc_auc_score(correct, confidence)),
        "brier": float(brier_score_loss(correct, confidence)),
        "acc": float(np.mean(correct)),
    }


def write_run(
    folder,
    methods,
    docs=None,
    *,
    task=TASK,
    stamp="2025-01-02T03-04-05.678901",
    model_args=None,
    answers=None,
    limit=None,
    whole=None,
    summary=None,
):
    """Write results_*.json and samples_*.jsonl as lm-eval 0.4.13 does.

    methods: confidences by method; lm-eval turns each filtered response into text.
    whole: how many questions the task has, if not those of `docs`. summary: changes to the printed
    scores. Returns both paths.
    """
    docs = docs or questions()
    folder.mkdir(parents=True, exist_ok=True)
    printed, lines = {"alias": task, "sample_len": len(docs)}, []
    for method, confidence in methods.items():
        for number, (doc, value) in enumerate(zip(docs, confidence, strict=True)):
            record = {
                "task": task,
                "split": "test",
                **doc,
                "method": method,
                "confidence": value,
                "reason": "no number in 'Sure'" if value is None else None,
                "signature": "wording:yes_no",
            }
            pair = [value, doc["correct"]]
            lines.append(
                {
                    "doc_id": number,
                    "doc": {"id": doc["id"]},
                    "target": "x",
                    "arguments": {"gen_args_0": {"arg_0": doc["question"]}},
                    "resps": [[doc["answer"]]],
                    "filtered_resps": [json.dumps(record), "None"],
                    "filter": method,
                    "metrics": ["acc", "ece", "auroc", "brier", "answered"],
                    "doc_hash": "0",
                    "prompt_hash": "0",
                    "target_hash": "0",
                    "acc": doc["correct"],
                    "ece": pair,
                    "auroc": pair,
                    "brier": pair,
                    "answered": int(value is not None),
                }
            )
        present = [
            (v, d["correct"]) for v, d in zip(confidence, docs, strict=True) if v is not None
        ]
        if present:
            for name, value in sklearn_scores(*zip(*present, strict=True)).items():
                printed[f"{name},{method}"] = value
        printed[f"acc,{method}"] = float(np.mean([doc["correct"] for doc in docs]))
        printed[f"answered,{method}"] = len(present) / len(docs)
        printed[f"ece_stderr,{method}"] = "N/A"
    printed.update(summary or {})
    results = {
        "results": {task: printed},
        "configs": {task: {"task": task, "metadata": {"version": 1.0, "answers": answers}}},
        "versions": {task: 1.0},
        "n-shot": {task: 0},
        "n-samples": {task: {"original": whole or len(docs), "effective": len(docs)}},
        "config": {
            "model": "hf",
            "model_args": model_args
            or {"pretrained": "/home/me/.cache/SmolLM2-135M-Instruct-b179c9523d0e"},
            "model_dtype": "torch.float32",
            "limit": limit,
            "random_seed": 0,
            "numpy_seed": 1234,
            "torch_seed": 1234,
            "fewshot_seed": 1234,
        },
        "date": 1735786800.0,
        "pretty_env_info": "PyTorch version: 2.13.0+cpu\nIs debug build: False",
        "lm_eval_version": "0.4.13",
        "transformers_version": "5.23.0",
        "chat_template_sha": None,
        "total_evaluation_time_seconds": "61.25",
    }
    results_file = folder / f"results_{stamp}.json"
    results_file.write_text(json.dumps(results, indent=2), encoding="utf-8")
    samples_file = folder / f"samples_{task}_{stamp}.jsonl"
    samples_file.parent.mkdir(parents=True, exist_ok=True)  # of a name with slashes
    samples_file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return results_file, samples_file


def write_adapter_run(folder, methods, docs=None, **options):
    options = {"stamp": "2025-01-03T00-00-00.000001", "answers": "/x/samples.jsonl", **options}
    adapter = {"pretrained": "/m/SmolLM2-135M-Instruct-b179c9523d0e", "peft": "/x/my_adapter"}
    return write_run(folder, methods, docs, model_args=adapter, **options)


def build(runs, out, **options):
    """Build the pages of runs; return the text of the README."""
    return build_runs(runs, out, **{**FEW, **options}).read_text(encoding="utf-8")


def scores_of(out, **wanted):
    """metric -> line of leaderboard.csv, of the rows that have all the wanted values."""
    with (out / "leaderboard.csv").open(encoding="utf-8", newline="") as lines:
        rows = [
            row
            for row in csv.DictReader(lines)
            if all(row[name] == value for name, value in wanted.items())
        ]
    assert len({row["metric"] for row in rows}) == len(rows), "not one row"
    return {row["metric"]: row for row in rows}


def values_of(out, **wanted):
    return {name: float(row["value"]) for name, row in scores_of(out, **wanted).items()}


def labels_of(out, task=TASK):
    """label -> line of leaderboard.csv about its accuracy; in the order of the file."""
    with (out / "leaderboard.csv").open(encoding="utf-8", newline="") as lines:
        rows = [
            row for row in csv.DictReader(lines) if (row["metric"], row["task"]) == ("acc", task)
        ]
    return {row["label"]: row for row in rows}


def contents(folder):
    files = (p for p in folder.rglob("*") if p.is_file() and ".build" not in p.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
