"""The gate on stock tasks and on baselines in vLLM's format."""

import numpy as np
import yaml

from helpers.gate_runs import edit, plain_rows, run_gate, verdicts, write_run

VLLM = """\
# a file as vLLM's tests have them
model_name: "org/Tiny"
tasks:
- name: "gsm8k"
  metrics:
  - name: "exact_match,strict-match"
    value: 0.75
  - name: "exact_match,flexible-extract"
    value: 0.75
limit: 250
num_fewshot: 5
"""


def gsm8k(folder, strict, flexible):
    filters = {"strict-match": strict, "flexible-extract": flexible}
    return write_run(
        folder,
        plain_rows(filters, "exact_match"),
        task="gsm8k",
        limit=250.0,
        shots=5,
        directions={"exact_match": True},
    )


def share(percent, n=250):
    return (np.arange(n) % 100 < percent).astype(float)


def test_a_vllm_baseline_is_held_against_the_new_interval(tmp_path):
    (tmp_path / "b.yaml").write_text(VLLM)
    assert run_gate(tmp_path / "b.yaml", gsm8k(tmp_path / "a", share(75), share(72)))[0] == 0
    code, said = run_gate(tmp_path / "b.yaml", gsm8k(tmp_path / "c", share(74), share(60)))
    assert code == 1 and "REGRESSION: 1 of 2" in said


def test_rtol_and_threshold_work_as_in_vllm(tmp_path):
    file = tmp_path / "b.yaml"
    file.write_text(VLLM + "rtol: 0.08\n")
    edit(file, lambda data: [m.update(test="threshold") for m in data["tasks"][0]["metrics"]])
    worse = gsm8k(tmp_path / "c", share(70), share(60))  # 0.75 * 0.92 = 0.69
    code, judged, _ = verdicts(tmp_path, file, worse)
    assert code == 1
    assert judged["exact_match"]["filter"] == "flexible-extract"  # the last of the two
    assert judged["exact_match"]["verdict"] == "regression"
    assert run_gate(file, gsm8k(tmp_path / "d", share(70), share(72)))[0] == 0


def test_results_of_stock_tasks_are_paired_too(tmp_path):
    right = share(60, 400)
    stock = {"task": "mmlu_anatomy", "directions": {"acc": True}, "shots": 0}
    base = write_run(tmp_path / "base", plain_rows({"none": right}), **stock)
    file = tmp_path / "b.yaml"
    assert run_gate("--update", file, base, "--samples", tmp_path / "s")[0] == 0
    (task,) = yaml.safe_load(file.read_text())["tasks"]
    assert [(m["name"], m["filter"], m["value"]) for m in task["metrics"]] == [("acc", "none", 0.6)]
    worse = right.copy()
    worse[:12] = 0  # 12 lost and none won: p = 2 ** -12, far within either one's interval
    new = write_run(tmp_path / "new", plain_rows({"none": worse}), **stock)
    code, judged, _ = verdicts(tmp_path, file, new)
    assert code == 1 and judged["acc"]["evidence"]["p"] < 0.002
    edit(file, lambda data: data["tasks"][0]["metrics"][0].update(test="interval"))
    assert run_gate(file, new)[0] == 0
    reworded = write_run(tmp_path / "w", plain_rows({"none": right}, wording="!"), **stock)
    code, said = run_gate(file, reworded)
    assert code == 2 and "worded differently" in said


def test_a_score_that_is_no_mean_or_has_no_direction_is_not_guessed_at(tmp_path):
    texts = ({**row, "bleu": ["a", "b"], "metrics": ["bleu"]} for row in plain_rows({"none": [1]}))
    run = write_run(tmp_path / "bleu", texts, task="t", printed={"bleu,none": 30.0})
    code, said = run_gate("--update", tmp_path / "b.yaml", run)
    assert code == 2 and "t is left out: it has no score that the gate can test" in said
    file = tmp_path / "c.yaml"
    file.write_text("model_name: x\ntasks: [{name: t, metrics: [{name: bleu, value: 30}]}]")
    assert "no score bleu that is a finite number" in run_gate(file, run)[1]
    run = write_run(tmp_path / "d", plain_rows({"none": [1, 2, 3]}, "d"), task="t", shots=None)
    file.write_text("model_name: x\ntasks: [{name: t, metrics: [{name: d, value: 2}]}]")
    assert "Nothing says which way d is better" in run_gate(file, run)[1]
    edit(file, lambda data: data["tasks"][0]["metrics"][0].update(direction="lower"))
    assert run_gate(file, run)[0] == 0
