"""Folders in the format that lm-eval writes, for the tests of the gate; and its command."""

import hashlib
import json

import numpy as np
import yaml
from click.testing import CliRunner

from calibench.cli import cli

TASK = "calib_worldfacts"
METHOD = "zero_shot_classifier"
N = 300
STAMP = "2025-01-02T03-04-05.678901"


def write_run(
    folder,
    rows,
    *,
    task=TASK,
    printed=None,
    version=1.0,
    shots=3,
    limit=None,
    answers=None,
    chat_template=None,
    directions=None,
    stamp=STAMP,
    dtype="float32",
    backend="hf",
    arguments=None,
    gen_kwargs=None,
    multiturn=None,
):
    """Write results_*.json and samples_*.jsonl, named as lm-eval names them; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    results = {
        "results": {task: {"alias": task, **(printed or {})}},
        "configs": {task: {"task": task, "metadata": {"answers": answers}}},
        "versions": {task: version},
        "n-shot": {task: shots},
        "n-samples": {},
        "higher_is_better": {task: directions or {}},
        "config": {
            "model": backend,
            "model_args": {"pretrained": "/m/Tiny", "dtype": "auto", **(arguments or {})},
            "gen_kwargs": gen_kwargs,
            "model_dtype": dtype and f"torch.{dtype}",
            "limit": limit,
        },
        "chat_template_sha": chat_template,
        "fewshot_as_multiturn": multiturn,
        "system_instruction_sha": None,
    }
    (folder / f"results_{stamp}.json").write_text(json.dumps(results), encoding="utf-8")
    log = folder / f"samples_{task}_{stamp}.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)  # of a name with slashes
    log.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def run_gate(*words):
    """The exit status of `calibench gate WORDS`, and all that it printed."""
    result = CliRunner().invoke(cli, ["gate", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def model(n=N, seed=0):
    """A model whose confidences are its chances of being right, and whether it was right."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.05, 0.95, n)
    return confidence, (rng.random(n) < confidence).astype(int)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def confidence_rows(methods, correct, *, task=TASK, signature="wording:yes_no", context="Q:"):
    for method, confidence in methods.items():
        for i, (value, right) in enumerate(zip(confidence, correct, strict=True)):
            value = None if value is None or np.isnan(value) else float(value)
            record = {
                "task": task,
                "split": "test",
                "id": f"q{i}",
                "method": method,
                "question": f"Question {i}?",
                "answer": f"a{i}{right}",
                "correct": int(right),
                "confidence": value,
                "reason": None,
                "signature": signature,
                "context": f"{context} Question {i}?",
            }
            yield {
                "doc_id": i,
                "filter": method,
                "doc_hash": digest(f"doc {i}"),
                "prompt_hash": digest(f"prompt {i}"),
                "filtered_resps": [json.dumps(record), "None"],
                "metrics": ["acc", "brier", "answered"],
                "acc": int(right),
                "brier": [value, int(right)],
                "answered": int(value is not None),
            }


def plain_rows(filters, metric="acc", wording=""):
    for name, values in filters.items():
        for i, value in enumerate(values):
            yield {
                "doc_id": i,
                "doc": {"q": f"doc {i}"},
                "target": "x",
                "filter": name,
                "doc_hash": digest(f"doc {i}"),
                "prompt_hash": digest(f"prompt {wording} {i}"),
                "filtered_resps": [["-1.2", "False"]],
                "metrics": [metric],
                metric: float(value),
            }


def edit(file, change):
    data = yaml.safe_load(file.read_text())
    change(data)
    file.write_text(yaml.safe_dump(data, sort_keys=False))


def verdicts(tmp_path, *words):
    code, said = run_gate(*words, "--json", tmp_path / "out.json")
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["exit_code"] == code
    return code, {j["metric"]: j for j in report["judgements"]}, said


def sharpen(confidence, correct):
    odds = (confidence / (1 - confidence)) ** 4
    return odds / (1 + odds), correct


def rows_of_model(**options):
    confidence, correct = model()
    return confidence_rows({METHOD: confidence}, correct, **options)
