"""Multiple-choice tasks of lm-eval's own, logged as usual, in the store, tables and the gate."""

import json
import math

import numpy as np
import pytest
import scipy.special
from click.testing import CliRunner
from sklearn.metrics import brier_score_loss, roc_auc_score

import calibench.cli
from calib_leaderboards.gate import baseline as gate_baseline
from calib_leaderboards.runs import find_runs, load_log
from calib_leaderboards.store.add import add
from calib_leaderboards.store.check import check
from calib_leaderboards.store.entry import entry_from_json
from calib_leaderboards.store.paths import samples_path
from calib_leaderboards.store.read import read_entries, read_kept_samples
from calib_leaderboards.tables.rows import table_rows
from helpers.stock_logs import log, rows_of, write_rows
from helpers.stock_runs import evaluate, save

LENGTHS = {"acc": lambda text: 1, "acc_norm": len, "acc_bytes": lambda text: len(text.encode())}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The logs of a real run: letters in two subjects, options of unequal length, two contexts."""
    folder = tmp_path_factory.mktemp("stock")
    return save(evaluate(folder), folder / "out")


@pytest.fixture(scope="module")
def store(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    add([run], folder, resamples=50)
    return folder


def entries(store):
    return {entry.task.name: entry for entry in read_entries(store)}


def by_hand(file, name):
    """Confidence and correct from the log's own rows, by SciPy."""
    confidence, correct = [], []
    for row in rows_of(file):
        pairs = [row["arguments"][f"gen_args_{i}"] for i in range(len(row["resps"]))]
        texts = [pair["arg_1"].removeprefix(" ") for pair in pairs]
        lengths = np.array([LENGTHS[name](text) for text in texts])
        scores = np.array([float(each[0][0]) for each in row["resps"]]) / lengths
        confidence.append(scipy.special.softmax(scores).max())
        correct.append(int(np.argmax(scores) == int(row["target"])))
    return np.array(confidence), np.array(correct)


@pytest.mark.parametrize("name", LENGTHS)
def test_an_entry_has_the_calibration_of_each_accuracy(run, store, name):
    confidence, correct = by_hand(log(run, "texts"), name)
    (score,) = [s for s in entries(store)["texts"].scores if s.method == name]
    values = {metric: found.value for metric, found in score.metrics.items()}
    assert values["acc"] == pytest.approx(correct.mean())
    assert values["brier"] == pytest.approx(brier_score_loss(correct, confidence))
    assert values["auroc"] == pytest.approx(roc_auc_score(correct, confidence))
    assert score.label == f"Likelihood ({name})"
    assert score.elicitation.startswith("softmax:options|norm:")
    assert f"conf:{name}" in score.metrics["ece"].signature


def test_the_means_that_lm_eval_printed_stay_a_row_of_their_own(store):
    answers = entries(store)["texts"].scores[0]
    assert answers.label == "Answers"
    assert set(answers.metrics) == {"acc", "acc_norm", "acc_bytes"}


def test_letters_and_contexts_have_one_column(store):
    found = entries(store)
    for task in ("exam_one", "exam_two", "contexts"):
        assert [score.method for score in found[task].scores] == ["none", "acc"]


def test_the_kept_samples_give_the_scores_again(store):
    assert check(store) == 4
    assert all(entry.samples.file for entry in read_entries(store))


def test_an_edited_confidence_score_is_found_out(store, tmp_path):
    path = next(store.glob("*/*/texts--*.json"))
    other = tmp_path / path.relative_to(store)
    other.parent.mkdir(parents=True)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["scores"][1]["metrics"]["ece"]["value"] = 0.01
    other.write_text(json.dumps(content), encoding="utf-8")
    samples_path(other).write_bytes(samples_path(path).read_bytes())
    with pytest.raises(ValueError, match="ece is 0.01 .* of acc"):
        check(tmp_path)


def test_the_rows_are_ranked_by_skill_with_the_samples(store):
    kept = {entry.task.name: entry for entry in read_entries(store)}

    def samples(entry):
        return read_kept_samples(next(store.glob(f"*/*/{entry.task.name}--*.json")))

    rows = table_rows(kept.values(), samples)
    ranked = {row.score.method: row.rank for row in rows if row.entry.task.name == "texts"}
    # Printed means do not compete, and by length fewer than ten answers are right.
    assert ranked == {"none": None, "acc": 1, "acc_norm": None, "acc_bytes": None}


def test_a_log_whose_options_contradict_its_verdicts_goes_in_without_confidences(
    run, tmp_path, caplog
):
    (run_file,) = find_runs([run])
    task = next(each for each in run_file.tasks if each.name == "contexts")
    copy = tmp_path / "run"
    copy.mkdir()
    for file in run.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    rows = rows_of(log(copy, "contexts"))
    for row in rows:  # an accuracy of the task's own making
        row["acc"] = 1 - row["acc"]
    write_rows(log(copy, "contexts"), rows)
    (changed,) = find_runs([copy])
    found = load_log(changed, task)
    assert found.verdicts == {} and found.values["none"]["acc"].size == len(rows)
    assert "contexts" in caplog.text and "without confidences" in caplog.text


def test_a_generated_answer_has_no_confidences_and_no_warning(evaluated_stock, caplog):
    (one,) = find_runs([evaluated_stock])
    for task in one.tasks:
        found = load_log(one, task)
        multiple = task.name in ("truthfulqa_mc1", "mmlu_anatomy")
        assert bool(found.verdicts) is multiple, task.name
    assert "gsm8k" not in caplog.text


def gate(*arguments):
    found = CliRunner().invoke(calibench.cli.cli, ["gate", *map(str, arguments)])
    return found.exit_code, found.output


def test_the_gate_holds_the_calibration_of_a_stock_task(run, tmp_path):
    baseline = tmp_path / "held.yaml"
    status, output = gate("--update", baseline, run, "--samples", tmp_path / "samples")
    assert status == 0, output
    held = gate_baseline.read_baseline(baseline)
    texts = next(task for task in held.tasks if task.name == "texts")
    metrics = {(metric.filter, metric.name): metric.value for metric in texts.metrics}
    confidence, correct = by_hand(log(run, "texts"), "acc_norm")
    expected = brier_score_loss(correct, confidence)
    assert metrics["acc_norm", "brier"] == pytest.approx(expected, rel=1e-6)
    assert ("none", "acc_norm") in metrics and ("acc", "auroc") in metrics
    assert gate(baseline, run)[0] == 0


def test_the_gate_sees_that_a_model_has_become_surer_of_the_same_answers(run, tmp_path):
    baseline = tmp_path / "held.yaml"
    gate("--update", baseline, run, "--samples", tmp_path / "samples")
    surer = tmp_path / "run"
    surer.mkdir()
    for file in run.iterdir():
        (surer / file.name).write_bytes(file.read_bytes())
    for task in ("exam_one", "exam_two"):
        rows = rows_of(log(surer, task))
        for row in rows:
            row["resps"] = [[[str(40 * float(each[0][0])), each[0][1]]] for each in row["resps"]]
            row["filtered_resps"] = [[each[0][0], each[0][1]] for each in row["resps"]]
        write_rows(log(surer, task), rows)
    status, output = gate(baseline, surer)
    assert status == 1, output
    lines = [line for line in output.splitlines() if line.startswith("acc ") and "brier" in line]
    assert [line.endswith("pass") for line in lines].count(False) >= 1
    assert all(line.endswith("pass") for line in output.splitlines() if line.startswith("none "))


def test_entries_without_confidences_are_read_as_before(store):
    path = next(store.glob("*/*/exam_one--*.json"))
    entry = entry_from_json(path.read_bytes(), "entry")
    kept = read_kept_samples(path)
    assert kept.correct is None and kept.column("none") is None
    confidence, correct = kept.column("acc")
    assert len(confidence) == len(correct) == entry.n
    assert not any(math.isnan(value) for value in confidence)
