"""A combined run: what it holds, and that leaderboard, gate and score read it like any other."""

import json

import datasets
import numpy as np
import pytest
from click.testing import CliRunner

from calib_leaderboards.runs import find_runs, load_log
from calib_leaderboards.store.make import make_all
from calib_metrics.combination import load
from calibench.cli import cli
from helpers import store_runs
from helpers.gate_runs import run_gate
from helpers.store_runs import OURS, change_record, entry_of, evaluate, log_file, results_file
from helpers.task_runs import ROWS, SPLITS, TASKS, Hashed, number

METHODS = "p_ik,zero_shot_classifier@tuned"
TUNED = {"model_args": {"pretrained": "org/tiny", "dtype": "float32", "peft": "runs/tuned"}}


class Tuned(Hashed):
    """Gives other likelihoods, as the same model does under an adapter."""

    def loglikelihood(self, requests):
        return [(-number("tuned", *each.args) / 2**32, False) for each in requests]


def eighty_rows(path, name=None, **_):
    """Enough that no two methods separate the right answers from the wrong ones."""
    rows = [ROWS[path](i) for i in range(80)]
    return datasets.DatasetDict({split: datasets.Dataset.from_list(rows) for split in SPLITS})


@pytest.fixture(scope="module", autouse=True)
def rows():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_runs, "made_up_rows", eighty_rows)
        yield


def invoke(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    return result


@pytest.fixture(scope="module")
def runs(rows, tmp_path_factory):
    """Base and tuned, on the first 60 questions and on the other 20, and the fit on the first."""
    folder = tmp_path_factory.mktemp("runs")
    for name, chosen in (("validation", range(60)), ("test", range(60, 80))):
        options = {"include": TASKS, "samples": {OURS: list(chosen)}}
        methods = {"methods": ["p_ik", "zero_shot_classifier"]}
        base = evaluate(folder / name / "base", OURS, metadata=methods, **options)
        evaluate(
            folder / name / "tuned",
            OURS,
            model=Tuned(),
            config=TUNED,
            metadata={"methods": ["zero_shot_classifier"], "answers": str(base)},
            **options,
        )
    fitted = invoke(
        *("combine", "fit", folder / "validation/base", folder / "validation/tuned"),
        *("--methods", METHODS, "-o", folder / "fit.json", "--folds", 2, "--resamples", 20),
    )
    assert fitted.exit_code == 0, fitted.exception
    assert "combined - " in fitted.output and "seed 0" in fitted.output
    return folder


@pytest.fixture(scope="module")
def combined(runs):
    done = invoke(
        *("combine", "apply", runs / "fit.json", runs / "test/base", runs / "test/tuned"),
        *("-o", runs / "combined"),
    )
    assert done.exit_code == 0, done.exception
    return runs / "combined" / OURS


def log_of(folder):
    (run,) = find_runs([folder])
    (task,) = run.tasks
    return run, task, load_log(run, task)


def test_each_confidence_is_the_models_on_the_two_logs(runs, combined):
    fitted = load(runs / "fit.json")
    assert fitted.methods == tuple(METHODS.split(","))
    base, tuned = (log_of(runs / "test" / name)[2] for name in ("base", "tuned"))
    odds = fitted.intercept
    for weight, values in zip(
        fitted.weights,
        (base.confidence["p_ik"], tuned.confidence["zero_shot_classifier"]),
        strict=True,
    ):
        odds = odds + weight * np.log(values / (1 - values))
    log = log_of(combined)[2]
    assert list(log.confidence) == ["combined"]
    assert log.confidence["combined"] == pytest.approx(1 / (1 + np.exp(-odds)))
    assert log.ids == base.ids and log.answers == base.answers
    assert log.signatures["combined"] == f"{fitted.signature}|grading:exact"


def test_the_leaderboard_takes_it_as_combined_of_the_tuned_model(runs, combined):
    everything = [runs / "test", combined]
    made = make_all(find_runs(everything), preview=True, resamples=20)
    (entry,) = (each for each, _ in made.values() if each.scores[0].method == "combined")
    assert entry.scores[0].label == "Combined"
    assert entry.model.adapter.name == "tuned"
    assert "_combined-" in entry.setting.slug
    assert entry.scores[0].elicitation.startswith("weight:p_ik=")
    assert len(made) == 3  # beside base and tuned, not in the place of one


def test_the_gate_holds_it_and_knows_another_fit(runs, combined, tmp_path):
    baseline = tmp_path / "baseline.yaml"
    assert run_gate("--update", baseline, combined, "--samples", tmp_path / "samples")[0] == 0
    assert run_gate(baseline, combined)[0] == 0
    fit = json.loads((runs / "fit.json").read_text())
    (tmp_path / "other.json").write_text(json.dumps({**fit, "intercept": fit["intercept"] + 1}))
    invoke(
        *("combine", "apply", tmp_path / "other.json", runs / "test/base", runs / "test/tuned"),
        *("-o", tmp_path / "other"),
    )
    code, output = run_gate(baseline, tmp_path / "other")
    assert code == 2 and "asked for differently" in output


def test_score_reads_it(combined):
    scored = invoke("score", log_file(combined), "--resamples", 0)
    assert scored.exit_code == 0 and "conf:combined" in scored.output


def test_questions_of_the_fit_are_refused(runs, tmp_path):
    again = invoke(
        *("combine", "apply", runs / "fit.json", runs / "validation", "-o", tmp_path / "out")
    )
    assert "was fitted on 60 of these 60 questions" in str(again.exception)
    assert not (tmp_path / "out").exists()


def test_other_answers_are_refused(runs, tmp_path):
    own = evaluate(
        tmp_path / "own",
        OURS,
        model=Tuned(),
        config=TUNED,
        include=TASKS,
        samples={OURS: list(range(60))},
        metadata={"methods": ["zero_shot_classifier"]},
    )
    change_record(own, 1, answer="something else")
    words = ("combine", "fit", runs / "validation/base", own, "--methods", METHODS)
    failed = invoke(*words, "-o", tmp_path / "fit.json")
    assert "hold different answers" in str(failed.exception)
    assert '"answers"' in str(failed.exception)


@pytest.mark.parametrize(
    ("methods", "why"),
    [
        ("p_ik,sampling", "no method 'sampling', only p_ik, zero_shot_classifier, "),
        ("p_ik,p_ik", "named twice"),
    ],
)
def test_a_method_that_is_not_there_is_named(runs, tmp_path, methods, why):
    failed = invoke(
        *("combine", "fit", runs / "validation", "--methods", methods, "-o", tmp_path / "f.json")
    )
    assert why in str(failed.exception)


def test_a_fit_can_be_on_some_tasks_of_the_runs(runs, tmp_path):
    words = ("combine", "fit", runs / "validation/base", runs / "validation/tuned")
    words += ("--methods", METHODS, "--folds", 2, "--resamples", 0)
    whole = invoke(*words, "--tasks", f" {OURS}", "-o", tmp_path / "fit.json")
    assert whole.exit_code == 0
    assert load(tmp_path / "fit.json") == load(runs / "fit.json")
    failed = invoke(*words, "--tasks", f"{OURS},calib_x", "-o", tmp_path / "none.json")
    assert f"no run has the task 'calib_x', only {OURS}" in str(failed.exception)
    table = tmp_path / "table.csv"
    table.write_text("p_ik,correct\n0.5,1\n0.4,0\n", encoding="utf-8")
    words = ("combine", "fit", table, "--methods", "p_ik", "--tasks", OURS)
    assert "a table has none" in str(invoke(*words, "-o", tmp_path / "none.json").exception)


def test_a_table_gets_a_column_more(tmp_path):
    rng = np.random.default_rng(0)
    lines = [
        f"q{i},{rng.random():.3f},{rng.random():.3f},{int(rng.random() < 0.5)}" for i in range(60)
    ]
    head = "question,p,agreement,correct\n"
    (tmp_path / "a.csv").write_text(head + "\n".join(lines[:40]))
    (tmp_path / "b.csv").write_text(head + "\n".join([*lines[40:], "q60,,0.5,1"]))
    words = ("--methods", "p,agreement", "--id", "question", "-o", tmp_path / "fit.json")
    assert invoke("combine", "fit", tmp_path / "a.csv", *words).exit_code == 0
    apply = ("combine", "apply", tmp_path / "fit.json")
    out = tmp_path / "out.csv"
    done = invoke(*apply, tmp_path / "b.csv", "--id", "question", "-o", out)
    assert done.exit_code == 0, done.exception
    written = out.read_text().splitlines()
    assert written[0] == "question,p,agreement,correct,combined"
    assert written[1].startswith(lines[40] + ",0.") and written[-1] == "q60,,0.5,1,"
    again = invoke(*apply, tmp_path / "a.csv", "--id", "question", "-o", out)
    assert "fitted on 40 of these 40" in str(again.exception)
    assert invoke("score", out, "--confidence", "combined", "--resamples", 0).exit_code == 0


def test_the_results_file_is_the_tuned_runs_but_for_method_and_scores(runs, combined):
    tuned, made = (entry_of(results_file(folder)) for folder in (runs / "test/tuned", combined))
    differ = {key for key in made if made[key] != tuned[key]}
    assert differ <= {"results", "configs", "task_hashes"}
    assert made["results"][OURS].keys() == {
        key.replace(",zero_shot_classifier", ",combined") for key in tuned["results"][OURS]
    }
    assert (
        made["results"][OURS]["acc,combined"] == tuned["results"][OURS]["acc,zero_shot_classifier"]
    )
