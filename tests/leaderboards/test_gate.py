"""The gate's command on folders in the format that lm-eval writes."""

import hashlib
import json
import os
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import yaml
from sklearn.metrics import brier_score_loss, roc_auc_score

from helpers.gate_runs import STAMP, TASK, run_gate, write_run

METHOD = "zero_shot_classifier"
N = 300


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


@pytest.fixture
def baseline(tmp_path):
    """A baseline with samples, of one method."""
    confidence, correct = model()
    write_run(tmp_path / "base", confidence_rows({METHOD: confidence}, correct))
    file = tmp_path / "tiny.yaml"
    code, said = run_gate("--update", file, tmp_path / "base", "--samples", tmp_path / "samples")
    assert code == 0, said
    return file


def edit(file, change):
    data = yaml.safe_load(file.read_text())
    change(data)
    file.write_text(yaml.safe_dump(data, sort_keys=False))


def verdicts(tmp_path, *words):
    code, said = run_gate(*words, "--json", tmp_path / "out.json")
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["exit_code"] == code
    return code, {j["metric"]: j for j in report["judgements"]}, said


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


def sharpen(confidence, correct):
    odds = (confidence / (1 - confidence)) ** 4
    return odds / (1 + odds), correct


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


def renamed(rows):
    return ({**row, "doc_hash": digest(f"other {row['doc_hash']}")} for row in rows)


def rows_of_model(**options):
    confidence, correct = model()
    return confidence_rows({METHOD: confidence}, correct, **options)


@pytest.mark.parametrize(
    "rows, options, sentence",
    [
        (rows_of_model(task="other"), {"task": "other"}, "The results have no task"),
        (rows_of_model(), {"dtype": "bfloat16"}, "dtype of .* is bfloat16 in the run and float32"),
        (rows_of_model(), {"dtype": None}, "dtype of .* is not set in the run and float32"),
        (rows_of_model(), {"version": 2.0}, "task version of .* is 2 in the run and 1"),
        (rows_of_model(), {"shots": 5}, "few-shot examples of .* is 5 in the run and 3"),
        (rows_of_model(), {"limit": 300.0}, "--limit of .* is 300 in the run and not set"),
        (rows_of_model(), {"chat_template": "ab"}, "chat template of .* is ab in the run and none"),
        (rows_of_model(signature="wording:true_false"), {}, "asked for in another way"),
        (rows_of_model(context="Answer:"), {}, "prompts of .* worded differently"),
        (renamed(rows_of_model()), {}, "600 questions of .* only one of baseline"),
        (list(rows_of_model())[:-1], {}, "1 questions of .* \\(300\\) and run \\(299\\)"),
        (confidence_rows({"p_ik": model()[0]}, model()[1]), {}, "there is no filter '" + METHOD),
        (
            confidence_rows({METHOD: model()[0]}, 1 - model()[1]),
            {"answers": "/runs/samples.jsonl"},
            "judges other answers than the baseline \\(frozen in the run, own",
        ),
        (rows_of_model(), {"printed": {f"brier,{METHOD}": 0.123}}, "gives brier,.* = 0.123"),
    ],
)
def test_what_cannot_be_compared_is_said_in_a_sentence(baseline, tmp_path, rows, options, sentence):
    code, said = run_gate(baseline, write_run(tmp_path / "new", rows, **options))
    assert code == 2 and re.search(sentence, said), said
    assert "CANNOT DECIDE" in said


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


def test_two_runs_of_one_task_are_not_guessed_between(baseline, tmp_path):
    write_run(tmp_path / "base", rows_of_model(), stamp="2025-02-02T00-00-00.000000")
    code, said = run_gate(baseline, tmp_path / "base")
    assert code == 2 and "was evaluated twice" in said


def test_damaged_files_are_named(baseline, tmp_path):
    base = tmp_path / "base"
    log = base / f"samples_{TASK}_{STAMP}.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole[:-40])
    code, said = run_gate(baseline, base)
    assert code == 2 and f"{log.name}', line 300: not valid JSON" in said
    for confidence in ("NaN", "95", '\\"1\\"'):
        broken = re.sub(rb'confidence\\": [^,]+', f'confidence\\": {confidence}'.encode(), whole)
        assert broken != whole
        log.write_bytes(broken)
        code, said = run_gate(baseline, base)
        assert code == 2 and "line 1: the confidence is" in said
    log.write_bytes(whole + whole.splitlines(keepends=True)[0])
    assert "id 'q0' appears twice" in run_gate(baseline, base)[1]
    log.write_bytes(b"[" * 100_000)
    assert "not valid JSON" in run_gate(baseline, base)[1]
    log.write_text(whole.decode(), encoding="utf-16")
    assert "is not UTF-8 text" in run_gate(baseline, base)[1]
    log.unlink()
    assert "run lm_eval with --log_samples" in run_gate(baseline, base)[1]
    (base / f"results_{STAMP}.json").write_text("{")
    code, said = run_gate(baseline, base)
    assert code == 2 and f"results_{STAMP}.json': not valid JSON" in said


def test_large_foreign_and_recoded_results_are_a_short_sentence(baseline, tmp_path):
    """Nothing is read without end, through a link out of the folder, or printed whole."""
    base = tmp_path / "base"
    results, log = base / f"results_{STAMP}.json", base / f"samples_{TASK}_{STAMP}.jsonl"
    whole = results.read_bytes()

    def said_of(word):
        code, said = run_gate(baseline, base)
        assert code == 2 and word in said
        return said

    results.write_bytes(whole.replace(b"Tiny", "T\xefny".encode("cp1252")))
    assert len(said_of("is not UTF-8 text")) < 500
    with results.open("r+b") as file:
        file.truncate(200 * 2**20)
    said_of("has 209,715,200 bytes")
    (tmp_path / "elsewhere").write_bytes(whole)
    results.unlink()
    results.symlink_to(tmp_path / "elsewhere")
    said_of("is a symbolic link that leads out of")
    results.unlink()
    results.write_bytes(whole)
    log.rename(tmp_path / "elsewhere")
    log.symlink_to(tmp_path / "elsewhere")
    said_of("is a symbolic link that leads out of")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_among_the_results_is_not_waited_for(baseline, tmp_path):
    os.mkfifo(tmp_path / "base" / "results_pipe.json")
    code, said = run_gate(baseline, tmp_path / "base")
    assert code == 2 and "is no regular file" in said


def test_kept_samples_that_changed_are_refused(baseline, tmp_path):
    (kept,) = (tmp_path / "samples").iterdir()
    content = kept.read_bytes()
    kept.write_bytes(content + b" ")
    code, said = run_gate(baseline, tmp_path / "base")
    assert code == 2 and "its sha256 differs" in said
    kept.unlink()
    assert "are not there" in run_gate(baseline, tmp_path / "base")[1]
    kept.write_bytes(content)
    edit(baseline, lambda data: data["tasks"][0]["metrics"][1].update(value=0.3))
    code, said = run_gate(baseline, tmp_path / "base")
    assert code == 2 and "update it rather than edit values" in said


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("a: [", "is not YAML"),
        ("[]", "is no baseline"),
        ("model_name: x\ntasks: []", "tasks: List should have at least 1 item"),
        ("model_name: x\ntask: []", "task: there is no such entry"),
        ("model_name: x\ntasks: [{name: t, metrics: [{name: acc, value: .nan}]}]", "finite number"),
        (
            "model_name: x\ntasks: [{name: t, metrics: [{name: acc, value: 1, tolerence: 1}]}]",
            "tasks.0.metrics.0.tolerence: there is no such entry",
        ),
        (
            "model_name: x\ntasks: [{name: t, metrics: [&a {name: a, value: 1}, *a]}]",
            "t: the metric a is listed twice",
        ),
    ],
)
def test_a_wrong_baseline_is_explained(tmp_path, text, sentence):
    (tmp_path / "b.yaml").write_text(text)
    run = write_run(tmp_path / "run", rows_of_model())
    code, said = run_gate(tmp_path / "b.yaml", run)
    assert code == 2 and sentence in said and "Traceback" not in said
    assert run_gate(tmp_path / "none.yaml", run)[0] == 2
    assert run_gate(tmp_path / "b.yaml", tmp_path)[0] == 2


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


def test_update_keeps_what_a_person_chose(baseline, tmp_path):
    def choose(data):
        data["tasks"][0]["metrics"] = [
            {"name": "brier", "filter": METHOD, "value": 0, "tolerance": 0.01},
            {"name": "nll", "filter": METHOD, "value": 0, "test": "interval"},
        ]

    edit(baseline, choose)
    assert run_gate("--update", baseline, tmp_path / "base")[0] == 0
    once = baseline.read_bytes()
    (task,) = yaml.safe_load(once)["tasks"]
    brier, nll = task["metrics"]
    confidence, correct = model()
    assert brier["value"] == pytest.approx(brier_score_loss(correct, confidence))
    assert brier["tolerance"] == 0.01 and nll["test"] == "interval" and "samples" in task
    assert run_gate(baseline, tmp_path / "base")[0] == 0
    assert run_gate("--update", baseline, tmp_path / "base")[0] == 0
    assert baseline.read_bytes() == once
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "samples", "tiny.yaml"]


def test_no_baseline_is_made_of_results_that_disagree_with_their_samples(tmp_path):
    run = write_run(tmp_path / "base", rows_of_model(), printed={f"ece,{METHOD}": 0.5})
    code, said = run_gate("--update", tmp_path / "b.yaml", run)
    assert code == 2 and f"gives ece,{METHOD} = 0.5, but its samples give" in said
    assert not (tmp_path / "b.yaml").exists()


def test_update_replaces_no_file_of_another_kind(tmp_path):
    base = write_run(tmp_path / "base", rows_of_model())
    mine = tmp_path / "samples" / f"b__{TASK}.json.gz"
    mine.parent.mkdir()
    mine.write_text("mine")
    code, said = run_gate("--update", tmp_path / "b.yaml", base, "--samples", mine.parent)
    assert code == 2 and "choose another folder" in said
    assert mine.read_text() == "mine" and not (tmp_path / "b.yaml").exists()
    notes = tmp_path / "notes.yaml"
    notes.write_text("shopping: [milk]\n")
    assert run_gate("--update", notes, base)[0] == 2
    assert notes.read_text() == "shopping: [milk]\n"


HOSTILE = "../../x<script>|`a`\x1b[31m]]>&\x00"
HOSTILE_TASK = HOSTILE.replace("\x00", "")  # which no file of samples can have in its name


def test_names_cannot_escape_from_folders_reports_or_tables(tmp_path, monkeypatch):
    confidence, correct = model()
    rows = list(confidence_rows({HOSTILE: confidence}, correct, task=HOSTILE_TASK))
    base = write_run(tmp_path / "in" / "base", rows, task=HOSTILE_TASK)
    file = tmp_path / "in" / "b.yaml"
    kept = tmp_path / "in" / "samples"
    code, said = run_gate("--update", file, base, "--samples", kept)
    assert code == 0 and "\x1b" not in said, said
    assert [path.parent for path in tmp_path.rglob("*.gz")] == [kept]
    rows = confidence_rows({HOSTILE: sharpen(confidence, correct)[0]}, correct, task=HOSTILE_TASK)
    new = write_run(tmp_path / "in" / "new", rows, task=HOSTILE_TASK)
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    junit, as_json = tmp_path / "out" / "gate.xml", tmp_path / "out" / "gate.json"
    code, said = run_gate(file, new, "--junit", junit, "--json", as_json)
    assert code == 1 and "\x1b" not in said and "\x00" not in said
    suites = ET.parse(junit).getroot()
    (suite,) = suites
    assert suite.get("tests") == "5" and suite.get("failures") == "2" and suite.get("errors") == "0"
    assert "<script>" in suite.get("name")  # as text, which the parser gave back
    failed = [case.get("name").split()[-1] for case in suite if case.find("failure") is not None]
    assert failed == ["brier", "ece"]
    text = page.read_text()
    assert text.startswith("before\n") and "<script>" not in text and "\x1b" not in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(table) == 7 and {line.count("|") for line in table} == {10}
    report = json.loads(as_json.read_text(), parse_constant=pytest.fail)
    assert report["judgements"][0]["task"] == HOSTILE_TASK
    assert report["judgements"][0]["filter"] == HOSTILE


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
