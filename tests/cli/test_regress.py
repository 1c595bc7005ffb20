"""`make regress`: its baselines let a harmed model not pass, and another processor's sums do."""

import json
import re
import subprocess
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.special import expit, logit

from calib_leaderboards.gate.samples import read_baseline_samples
from harness_tasks.elicitation.grading import exact
from helpers.gate_runs import TASK, run_gate, write_run

ROOT = Path(__file__).parents[2]
BASELINES = ROOT / "leaderboards" / "baselines"
DATA = ROOT / "harness_tasks" / "worldfacts" / "data" / "test.jsonl"
METHOD = "zero_shot_classifier"
pytestmark = pytest.mark.skipif(not BASELINES.is_dir(), reason="not a checkout: no baselines")


def held(name):
    """The baseline, and the samples kept for its one task."""
    baseline = yaml.safe_load((BASELINES / f"{name}.yaml").read_text())
    (task,) = baseline["tasks"]
    kept = task["samples"]
    return baseline, read_baseline_samples(BASELINES / kept["path"], kept["sha256"])


def questions(samples):
    """The rows of WorldFacts that the kept samples are about, in their order."""
    rows = {row["id"]: row for row in map(json.loads, DATA.open(encoding="utf-8"))}
    return [rows[key.rpartition(" ")[0]] for key in samples.keys]


def again(folder, name, harm):
    """A run that says what the baseline's said, after `harm(confidence, correct, questions)`."""
    baseline, samples = held(name)
    asked = questions(samples)
    rows = []
    for method, column in samples.filters.items():
        confidence, correct = harm(column.confidence, column.correct, asked)
        columns = zip(samples.keys, asked, confidence, correct, strict=True)
        for place, (key, question, c, right) in enumerate(columns):
            record = {
                "task": TASK,
                "split": "test",
                "id": question["id"],
                "method": method,
                "question": question["question"],
                "answer": "",
                "correct": int(right),
                "confidence": float(c),
                "reason": None,
                "signature": column.elicitation,
            }
            rows.append(
                {
                    "doc_id": place,
                    "filter": method,
                    "doc_hash": key.rpartition(" ")[2],
                    "filtered_resps": [json.dumps(record)],
                    "metrics": [],
                    "acc": int(right),
                }
            )
    shots, limit = baseline["num_fewshot"], baseline["limit"]
    version = baseline["tasks"][0]["version"]
    return write_run(folder / "new", rows, shots=shots, limit=limit, version=version)


def outcome(tmp_path, name, harm):
    """The gate's exit status, and the scores (method metric) that it calls worse."""
    report = tmp_path / "gate.json"
    code, said = run_gate(BASELINES / f"{name}.yaml", again(tmp_path, name, harm), "--json", report)
    judged = json.loads(report.read_text())["judgements"]
    assert len(judged) > 3 and "cannot decide" not in {j["verdict"] for j in judged}, said
    worse = {f"{j['filter']} {j['metric']}" for j in judged if j["verdict"] == "regression"}
    return code, worse


def unharmed(confidence, correct, asked):
    return confidence, correct


def sharpen(confidence, correct, asked):
    """Every confidence is moved towards 0 or 1: its log-odds are tripled."""
    return expit(3 * logit(np.clip(confidence, 1e-6, 1 - 1e-6))), correct


def overconfident(confidence, correct, asked):
    """The log-odds of being right are 1.5 higher."""
    return expit(logit(np.clip(confidence, 1e-6, 1 - 1e-6)) + 1.5), correct


def shuffle_answers(confidence, correct, asked):
    """Every question gets the answer to another one, and is graded again."""
    said = [
        q["answers"][0] if right else "(wrong)" for q, right in zip(asked, correct, strict=True)
    ]
    mixed = np.random.default_rng(0).permutation(said)
    return confidence, [
        int(exact(answer, q["answers"])) for answer, q in zip(mixed, asked, strict=True)
    ]


def shuffle_confidences(confidence, correct, asked):
    """Every answer gets the confidence in another one."""
    return np.random.default_rng(0).permutation(confidence), correct


def another_processor(seed):
    """More than was seen between instruction sets; calib_leaderboards/gate/README.md has that."""

    def run(confidence, correct, asked):
        rng = np.random.default_rng(seed)
        moved = expit(logit(np.clip(confidence, 1e-6, 1 - 1e-6)) + rng.normal(0, 0.01, len(asked)))
        correct = correct.copy()
        (one,) = rng.integers(len(asked), size=1)  # a tie between two tokens falls the other way
        correct[one] = 1 - correct[one]
        return moved, correct

    return run


@pytest.mark.parametrize("name", ["base", "tuned"])
def test_the_baselines_own_scores_and_those_of_another_processor_pass(tmp_path, name):
    assert outcome(tmp_path / "same", name, unharmed) == (0, set())
    for seed in range(5):
        assert outcome(tmp_path / str(seed), name, another_processor(seed)) == (0, set())


@pytest.mark.parametrize(
    "name, harm, caught",
    [
        ("base", sharpen, {f"{METHOD} brier"}),
        ("base", shuffle_answers, {"likelihood acc", "likelihood brier"}),
        ("tuned", shuffle_confidences, {f"{METHOD} auroc", f"{METHOD} brier"}),
        ("tuned", overconfident, {f"{METHOD} brier", f"{METHOD} ece"}),
        ("tuned", shuffle_answers, {f"{METHOD} acc", f"{METHOD} ece"}),
    ],
)
def test_a_harmed_model_does_not_pass(tmp_path, name, harm, caught):
    code, worse = outcome(tmp_path, name, harm)
    assert code == 1 and caught <= worse


def test_baselines_are_of_the_questions_that_make_regress_asks():
    """The first rows of the test split, with the limit of the Makefile."""
    planned = subprocess.run(
        ["make", "--dry-run", "regress", "REGRESS=absent"],  # what exists would not be planned
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    limits = dict(re.findall(r"--output_path \S*/absent/(\w+) .*--limit (\d+)", planned))
    assert set(limits) == {"base", "train", "validation", "tuned"}
    for name in ("base", "tuned"):
        baseline, samples = held(name)
        assert baseline["limit"] == int(limits[name]) == len(samples.keys)
        with DATA.open(encoding="utf-8") as rows:
            first = {json.loads(row)["id"] for row in islice(rows, int(limits[name]))}
        assert {key.rpartition(" ")[0] for key in samples.keys} == first


@pytest.mark.parametrize("name", ["base", "tuned"])
def test_every_score_has_a_tolerance(name):
    """Without one, the smallest change that all questions share would be a regression."""
    baseline, _ = held(name)
    (task,) = baseline["tasks"]
    assert all(metric["tolerance"] > 0 for metric in task["metrics"])
