"""Experiments that train on a mixture of tasks, combine methods, or ask tasks together."""

import json

import pytest

from helpers.experiment_logs import Recorder, write_log
from runner.config import load_config
from runner.run import _score, _temperature

CONFIG = """\
table: a model
label: mixture
data: {grade: [calib_worldfacts, calib_siqa_cloze], asked: [likelihood], limit: 40}
recipe: calibration_tuning_quick
seeds: [0]
evaluate:
  ood: {task: calib_worldfacts_ood, method: zero_shot_classifier, answers: base, limit: 9}
  PIQA: {task: calib_piqa_cloze, method: zero_shot_classifier, answers: base}
  OpenBookQA: {task: calib_openbookqa_cloze, method: zero_shot_classifier, answers: base}
"""
COMBINE = "combine: [likelihood]\n"
TOGETHER = "together: true\n"
MADE = {"combined": 0.75, "asked": 0.25}  # what each kind of step says of an answer


class EachTask(Recorder):
    """Leaves a log of each task behind that is asked."""

    def leave(self, arguments, out):
        tasks = ["calib_worldfacts_ood", "calib_piqa_cloze", "calib_openbookqa_cloze"]
        rows = [("combined", MADE["combined"], 1, [])]
        if arguments[0] == "eval":
            tasks = arguments[arguments.index("--tasks") + 1].split(",")
            rows = [("likelihood", 0.9, 1, []), ("zero_shot_classifier", MADE["asked"], 1, [])]
        if arguments[0] == "eval" or arguments[:2] == ["combine", "apply"]:
            for task in tasks:
                write_log(out / f"samples_{task}_2026.jsonl", rows)


def run(tmp_path, more=""):
    folder = tmp_path / "x"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG + more, encoding="utf-8")
    steps, answers = EachTask(tmp_path / "steps"), {}
    _score(load_config(folder), steps, answers, [])
    return steps, {name: rows[0].confidence for (_, name), rows in answers.items()}


def option(command, name):
    return command[command.index(name) + 1]


def test_the_tasks_of_a_mixture_are_asked_by_one_command_and_graded_as_one(tmp_path):
    steps, _ = run(tmp_path)
    (graded,) = steps.of("grade")
    asked = [each for each in steps.of("eval") if '"split"' in option(each, "--metadata")]
    assert [option(each, "--tasks") for each in asked] == ["calib_worldfacts,calib_siqa_cloze"] * 2
    assert [json.loads(option(each, "--metadata"))["split"] for each in asked] == [
        "train",
        "validation",
    ]
    methods = [json.loads(option(each, "--metadata"))["methods"] for each in asked]
    assert methods == [["zero_shot_classifier"], ["likelihood", "zero_shot_classifier"]]
    assert graded[1:3] == [f"$TEMPORARY/asked-2-tasks-{number}/out" for number in (0, 1)]


def test_only_tasks_that_differ_in_nothing_else_are_asked_together(tmp_path):
    apart, one = run(tmp_path / "a")
    together, other = run(tmp_path / "b", TOGETHER)
    assert one == other == dict.fromkeys(("ood", "PIQA", "OpenBookQA"), MADE["asked"])
    names = [option(each, "--tasks") for each in together.of("eval")]
    assert (
        names[2:] == ["calib_worldfacts_ood"] * 2 + ["calib_piqa_cloze,calib_openbookqa_cloze"] * 2
    )
    assert len(apart.of("eval")) == 8


def test_a_combination_is_fitted_on_the_graded_validation_rows_and_applied_to_others(tmp_path):
    steps, said = run(tmp_path, COMBINE + TOGETHER)
    assert said == dict.fromkeys(("ood", "PIQA", "OpenBookQA"), MADE["combined"])
    (fit,) = steps.of("combine", "fit")
    assert option(fit, "--methods") == "likelihood,zero_shot_classifier@out"
    numbers = [int(path.split("-")[-1].removesuffix("/out")) for path in fit[2:4]]
    asked = [steps.commands[number] for number in numbers]
    assert all('"split": "validation"' in option(each, "--metadata") for each in asked)
    assert "peft=" not in option(asked[0], "--model_args")
    assert "peft=" in option(asked[1], "--model_args")
    assert json.loads(option(asked[1], "--metadata"))["answers"] == fit[2]
    applied = steps.of("combine", "apply")
    assert len(applied) == 2  # ood, and the two that are asked together
    fits = f"$TEMPORARY/combination-{steps.commands.index(fit)}/out"
    assert {each[2] for each in applied} == {fits}


def test_without_a_recipe_the_base_models_own_methods_are_combined(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    untrained = CONFIG.replace("recipe: calibration_tuning_quick\n", "") + COMBINE
    (folder / "config.yaml").write_text(untrained, encoding="utf-8")
    steps = EachTask(tmp_path / "steps")
    rows = _score(load_config(folder), steps, {}, [])
    (fit,) = steps.of("combine", "fit")
    assert option(fit, "--methods") == "likelihood" and fit[3] == "--methods"
    assert not steps.of("tune") and not steps.of("grade") and len(rows) == 3


def test_a_combination_can_be_fitted_on_some_of_the_tasks(tmp_path):
    steps, _ = run(tmp_path / "a", COMBINE + "combine_on: [calib_siqa_cloze]\n")
    (fit,) = steps.of("combine", "fit")
    assert option(fit, "--tasks") == "calib_siqa_cloze"
    with pytest.raises(ValueError, match="'combine_on' says what 'combine' is fitted on"):
        run(tmp_path / "b", "combine_on: [calib_siqa_cloze]\n")


def test_a_temperature_reads_the_logs_of_all_graded_tasks(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    config, steps = load_config(folder), EachTask(tmp_path / "steps")
    # It came past the logs of both tasks: their answers are options, for which there is none.
    with pytest.raises(ValueError, match="a temperature of options"):
        _temperature(config, config.evaluate["PIQA"], [], tmp_path, steps)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("asked: [likelihood], ", "", "'combine' needs graded data with these methods"),
        ("answers: base, limit: 9", "limit: 9", "'combine' needs"),
        ("seeds", "temperature: true\nseeds", "so is a temperature"),
    ],
)
def test_a_combination_that_cannot_be_meant_is_a_sentence(old, new, sentence, tmp_path):
    (tmp_path / "config.yaml").write_text((CONFIG + COMBINE).replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=sentence):
        load_config(tmp_path)
