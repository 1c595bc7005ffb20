"""The main job on a handful of questions, with the real model and the commands of the README."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def run(*command, cwd):
    done = subprocess.run(
        [str(BIN / command[0]), *map(str, command[1:])],
        cwd=cwd, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def ask(model, output, cwd, *options, metadata=None, launcher=("lm_eval",)):
    command = [
        *launcher, "run", "--model", "hf", "--include_path", ROOT / "harness_tasks",
        "--model_args", model, "--device", "cpu", "--batch_size", "16",
        "--output_path", output, "--log_samples", *options,
    ]
    if metadata:
        command += ["--metadata", json.dumps(metadata)]
    return run(*command, cwd=cwd)


def records(folder, method):
    from harness_tasks.elicitation.records import read_samples

    (file,) = folder.rglob("samples_*.jsonl")
    return {r["id"]: r for _, r in read_samples(file) if r["method"] == method}


@pytest.fixture(scope="module")
def job(tmp_path_factory, embedded_model_path):
    """Ask, grade, tune, ask again, publish; each step reads what the one before it wrote."""
    folder = tmp_path_factory.mktemp("job")
    base = f"pretrained={embedded_model_path},dtype=bfloat16,softmax_dtype=float32"
    task = ("--tasks", "calib_worldfacts", "--limit")
    query = {"methods": ["zero_shot_classifier"]}
    ask(base, "train", folder, *task, "24", metadata={**query, "split": "train"})
    ask(base, "validation", folder, *task, "24", metadata={**query, "split": "validation"})
    run("calibench", "grade", "train", "validation", "-o", "graded", cwd=folder)
    run(
        "calibench", "tune", "calibration_tuning_lora_prompt", "optimiser.epochs=2",
        "--model", embedded_model_path, "--data", "graded", "-o", "adapter", cwd=folder,
    )
    printed = ask(base, "base", folder, *task, "12", metadata={"k": 3})
    ask(
        f"{base},peft=adapter", "tuned", folder, *task, "12",
        metadata={**query, "answers": "base"},
    )
    run(
        "calibench", "leaderboard", "build", "base", "tuned", "--graded", "graded",
        "-o", "leaderboard", cwd=folder,
    )
    return folder, printed


def test_lm_evals_own_table_has_one_row_per_method(job):
    _, printed = job
    for method in ("likelihood", "zero_shot_classifier", "verbalized", "sampling"):
        assert method in printed


def test_the_adapter_is_asked_about_exactly_the_base_models_answers(job):
    folder, _ = job
    before = records(folder / "base", "zero_shot_classifier")
    after = records(folder / "tuned", "zero_shot_classifier")
    assert {i: r["answer"] for i, r in before.items()} == {i: r["answer"] for i, r in after.items()}
    assert any(before[i]["confidence"] != after[i]["confidence"] for i in before)


def test_the_published_table_shows_every_method_beside_the_fine_tuned_one(job):
    folder, _ = job
    page = (folder / "leaderboard" / "README.md").read_text(encoding="utf-8")
    for label in ("Likelihood", "Zero-Shot Classifier", "Verbalized", "Sampling", "Fine-Tuned"):
        assert label in page
    assert "Constant" in page
    for suffix in ("png", "svg"):
        assert (folder / "leaderboard" / "figures" / f"calib_worldfacts_bars.{suffix}").is_file()


def test_two_processes_give_the_numbers_of_one(tmp_path, embedded_model_path):
    # In float32: another batch composition moves bfloat16 logits. Seven questions on two
    # processes leave one rank short, which is where lm-eval pads with repeated requests.
    model = f"pretrained={embedded_model_path},dtype=float32"
    task = ("--tasks", "calib_worldfacts", "--limit", "7")
    chosen = {"methods": ["likelihood", "zero_shot_classifier", "verbalized"]}
    ask(model, "one", tmp_path, *task, metadata=chosen)
    launcher = (
        "accelerate", "launch", "--cpu", "--num_processes", "2", "--num_machines", "1",
        "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "lm_eval",
    )
    ask(model, "two", tmp_path, *task, metadata=chosen, launcher=launcher)
    for method in chosen["methods"]:
        one, two = records(tmp_path / "one", method), records(tmp_path / "two", method)
        assert one.keys() == two.keys()
        for key, record in one.items():
            assert record["answer"] == two[key]["answer"]
            assert record["confidence"] == pytest.approx(two[key]["confidence"], abs=1e-5)


def test_the_chat_template_and_the_multiple_choice_form_work_together(
    tmp_path, embedded_model_path
):
    ask(
        f"pretrained={embedded_model_path},dtype=bfloat16,softmax_dtype=float32", "chat", tmp_path,
        "--tasks", "calib_worldfacts_mc", "--limit", "4", "--apply_chat_template",
        "--fewshot_as_multiturn", "true", "--num_fewshot", "2", metadata={"k": 2},
    )
    for record in records(tmp_path / "chat", "zero_shot_classifier").values():
        assert record["answer"] in "ABCD"
        assert record["query"].endswith("<|im_start|>assistant\n")
        assert record["query"].count("<|im_start|>user") == 2  # question and query
        assert record["context"].count("<|im_start|>user") == 3  # two shots and the question
    for record in records(tmp_path / "chat", "likelihood").values():
        assert record["confidence"] >= 0.25  # the likeliest of four options


def test_a_wrong_option_ends_the_command_with_its_sentence(tmp_path, embedded_model_path):
    done = subprocess.run(
        [BIN / "calibench", "tune", "calibration_tuning_lora_prompt", "optimiser.epoch=1",
         "--model", embedded_model_path, "--data", tmp_path, "-o", tmp_path / "adapter"],
        capture_output=True, text=True,
    )
    assert done.returncode == 1
    assert done.stderr.strip().startswith("calibench: ")
    assert "'optimiser.epoch'; the nearest known one is 'optimiser.epochs'" in done.stderr
