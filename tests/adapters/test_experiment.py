"""Experiments: configs that are checked, commands that run once, scores by hand, tables."""

import json
import math

import pytest

from helpers.experiment_logs import write_log
from runner.config import each_task, load_config
from runner.measure import confidences, measure
from runner.run import _result_of, _summary, _weights, run_experiment
from runner.steps import OUT, Steps
from runner.table import BEGIN, END, tables, write_tables

CONFIG = """\
table: Calibration tuning
label: LoRA + Prompt
data: {grade: calib_worldfacts}
recipe: calibration_tuning_lora_prompt
evaluate:
  test: {task: calib_worldfacts, method: zero_shot_classifier, answers: base}
"""


def experiment(folder, text=CONFIG):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("label: LoRA + Prompt\n", "", "config.yaml: label: Field required"),
        ("recipe: calibration_tuning_lora_prompt", "overrides: [seed=1]", "there is none"),
        ("recipe: calibration_tuning_lora_prompt", "ensemble: true", "an ensemble needs a recipe"),
        ("answers: base", "test: true", "evaluate.test: 'test' belongs to prepared data"),
        ("answers: base", "train: true", "evaluate.test: 'train' belongs to prepared data"),
        ("answers: base", "epoch: 2", "an 'epoch' needs 'keep_epochs'"),
        ("answers: base", "answers: mine", "config.yaml: evaluate.test.answers"),
        (CONFIG, "- a list", "cannot be read as keys and values"),
    ],
)
def test_a_config_that_cannot_be_meant_is_a_sentence(old, new, sentence, tmp_path):
    folder = experiment(tmp_path / "x", CONFIG.replace(old, new))
    with pytest.raises(ValueError, match=sentence):
        load_config(folder)


def test_a_folder_without_a_config_is_no_experiment(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no experiment"):
        load_config(tmp_path)


def test_a_command_runs_once_and_is_logged_without_the_machines_folders(tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("method: sft\n", encoding="utf-8")
    steps = Steps(tmp_path / "temporary", {"$RECIPE": str(recipe)})
    command = ["recipes", "cp", "$RECIPE", OUT]
    out = steps.run("copied", command)
    assert out.read_text(encoding="utf-8") == "method: sft\n"
    recipe.write_text("changed", encoding="utf-8")
    assert steps.run("copied", command) == out
    assert out.read_text(encoding="utf-8") == "method: sft\n"
    assert [step["command"] for step in steps.used] == [
        f"calibench recipes cp $RECIPE {out.parent.name}/out"
    ] * 2
    assert steps.run("copied", ["recipes", "cp", "sft", OUT]) != out


def test_a_command_that_fails_names_its_log_and_is_tried_again(tmp_path):
    steps = Steps(tmp_path / "temporary", {"$RECIPE": str(tmp_path / "mine.yaml")})
    command = ["recipes", "cp", "$RECIPE", OUT]
    with pytest.raises(RuntimeError, match="status 1; its log is .*log.txt"):
        steps.run("copied", command)
    (tmp_path / "mine.yaml").write_text("method: sft\n", encoding="utf-8")
    assert steps.run("copied", command).is_file()


def measured(log, method, **how):
    return measure(confidences(log, method, **how), method)


def test_a_temperature_divides_the_log_odds(tmp_path):
    nine = 0.9  # odds of 9; at temperature 2 they are 3, a confidence of .75
    log = write_log(
        tmp_path / "log.jsonl",
        [
            ("zero_shot_classifier", nine, 1, []),
            ("zero_shot_classifier", nine, 0, []),
            ("zero_shot_classifier", None, 0, []),
            ("verbalized", 0.1, 1, []),
            ("verbalized", 0.1, 0, []),
            ("verbalized", 0.1, 0, []),
        ],
    )
    plain = measured(log, "zero_shot_classifier")
    assert (plain["n"], plain["missing"]) == (3, 1)
    assert plain["brier"] == pytest.approx((0.1**2 + 0.9**2) / 2)
    scaled = measured(log, "zero_shot_classifier", temperature=2.0)
    assert scaled["brier"] == pytest.approx((0.25**2 + 0.75**2) / 2)
    assert scaled["ece"] == pytest.approx(0.25)
    with pytest.raises(ValueError, match="no record of the method 'sampling'"):
        measured(log, "sampling")


def test_a_temperature_divides_the_options_log_likelihoods(tmp_path):
    # Probabilities of 16/17 and 1/17; at temperature 2 the odds of 16 are 4: .8 and .2.
    options = [math.log(16 / 17), math.log(1 / 17)]
    log = write_log(tmp_path / "log.jsonl", [("likelihood", 16 / 17, 1, options)])
    assert measured(log, "likelihood")["brier"] == pytest.approx((1 / 17) ** 2)
    assert measured(log, "likelihood", temperature=2.0)["brier"] == pytest.approx(0.2**2)


def test_options_can_be_compared_per_token(tmp_path):
    # 1/4 each in all; per token 1/4 and 1/2, of which softmax makes a third and two thirds.
    log = write_log(tmp_path / "log.jsonl", [("likelihood", 0.5, 0, [])])
    row = json.loads(log.read_text(encoding="utf-8"))
    row["arguments"] = {"a": {"arg_1": " no"}, "b": {"arg_1": " oh yes"}}
    row["doc"] = {"choices": ["no", "oh yes"], "gold": 1}
    row["resps"] = [[[str(math.log(1 / 4)), "False"]], [[str(2 * math.log(1 / 2)), "False"]]]
    log.write_text(json.dumps(row), encoding="utf-8")
    found = measured(log, "likelihood", tokens=lambda text: len(text.split()))
    assert found["acc"] == 1 and found["ece"] == pytest.approx(1 / 3)
    row["doc"]["gold"] = 0
    log.write_text(json.dumps(row), encoding="utf-8")
    assert measured(log, "likelihood", tokens=lambda text: len(text.split()))["acc"] == 0


def test_trained_weights_reach_the_back_end_by_the_argument_of_their_method(tmp_path):
    config = load_config(experiment(tmp_path / "x"))
    weights = [tmp_path / "trained-1" / "out", tmp_path / "trained-2" / "out"]
    assert _weights(config, []) == {}
    assert _weights(config, weights[:1]) == {"peft": "$TEMPORARY/trained-1/out"}
    assert _weights(config, weights) == {
        "ensemble": "$TEMPORARY/trained-1/out+$TEMPORARY/trained-2/out"
    }
    assert _weights(config, weights[:1], 4) == {"peft": "$TEMPORARY/trained-1/out/epochs/4"}
    probe = config.model_copy(update={"recipe": "calibration_tuning_probe"})
    assert _weights(probe, weights[:1]) == {"probe": "$TEMPORARY/trained-1/out"}


def test_the_readme_has_mean_and_standard_deviation_over_seeds(tmp_path):
    config = load_config(experiment(tmp_path / "x"))
    scores = {"evaluation": "test", "n": 50, "missing": 0, "acc": 0.5, "auroc": None, "brier": 0.2}
    rows = [{**scores, "seed": seed, "ece": ece} for seed, ece in enumerate((0.1, 0.2, 0.3))]
    result = {"config": config.model_dump(mode="json"), "summary": {"test": _summary(rows, "test")}}
    (tmp_path / "x" / "result.json").write_text(json.dumps(result), encoding="utf-8")
    readme = tmp_path / "README.md"
    readme.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nThe end.\n", encoding="utf-8")
    write_tables(tmp_path)
    text = readme.read_text(encoding="utf-8")
    assert "old" not in text and text.startswith("# Title") and text.endswith("The end.\n")
    # The standard deviation of .1, .2 and .3 is .1.
    assert (
        "| test | LoRA + Prompt | 50 | 3 | 0.500 ± 0.000 | 0.200 ± 0.100 | undefined | "
        "0.200 ± 0.000 |"
    ) in text
    readme.write_text("# Title\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no lines <!-- tables -->"):
        write_tables(tmp_path)


SEVERAL = """\
table: CogCalib
label: {label}
tasks: [task_a, task_b]
baseline: sft
data: {{prepare: ["{{task}}"], options: [--redivide]}}
recipe: sft
evaluate:
  "{{task}}": {{task: "{{task}}", method: likelihood, test: true, num_fewshot: 0}}
"""


def test_a_config_of_several_tasks_is_one_for_each(tmp_path):
    config = load_config(experiment(tmp_path / "x", SEVERAL.format(label="SFT")))
    first, second = each_task(config)
    assert first.data.prepare == ("task_a",) and second.data.prepare == ("task_b",)
    assert [*first.evaluate] == ["task_a"] and second.evaluate["task_b"].task == "task_b"
    single = load_config(experiment(tmp_path / "y"))
    assert each_task(single) == [single]
    with pytest.raises(ValueError, match="goes with a list of 'tasks'"):
        load_config(experiment(tmp_path / "z", CONFIG.replace("  test:", '  "{task}":')))


def over_two_tasks(folder, label, values, text=SEVERAL, names=("task_a", "task_b")):
    config = load_config(experiment(folder, text.format(label=label))).model_dump(mode="json")
    summary = {
        task: {
            "n": 30,
            "seeds": 1,
            "ece": {"mean": ece, "sd": None},
            "acc": {"mean": 0.5, "sd": None},
        }
        for task, ece in zip(names, values, strict=True)
    }
    result = json.dumps({"config": config, "summary": summary})
    (folder / "result.json").write_text(result, encoding="utf-8")


def test_over_several_tasks_the_reduction_is_the_mean_of_each_tasks_own(tmp_path):
    # .4 to .1 is 75 % lower, .2 to .15 is 25 % lower: 50 % on average, with a standard error of 25,
    # times 12.71 for one degree of freedom.
    over_two_tasks(tmp_path / "sft", "SFT", (0.4, 0.2), SEVERAL.replace("baseline: sft\n", ""))
    over_two_tasks(tmp_path / "ls", "LS", (0.1, 0.15))
    text = tables(tmp_path)
    assert "| LS | 0.100 | 0.150 | 0.125 | 50 % (-268 to 368) |" in text
    assert "| SFT | 0.400 | 0.200 | 0.300 |  |" in text
    assert "| SFT | 0.500 | 0.500 | 0.500 |" in text
    assert "All models" not in text


def test_the_processor_time_of_a_command_that_results_share_counts_once(tmp_path):
    for name, last in (("a", 3600), ("b", 1800)):
        over_two_tasks(tmp_path / name, name, (0.4, 0.2))
        file = tmp_path / name / "result.json"
        result = json.loads(file.read_text(encoding="utf-8"))
        shared = {"command": "prepare", "seconds": 9000, "processor_seconds": 7200}
        own = {"command": f"tune {name}", "seconds": 9000, "processor_seconds": last}
        result["commands"] = [shared, own]
        file.write_text(json.dumps(result), encoding="utf-8")
    assert "The 3 commands behind these results took 3.5 processor hours" in tables(tmp_path)
    del result["commands"][1]["processor_seconds"]
    file.write_text(json.dumps(result), encoding="utf-8")
    assert "processor hours" not in tables(tmp_path)


def test_over_several_models_the_reduction_is_that_of_all_their_tasks(tmp_path):
    # The same again: four times 25 from 50, a standard error of 14.4, times 3.18.
    other = SEVERAL.replace("table: CogCalib", "table: Other\nmodel: gemma-3-270m")
    for name, text in (("", SEVERAL), ("other_", other)):
        text = text.replace("baseline: sft", f"baseline: {name}sft")
        without = text.replace(f"baseline: {name}sft\n", "")
        over_two_tasks(tmp_path / f"{name}sft", "SFT", (0.4, 0.2), without)
        over_two_tasks(tmp_path / f"{name}ls", "LS", (0.1, 0.15), text)
    pooled = tables(tmp_path).partition("### All models")[2]
    assert "| LS | 4 | 0.125 | 0.300 | 50 % (4 to 96) |\n" in pooled
    assert "SFT" not in pooled and "All models, " not in pooled


def test_over_several_models_written_out_options_stand_apart_and_rows_are_compared(tmp_path):
    # With written-out options 75 % and 45 % lower, a standard error of 15, times 12.71; otherwise
    # 25 % and 45 %. The other method's ECE is higher by .2, .1, .08 and .14: .13 on average, a
    # standard error of .0265, times 3.18.
    names, two = ("task_a_cloze", "task_b"), {"": (0.1, 0.15), "other_": (0.22, 0.11)}
    for prefix, values in two.items():
        model = "gemma-3-270m" if prefix else "SmolLM2-135M-Instruct"
        text = SEVERAL.replace("table: CogCalib", f"table: {model}\nmodel: {model}")
        text = text.replace("task_a", names[0]).replace("baseline: ", f"baseline: {prefix}")
        without = text.replace(f"baseline: {prefix}sft\n", "")
        compared = text.replace("recipe: sft", "recipe: sft\ncompared: true")
        over_two_tasks(tmp_path / f"{prefix}sft", "SFT", (0.4, 0.2), without, names)
        over_two_tasks(tmp_path / f"{prefix}ls", "LS", values, compared, names)
        over_two_tasks(tmp_path / f"{prefix}ecp", "ECP", (0.3, 0.25), text, names)
    text = tables(tmp_path)
    assert "| ECE, less that of: LS (95 % interval) |\n" in text
    pooled, written, others = text.split("### All models")[1:]
    assert "| ECP | 4 | 0.275 | 0.300 | 0 % (-46 to 46) | +0.130 (+0.046 to +0.214) |" in pooled
    assert written.startswith(", tasks with written-out options\n")
    assert "| LS | 2 | 0.160 | 0.400 | 60 % (-131 to 251) |  |" in written
    assert others.startswith(", other tasks\n")
    assert "| LS | 2 | 0.130 | 0.200 | 35 % (-92 to 162) |  |" in others


def test_a_result_of_the_same_config_is_left_and_one_of_another_is_not(tmp_path):
    folder = experiment(tmp_path / "x")
    config = load_config(folder).model_dump(mode="json")
    result = folder / "result.json"
    result.write_text(json.dumps({"config": config, "rows": []}), encoding="utf-8")
    before = result.read_bytes()
    assert run_experiment(folder) == result
    assert result.read_bytes() == before
    text = CONFIG.replace("LoRA + Prompt", "another")
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    assert not _result_of(load_config(folder), result)
