"""Logs of lm-eval's own tasks: its accuracies again, and the scores of its options' likelihoods."""

import bz2
import copy
import gzip
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

import calibench.cli
from calib_metrics import classwise_ece
from harness_tasks.stock_logs.sources import find_tables
from helpers.stock_logs import FEW, GENERATED, log, rows_of, run, scores, write_rows
from helpers.stock_runs import evaluate, save

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as parquet  # noqa: E402

# What an option's log-likelihood is divided by, as in lm-eval's ConfigurableTask.process_results.
LENGTHS = {"acc": lambda t: 1, "acc_norm": len, "acc_bytes": lambda t: len(t.encode("utf-8"))}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
        return evaluate(tmp_path_factory.mktemp("stock"))


@pytest.fixture
def run_folder(results, tmp_path):
    return save(copy.deepcopy(results), tmp_path / "run")


def by_hand(sample, method):
    """Return the option that is the answer and the probabilities of all, from lm-eval's objects."""
    likelihoods = np.array([response[0][0] for response in sample["resps"]])
    texts = [arguments[1].removeprefix(" ") for arguments in sample["arguments"]]
    shares = softmax(likelihoods / np.array([LENGTHS[method](text) for text in texts]))
    return int(np.argmax(shares)), shares


@pytest.mark.parametrize("method", LENGTHS)
def test_scores_are_scikit_learns_and_the_accuracy_is_lm_evals(
    results, run_folder, tmp_path, method
):
    file = log(run_folder, "texts")
    found = scores(tmp_path, file, "--method", method)[file.name, method]
    samples = results["samples"]["texts"]
    chosen, shares = zip(*(by_hand(sample, method) for sample in samples), strict=True)
    golds = [sample["target"] for sample in samples]
    confidence = [each[at] for each, at in zip(shares, chosen, strict=True)]
    correct = np.equal(chosen, golds).astype(int)
    assert found["acc"] == pytest.approx(results["results"]["texts"][f"{method},none"], abs=1e-12)
    assert found["acc"] == np.mean(correct)
    assert found["auroc"] == pytest.approx(roc_auc_score(correct, confidence), abs=1e-12)
    assert found["brier"] == pytest.approx(brier_score_loss(correct, confidence), abs=1e-12)
    assert found["nll"] == pytest.approx(log_loss(correct, confidence), abs=1e-12)
    whole = np.array([np.pad(each, (0, 5 - each.size)) for each in shares])
    expected = log_loss(golds, whole, labels=range(5))
    assert found["multiclass_nll"] == pytest.approx(expected, abs=1e-9)
    assert found["classwise_ece"] == pytest.approx(classwise_ece(shares, golds), abs=1e-12)


def test_each_accuracy_that_was_logged_is_a_column_and_named_in_the_signatures(run_folder):
    output = run(log(run_folder, "texts"))
    for method in LENGTHS:
        assert f"texts_{output.split('texts_')[1].split(',')[0]}, {method}\n" in output
        assert f"|conf:{method}|missing:exclude|n:60" in output
        assert f"acc|n:60|v:0.2|boot:20|seed:0|answer:{method}" in output
    assert "Logged by lm_eval 0.4." in output
    letters = run(log(run_folder, "exam_one"))
    assert "conf:acc|" in letters and "acc_norm" not in letters


def test_options_in_two_contexts_are_told_apart_by_lm_evals_verdict(results, run_folder, tmp_path):
    file = log(run_folder, "contexts")
    found = scores(tmp_path, file)[file.name, "acc"]
    samples = results["samples"]["contexts"]
    shares = np.array([by_hand(sample, "acc")[1] for sample in samples])
    golds = [sample["doc"]["place"] for sample in samples]
    assert found["acc"] == results["results"]["contexts"]["acc,none"]
    assert found["multiclass_nll"] == pytest.approx(log_loss(golds, shares), abs=1e-12)
    assert "lm_eval's own verdict" in run(file)
    with pytest.raises(ValueError, match="the options stand in the contexts"):
        run(file, "--method", "acc_norm")


# ------------------------------------------------------------------------------------------- forms


def as_parquet(file, rows):
    parquet.write_table(pa.Table.from_pylist(rows), file.with_suffix(".parquet"))
    return file.with_suffix(".parquet")


def as_gzip(file, rows):
    packed = file.with_name(f"{file.name}.gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))
    return packed


def as_bz2(file, rows):
    packed = file.with_name(f"{file.name}.bz2")
    packed.write_bytes(bz2.compress(file.read_bytes()))
    return packed


def as_zstd(file, rows):
    packed = file.with_name(f"{file.name}.zst")
    with pa.output_stream(packed, compression="zstd") as stream:
        stream.write(file.read_bytes())
    return packed


def as_0_4_3(file, rows):
    write_rows(
        file, [{k: v for k, v in row.items() if k not in ("filter", "metrics")} for row in rows]
    )
    return file


def as_array(file, rows):
    file.write_text(json.dumps(rows, indent=2, ensure_ascii=False), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "form", [as_parquet, as_gzip, as_bz2, as_zstd, as_0_4_3, as_array], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("task", ["texts", "contexts"])
def test_every_form_of_a_log_gives_the_same_scores(run_folder, tmp_path, form, task):
    file = log(run_folder, task)
    expected = scores(tmp_path, file)
    other = form(file, rows_of(file))
    found = scores(tmp_path, other)
    assert {key[1]: value for key, value in found.items()} == {
        key[1]: value for key, value in expected.items()
    }


def test_the_logs_of_0_4_0_to_0_4_2_are_read(results, run_folder, tmp_path):
    """Lists and numbers instead of mappings and texts, one array, another name, one results file.

    Source: ``lm_eval/__main__.py`` and ``lm_eval/evaluator.py`` of v0.4.0 and v0.4.2.
    """
    file = log(run_folder, "texts")
    expected = scores(tmp_path, file)
    keys = ("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "acc", "acc_norm")
    rows = [{key: sample[key] for key in keys} for sample in results["samples"]["texts"]]
    old = tmp_path / "old"
    old.mkdir()
    (old / "results.json").write_text(json.dumps({"results": results["results"]}))
    renamed = old / "pretrained__tiny_texts.jsonl"
    renamed.write_text(json.dumps(rows, indent=2))
    found = scores(tmp_path, renamed)
    for method in ("acc", "acc_norm"):
        assert found[renamed.name, method] == expected[file.name, method]
    assert "Logged by lm_eval 0.4.2 or older" in run(renamed)
    assert [table.name for table in find_tables(old)] == [renamed.name]


def test_the_groups_of_0_4_0_are_those_of_the_configurations(results, tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    for task in ("exam_one", "exam_two"):
        rows = json.dumps(results["samples"][task], default=str)
        (old / f"pretrained__tiny_{task}.jsonl").write_text(rows)
    configs = {task: {"group": "exam"} for task in ("exam_one", "exam_two")}
    content = {"results": results["results"], "configs": configs}
    (old / "results.json").write_text(json.dumps(content))
    (table,) = find_tables(old)
    assert table.name == "exam (2 tasks)"


def test_the_version_that_wrote_a_log_is_named_if_known_and_else_its_form(run_folder):
    file = log(run_folder, "exam_one")
    (beside,) = run_folder.glob("results_*.json")
    beside.unlink()
    assert "Logged by lm_eval 0.4.7 or newer, as its form says" in run(file)
    as_0_4_3(file, rows_of(file))
    assert "Logged by lm_eval 0.4.3 to 0.4.6, as its form says" in run(file)


def test_a_log_from_standard_input(run_folder, tmp_path):
    file = log(run_folder, "texts")
    expected = scores(tmp_path, file)
    piped = CliRunner().invoke(
        calibench.cli.cli,
        ["score", "-", *FEW, "--json", str(tmp_path / "piped.json")],
        input=file.read_bytes(),
        catch_exceptions=False,
    )
    assert piped.exit_code == 0
    reports = json.loads((tmp_path / "piped.json").read_text())["reports"]
    for each in reports:
        value = expected[file.name, each["method"]]["ece"]
        assert each["file"] == "standard input" and each["scores"]["ece"]["value"] == value


# ------------------------------------------------------------------------- folders, groups, fields


def test_a_folder_pools_a_groups_tasks_and_gives_their_mean(results, run_folder, tmp_path):
    found = scores(tmp_path, run_folder)
    pooled, mean = found["exam (2 tasks)", "acc"], found["mean of 2", "acc"]
    assert pooled["acc"] == pytest.approx(results["results"]["exam"]["acc,none"], abs=1e-12)
    one, two = (results["results"][task]["acc,none"] for task in ("exam_one", "exam_two"))
    assert mean["acc"] == pytest.approx((one + two) / 2, abs=1e-12)
    assert pooled["acc"] == pytest.approx((30 * one + 50 * two) / 80, abs=1e-12)
    parts = [scores(tmp_path, log(run_folder, task)) for task in ("exam_one", "exam_two")]
    eces = [part["ece"] for each in parts for part in each.values()]
    assert mean["ece"] == pytest.approx(np.mean(eces), abs=1e-12)
    assert {name for name, _ in found} >= {"exam (2 tasks)", "exam_one", "exam_two", "mean of 2"}
    assert any(name.startswith("samples_texts_") for name, _ in found)


def test_the_interval_of_a_mean_has_the_variance_of_independent_parts(run_folder, tmp_path):
    path = tmp_path / "scores.json"
    CliRunner().invoke(calibench.cli.cli, ["score", str(run_folder), "--json", str(path)])
    reports = json.loads(path.read_text())["reports"]
    by_name = {each["file"]: each["scores"]["brier"] for each in reports}
    errors = [by_name[task]["stderr"] for task in ("exam_one", "exam_two")]
    expected = np.hypot(*errors) / 2
    mean = by_name["mean of 2"]
    assert mean["stderr"] == pytest.approx(expected)
    assert mean["high"] - mean["value"] == pytest.approx(1.96 * expected, rel=1e-3)
    assert mean["signature"].endswith("|mean:2|interval:normal") and "|n:80|" in mean["signature"]


def test_by_a_field_of_the_documents(run_folder, tmp_path):
    file = log(run_folder, "exam_one")
    found = scores(tmp_path, file, "--by", "subject", "--metrics", "acc,ece")
    rows = rows_of(file)
    for subject in ("anatomy", "ethics"):
        those = [row["acc"] for row in rows if row["doc"]["subject"] == subject]
        assert found[subject, "acc"]["acc"] == np.mean(those)
    table = run(file, "--by", "subject", "--metrics", "acc,ece")
    assert re.search(r"^  anatomy +15 ", table, re.MULTILINE)
    with pytest.raises(ValueError, match="no field 'topic', only q, subject, gold, doc_id, task"):
        run(file, "--by", "topic")


def test_groups_of_rows_that_belong_together_widen_all_intervals_signatures(run_folder):
    output = run(log(run_folder, "exam_one"), "--group", "subject")
    assert output.count("clusters:2") == 9  # all metrics, those of the options too


# ---------------------------------------------------------------------------- what is not believed


def test_a_verdict_that_the_likelihoods_contradict_is_an_error(run_folder):
    file = log(run_folder, "texts")
    rows = rows_of(file)
    rows[7]["acc_norm"] = 1 - rows[7]["acc_norm"]
    write_rows(file, rows)
    with pytest.raises(ValueError, match=r"line 8: acc_norm chooses option \d .* says acc_norm = "):
        run(file)


def test_other_likelihoods_than_lm_eval_chose_by_are_an_error(run_folder):
    file = log(run_folder, "exam_one")
    rows = rows_of(file)
    for row in rows:
        row["filtered_resps"].reverse()
    write_rows(file, rows)
    with pytest.raises(ValueError, match="acc chooses option"):
        run(file)


def test_a_log_that_is_cut_or_of_another_run_is_an_error(run_folder):
    file = log(run_folder, "exam_one")
    rows = rows_of(file)
    write_rows(file, rows[:-1])
    with pytest.raises(ValueError, match="samples of 29 questions, but 'results_.* says that 30"):
        run(file)
    write_rows(file, [*rows, rows[3]])
    with pytest.raises(ValueError, match="line 31: document 3 occurs twice"):
        run(file)
    write_rows(file, rows)
    (beside,) = run_folder.glob("results_*.json")
    content = json.loads(beside.read_text())
    content["results"]["exam_one"]["acc,none"] += 0.01
    beside.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="its samples give acc = .* but 'results_"):
        run(file)


def test_a_share_of_likelihood_is_no_verdict(run_folder):
    """As truthfulqa_mc2 logs it."""
    file = log(run_folder, "exam_one")
    rows = rows_of(file)
    rows[0]["acc"] = 0.37
    write_rows(file, rows)
    with pytest.raises(ValueError, match="line 1: acc is 0.37, not 0 or 1.*truthfulqa_mc1"):
        run(file)


def test_servers_that_return_no_likelihoods_are_found_out(run_folder):
    file = log(run_folder, "exam_one")
    rows = rows_of(file)
    for row in rows:
        row["filtered_resps"] = [["0.0", "False"] for _ in row["filtered_resps"]]
        row["acc"] = float(row["doc"]["gold"] == 0)
    write_rows(file, rows)
    with pytest.raises(ValueError, match="every option has the log-likelihood 0"):
        run(file)


def test_in_a_folder_a_log_without_confidences_is_left_out_and_named(run_folder):
    write_rows(run_folder / "samples_sums_2026-01-02T03-04-05.jsonl", [GENERATED])
    output = run(run_folder)
    assert "Left out: " in output and "samples_sums" in output and "exam (2 tasks), acc" in output


def test_a_folder_without_logs_is_one_sentence(tmp_path):
    (tmp_path / "notes.jsonl").write_text('{"confidence": 0.5, "correct": 1}\n')
    with pytest.raises(FileNotFoundError, match="holds no log.*--log_samples"):
        run(tmp_path)


def test_figures_of_a_log(run_folder, tmp_path):
    run(log(run_folder, "texts"), "--metrics", "acc", "--figures", tmp_path / "figures")
    names = {path.name for path in (tmp_path / "figures").glob("*.png")}
    assert {"roc.png", "risk_coverage.png"} < names
    assert sum(name.endswith("_acc_norm_reliability.png") for name in names) == 1


def test_a_log_that_is_there_packed_and_unpacked_does_not_count_twice(run_folder):
    as_gzip(log(run_folder, "exam_two"), None)
    with pytest.raises(ValueError, match="samples_exam_two.*gz' are one log in two forms"):
        run(run_folder)


def test_two_runs_in_one_folder_are_told_apart(run_folder, tmp_path):
    again = run_folder.parent / "other"
    again.mkdir()
    for file in run_folder.iterdir():
        (again / file.name).write_bytes(file.read_bytes())
    names = {table.name for table in find_tables(run_folder.parent)}
    stamp = log(run_folder, "texts").stem.split("_")[-1].partition(".")[0]
    assert {f"exam (2 tasks), {each} {stamp}" for each in ("hashed", "other")} < names
    assert len(names) == 6
