"""What the gate cannot read or compare, and the sentence that says why."""

import json
import os
import re
import xml.etree.ElementTree as ET

import pytest

from helpers.gate_runs import (
    METHOD,
    STAMP,
    TASK,
    confidence_rows,
    digest,
    edit,
    model,
    rows_of_model,
    run_gate,
    sharpen,
    write_run,
)


def renamed(rows):
    return ({**row, "doc_hash": digest(f"other {row['doc_hash']}")} for row in rows)


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
        (rows_of_model(signature="wording:true_false"), {}, "asked for differently"),
        (rows_of_model(context="Answer:"), {}, "prompts of .* worded differently"),
        (renamed(rows_of_model()), {}, "600 questions of .* only one of baseline"),
        (list(rows_of_model())[:-1], {}, "1 questions of .* \\(300\\) and run \\(299\\)"),
        (confidence_rows({"p_ik": model()[0]}, model()[1]), {}, "there is no filter '" + METHOD),
        (
            confidence_rows({METHOD: model()[0]}, 1 - model()[1]),
            {"answers": "/runs/samples.jsonl"},
            "judges different answers \\(frozen in the run, own",
        ),
        (rows_of_model(), {"printed": {f"brier,{METHOD}": 0.123}}, "gives brier,.* = 0.123"),
    ],
)
def test_what_cannot_be_compared_is_said_in_a_sentence(baseline, tmp_path, rows, options, sentence):
    code, said = run_gate(baseline, write_run(tmp_path / "new", rows, **options))
    assert code == 2 and re.search(sentence, said), said
    assert "CANNOT DECIDE" in said


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


def test_results_with_another_value_where_scores_and_options_belong(baseline, tmp_path):
    results = tmp_path / "base" / f"results_{STAMP}.json"
    whole = json.loads(results.read_bytes())
    for value in (0.5, True, [1]):
        content = {**whole, "config": {**whole["config"], "gen_kwargs": value}}
        results.write_text(json.dumps(content))
        for update in ([], ["--update"]):
            code, said = run_gate(*update, baseline, tmp_path / "base")
            assert code == 2 and f"'gen_kwargs' is {value!r}" in said
    whole["results"][TASK][f"acc,{METHOD}"] = 10**400
    results.write_text(json.dumps(whole))
    code, said = run_gate(baseline, tmp_path / "base")
    assert code == 2 and "int too large to convert to float" in said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_among_the_results_is_not_waited_for(baseline, tmp_path):
    os.mkfifo(tmp_path / "base" / "results_pipe.json")
    code, said = run_gate(baseline, tmp_path / "base")
    assert code == 2 and "is not a regular file" in said


def test_kept_samples_that_changed_are_refused(baseline, tmp_path):
    (kept,) = (tmp_path / "samples").iterdir()
    content = kept.read_bytes()
    kept.write_bytes(content + b" ")
    code, said = run_gate(baseline, tmp_path / "base")
    assert code == 2 and "its sha256 differs" in said
    kept.unlink()
    assert "are missing" in run_gate(baseline, tmp_path / "base")[1]
    kept.write_bytes(content)
    edit(baseline, lambda data: data["tasks"][0]["metrics"][1].update(value=0.3))
    code, said = run_gate(baseline, tmp_path / "base")
    assert code == 2 and "update it rather than edit values" in said


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("a: [", "is not YAML"),
        ("[]", "is not a baseline"),
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
