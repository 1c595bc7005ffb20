"""The one reader of lm-eval's output: what it finds, and what every command refuses alike."""

import dataclasses
import html
import json
import shutil

import pytest
from click.testing import CliRunner

import calibench.cli
from calib_leaderboards.pages.publish import build_store
from calib_leaderboards.runs import find_runs, load_log
from calib_leaderboards.store import add
from calib_leaderboards.store.check import check
from calib_leaderboards.store.rescore import rescore
from harness_tasks.elicitation.logs import log_of, results_of
from harness_tasks.elicitation.records import read_samples
from helpers.gate_runs import run_gate
from helpers.store_runs import (
    CHOICE,
    OURS,
    change_record,
    change_results,
    entry_of,
    log_file,
    named_run,
    results_file,
)

FEW = {"resamples": 20}


def lines_of(folder):
    return log_file(folder).read_text(encoding="utf-8").splitlines()


def write_lines(folder, lines):
    log_file(folder).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


# ------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("task", ["my-task", "tiny.v1+x", "a b=c", "模型_1"])
def test_the_log_that_lm_eval_writes_is_found_whatever_the_task_is_called(tmp_path, task):
    named_run(tmp_path, task)
    (run,) = find_runs([tmp_path / "run"])
    (found,) = run.tasks
    log = load_log(run, found)
    assert found.name == task and log.ids == tuple(map(str, range(9)))
    assert log.path == log_of(run.path, task) and results_of(log.path, task) == run.path
    store = tmp_path / "store"
    (entry,) = add([tmp_path / "run"], store, **FEW)
    assert entry_of(entry)["task"]["name"] == task
    assert check(store) == 1 and rescore(store) == []
    page = build_store(store, tmp_path / "out").read_text(encoding="utf-8")
    assert html.unescape(page).replace("\\", "").count(f"\n## {task}\n") == 1
    baseline = tmp_path / "b.yaml"
    code, said = run_gate("--update", baseline, tmp_path / "run")
    assert code == 0 and "holds 5 scores" in said, said
    assert run_gate(baseline, tmp_path / "run")[0] == 0


def test_results_are_found_beside_a_log_under_the_name_that_was_asked_for(ours):
    """lm-eval's --output_path NAME.json becomes NAME_STAMP.json."""
    log = log_file(ours)
    assert results_of(log, OURS) == results_file(ours)
    renamed = results_file(ours).rename(ours / results_file(ours).name.replace("results", "mine"))
    assert results_of(log, OURS) == renamed
    renamed.unlink()
    assert results_of(log, OURS) is None and results_of(log, "another") is None


def test_a_run_is_read_once_and_never_changes(ours):
    (run,) = find_runs([ours])
    assert [task.name for task in run.tasks] == sorted([OURS, CHOICE])
    assert (run.model.name, run.model.short, run.model.dtype) == ("org/tiny", "tiny", "float32")
    assert run.adapters == () and not run.adapted("zero_shot_classifier")
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.sha256 = "0"
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.tasks[0].asked = 0


def test_a_confidence_adapter_is_on_for_yes_no_questions_alone(ours):
    arguments = {"pretrained": "/m/base-b179c9523d0e", "confidence_adapter": "/x/mine"}
    change_results(ours, lambda r: r["config"].update(model_args=arguments, model_sha=None))
    (run,) = find_runs([ours])
    assert run.model.name == run.model.short == "base" and run.model.sha == "b179c9523d0e"
    assert run.adapter_of() == "mine" and run.adapted("zero_shot_classifier")
    assert not run.adapted("sampling")
    change_results(ours, lambda r: r["config"].update(model_args="pretrained=org/x,ensemble=a+b"))
    (run,) = find_runs([ours])
    assert [adapter.name for adapter in run.adapters] == ["a", "b"] and run.adapted("sampling")


# ------------------------------------------------------------------------- refused, by all of them


def doubled(folder):
    lines = lines_of(folder)
    write_lines(folder, [*lines, lines[0]])


def cut_at_a_line(folder):
    write_lines(folder, lines_of(folder)[:-1])


def cut_in_every_method(folder):
    write_lines(folder, [line for line in lines_of(folder) if json.loads(line)["doc_id"] < 23])


def graded_two(folder):
    change_record(folder, 5, correct=2)


def sure_beyond_one(folder):
    change_record(folder, 5, confidence=95)


def of_an_old_lm_eval(folder):
    rows = [json.loads(line) for line in lines_of(folder)]
    write_lines(folder, [json.dumps({k: row[k] for k in row if k != "filter"}) for row in rows])


def renamed_method(folder):
    change_record(folder, 5, method="verbalized")


def of_a_list(folder):
    change_record(folder, 5, id=["q"])


def signed_with_a_number(folder):
    change_record(folder, 5, signature=-1)


REFUSED = [
    (doubled, r"line 97: id '.*' appears twice under the filter 'likelihood'"),
    (cut_at_a_line, r"'likelihood' and 'sampling' are not about the same questions \(24 and 23\)"),
    (cut_in_every_method, "has samples of 23 questions, but 'results_.*' says that 24 were asked"),
    (graded_two, "line 5: correct is 2, neither 0 nor 1"),
    (sure_beyond_one, "line 5: the confidence is 95, neither null nor a number from 0 to 1"),
    (of_an_old_lm_eval, r"line 1 names no filter, as in logs of lm_eval 0\.4\.6 and older"),
    (renamed_method, "line 5: the method is 'verbalized', but the filter 'likelihood'"),
    (signed_with_a_number, "line 5: the signature is -1, neither null nor a text"),
    (of_a_list, r"line 5: the id is \['q'\], neither a text nor a whole number"),
]


@pytest.fixture(scope="module")
def baseline(evaluated, tmp_path_factory):  # noqa: F811
    file = tmp_path_factory.mktemp("gate") / "b.yaml"
    task = {"name": OURS, "metrics": [{"name": "acc", "filter": "likelihood", "value": 0.5}]}
    file.write_text(json.dumps({"model_name": "tiny", "tasks": [task]}))
    return file


@pytest.mark.parametrize("harm, sentence", REFUSED)
def test_store_gate_and_score_refuse_a_log_with_one_sentence(
    ours, baseline, tmp_path, harm, sentence
):
    harm(ours)
    change_results(ours, lambda r: r.pop("task_hashes"))  # which would tell the store anyway
    with pytest.raises(ValueError, match=sentence) as refused:
        add([ours], tmp_path / "store", **FEW)
    with pytest.raises(ValueError, match=sentence) as by_score:
        command = ["score", str(log_file(ours)), "--resamples", "0"]
        CliRunner().invoke(calibench.cli.cli, command, catch_exceptions=False)
    code, said = run_gate(baseline, ours)
    assert code == 2 and str(refused.value) in said
    assert str(by_score.value) == str(refused.value)
    assert len(str(refused.value).splitlines()) == 1 and not (tmp_path / "store").exists()


def test_true_and_false_are_grades_for_all(ours, baseline, tmp_path):
    whole = entry_of(add([ours], tmp_path / "one", **FEW)[0])["scores"]
    for number, line in enumerate(lines_of(ours), start=1):
        record = json.loads(json.loads(line)["filtered_resps"][0])
        change_record(ours, number, correct=bool(record["correct"]))
    assert entry_of(add([ours], tmp_path / "two", **FEW)[0])["scores"] == whole
    assert {record["correct"] for _, record in read_samples(log_file(ours))} == {0, 1}
    assert "not be compared" not in run_gate(baseline, ours)[1]


def test_a_printed_score_is_held_to_one_tolerance_by_store_and_gate(ours, baseline, tmp_path):
    (run,) = find_runs([ours])
    accuracy = next(task for task in run.tasks if task.name == OURS).printed["acc,likelihood"]
    key = "acc,likelihood"
    for change, refused in ((1e-12, False), (1e-8, True)):
        change_results(ours, lambda r, c=change: r["results"][OURS].update({key: accuracy + c}))
        code, said = run_gate(baseline, ours)
        assert ("but its samples give" in said) == refused, said
        if refused:
            with pytest.raises(ValueError, match="acc,likelihood = .* but its samples"):
                add([ours], tmp_path / f"store{change}", **FEW)
        else:
            add([ours], tmp_path / f"store{change}", **FEW)


def pretty_lines(folder):
    rows = map(json.loads, lines_of(folder))
    write_lines(folder, [json.dumps(row, indent=2) for row in rows])


def pretty_array(folder):
    write_lines(folder, [json.dumps(list(map(json.loads, lines_of(folder))), indent=2)])


def zipped(folder):
    packed = shutil.make_archive(str(folder / "packed"), "zip", folder, log_file(folder).name)
    shutil.move(packed, log_file(folder))


@pytest.mark.parametrize(
    "harm, sentence",
    [
        (pretty_lines, "is JSON written over several lines, and lm_eval logs one object per line"),
        (pretty_array, "is JSON written over several lines"),
        (zipped, "is a zip archive: unpack it"),
    ],
)
def test_a_log_in_another_form_is_not_called_damaged(ours, tmp_path, harm, sentence):
    harm(ours)
    with pytest.raises(ValueError, match=sentence) as refused:
        add([ours], tmp_path / "store", **FEW)
    assert "damaged" not in str(refused.value) and "PK" not in str(refused.value)
