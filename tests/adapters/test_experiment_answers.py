"""Experiments that keep every answer: files that are read back, paired differences, figures."""

import csv
import json
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from helpers.experiment_logs import Recorder, write_log
from runner.answers import FILE, read_answers, write_answers
from runner.config import load_config
from runner.measure import Scored
from runner.paired import rows_of
from runner.run import _score
from runner.table import BEGIN, END, draw_figures, tables, write_tables

CONFIG = """\
table: a model
label: {label}
data: {{grade: calib_worldfacts, limit: 40, validation_limit: 10}}
confidences: true
evaluate:
  test:
    task: calib_worldfacts
    method: {method}
    answers: base
    asked: [likelihood, zero_shot_classifier]
"""
TUNED = "recipe: calibration_tuning_quick\nseeds: [0]\ncompared: true\n"
CORRECT = [1, 0, 1, 0, 1, 0, 1, 1, 0, 0]


def experiment(folder, label="Likelihood", method="likelihood", more=""):
    folder.mkdir(parents=True)
    text = CONFIG.format(label=label, method=method) + more
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return load_config(folder)


def finished(folder, confidence, label, more="", correct=CORRECT, seed=None):
    config = experiment(folder, label, more=more)
    rows = zip(map(str, range(len(correct))), correct, confidence, strict=True)
    write_answers(folder, {(seed, "test"): [Scored(*row) for row in rows]})
    result = {"config": config.model_dump(mode="json"), "summary": {"test": {"n": len(correct)}}}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
scored = st.builds(
    Scored, names, st.integers(0, 1), st.none() | st.floats(0, 1, allow_subnormal=True)
)
kept = st.dictionaries(
    st.tuples(st.none() | st.integers(0, 99), names), st.lists(scored, min_size=1), max_size=3
)


@given(kept)
def test_kept_answers_are_read_as_they_were_written(tmp_path_factory, answers):
    folder = tmp_path_factory.mktemp("x")
    write_answers(folder, answers)
    assert read_answers(folder) == answers


def test_kept_answers_are_a_table_with_one_line_each(tmp_path):
    write_answers(tmp_path, {(None, "test, own"): [Scored("a", 1, 0.25), Scored("b", 0, None)]})
    with (tmp_path / FILE).open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["confidence"] for line in lines] == ["0.25", ""]
    assert {line["evaluation"] for line in lines} == {"test, own"}


def test_a_damaged_line_of_kept_answers_is_named(tmp_path):
    file = write_answers(tmp_path, {(0, "test"): [Scored("a", 1, 0.25)]})
    file.write_text(file.read_text(encoding="utf-8") + "0,test,b,yes,0.5\n", encoding="utf-8")
    with pytest.raises(ValueError, match="confidences.csv, line 3 is not seed"):
        read_answers(tmp_path)
    assert read_answers(tmp_path / "elsewhere") == {}


def test_tables_have_scores_and_paired_differences_of_the_same_answers(tmp_path):
    base = [0.5, 0.6, 0.7, 0.2, 0.4, 0.3, 0.9, 0.1, 0.8, 0.35]
    tuned = [0.9, 0.2, 0.8, 0.1, 0.6, 0.7, 0.95, 0.85, 0.3, 0.25]
    finished(tmp_path / "base", base, "Likelihood")
    finished(tmp_path / "tuned", tuned, "Fine-Tuned", TUNED, seed=0)
    finished(tmp_path / "other", base, "Other answers", correct=[1 - c for c in CORRECT])
    text = tables(tmp_path)
    one, other = roc_auc_score(CORRECT, tuned), roc_auc_score(CORRECT, base)
    assert f"{one:.3f} (" in text and f"{other:.3f} (" in text
    (line,) = [line for line in text.splitlines() if "Fine-Tuned, less" in line]
    assert "less Likelihood | 10 |" in line  # not less the row that judges other answers
    assert f"{one - other:+.3f} (" in line


def test_an_experiment_can_name_what_it_is_compared_with(tmp_path):
    finished(tmp_path / "base", [0.5, 0.6] * 5, "Likelihood")
    finished(tmp_path / "one", [0.9, 0.2] * 5, "One", TUNED)
    finished(tmp_path / "two", [0.8, 0.1] * 5, "Two", TUNED + "against: [one]\n")
    lines = [line.split(" | ")[1] for line in tables(tmp_path).splitlines() if ", less " in line]
    assert lines == ["One, less Likelihood", "Two, less One"]


def test_several_seeds_are_a_row_each(tmp_path):
    config = experiment(tmp_path / "x", "Fine-Tuned", more=TUNED)
    answers = {(seed, "test"): [Scored("a", 1, 0.5)] for seed in (0, 1)}
    rows = rows_of({"x": (config, answers)})
    assert [row.label for row in rows] == ["Fine-Tuned, seed 0", "Fine-Tuned, seed 1"]


def test_the_picture_shows_the_first_evaluation_of_each_model(tmp_path):
    finished(tmp_path / "base", [0.5, 0.6] * 5, "Likelihood")
    finished(tmp_path / "tuned", [0.9, 0.2] * 5, "Fine-Tuned", TUNED)
    paths = draw_figures(tmp_path)
    assert [path.name for path in paths] == ["a_model_bars.png", "a_model_bars.svg"]
    shown = "".join(ElementTree.parse(paths[1]).getroot().itertext())
    assert "Fine-Tuned" in shown and "n = 10 answers" in shown
    with pytest.raises(FileNotFoundError, match="has a result.json yet"):
        draw_figures(tmp_path / "base")


def test_the_readme_of_the_folder_gets_the_tables(tmp_path):
    finished(tmp_path / "base", [0.5, 0.6] * 5, "Likelihood")
    (tmp_path / "README.md").write_text(f"# T\n\n{BEGIN}\n{END}\n", encoding="utf-8")
    assert "### a model" in write_tables(tmp_path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("method: likelihood", "method: constant\n    answers: own", "'constant' judges"),
        ("label: ", "model: gpt-5\nlabel: ", "gpt-5"),
    ],
)
def test_a_config_of_kept_answers_that_cannot_be_meant_is_a_sentence(old, new, sentence, tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    text = CONFIG.format(label="x", method="likelihood").replace(old, new, 1)
    if "own" in new:
        text = text.replace("    answers: base\n", "")
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=sentence):
        load_config(folder)


class TwoMethods(Recorder):
    """Leaves a log of two methods behind each evaluation."""

    def leave(self, arguments, out):
        if arguments[0] == "eval":
            write_log(
                out / "samples_calib_worldfacts_1.jsonl",
                [("likelihood", 0.9, 1, []), ("zero_shot_classifier", 0.3, 1, [])],
            )
        if arguments[0] == "grade":
            grading = {"splits": {"train": {"accuracy": 0.625}}}
            (out / "grading.json").write_text(json.dumps(grading), encoding="utf-8")


def scored_and_asked(tmp_path, method, more=""):
    """The answers' confidences, and what the model was asked about the test split for them."""
    steps, answers = TwoMethods(tmp_path / "steps"), {}
    _score(experiment(tmp_path / method, method=method, more=more), steps, answers, [])
    (rows,) = answers.values()
    asked = [command for command in steps.commands if command[0] == "eval"]
    return [row.confidence for row in rows], [c for c in asked if "split" not in " ".join(c)]


def metadata(command):
    return json.loads(command[command.index("--metadata") + 1])


def test_methods_asked_with_the_answers_need_no_run_of_their_own(tmp_path):
    likelihood, first = scored_and_asked(tmp_path / "a", "likelihood")
    classifier, second = scored_and_asked(tmp_path / "b", "zero_shot_classifier")
    assert (likelihood, classifier) == ([0.9], [0.3])
    assert first == second and len(first) == 1
    assert metadata(first[0]) == {"methods": ["likelihood", "zero_shot_classifier"]}


def test_a_tuned_model_judges_the_answers_of_that_run(tmp_path):
    _, (base, tuned) = scored_and_asked(tmp_path, "zero_shot_classifier", TUNED)
    assert metadata(base) == {"methods": ["likelihood", "zero_shot_classifier"]}
    assert metadata(tuned)["methods"] == ["zero_shot_classifier"]
    assert metadata(tuned)["answers"].startswith("$TEMPORARY/asked-calib_worldfacts-")
    assert "peft=$TEMPORARY/trained-" in " ".join(tuned)


def test_an_untrained_model_is_asked_about_the_test_split_alone(tmp_path):
    steps = TwoMethods(tmp_path / "steps")
    _score(experiment(tmp_path / "x"), steps, {}, [])
    assert len(steps.commands) == 1


def test_the_constant_row_says_the_accuracy_in_training(tmp_path):
    assert scored_and_asked(tmp_path, "constant")[0] == [0.625]


def test_limits_of_the_splits_and_the_model_reach_the_commands(tmp_path):
    steps = TwoMethods(tmp_path / "steps")
    _score(
        experiment(tmp_path / "x", more=f"model: gemma-3-270m\ndtype: float32\n{TUNED}"),
        steps,
        {},
        [],
    )
    shown = [" ".join(command) for command in steps.commands if command[0] == "eval"]
    (train,) = [line for line in shown if '"split": "train"' in line]
    (validation,) = [line for line in shown if '"split": "validation"' in line]
    assert "--limit 40 " in train and "--limit 10 " in validation
    assert all("pretrained=$(calibench model gemma-3-270m),dtype=float32" in line for line in shown)
