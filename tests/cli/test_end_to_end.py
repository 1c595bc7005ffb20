"""The main job on a handful of questions, with the real model and the commands of the README."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

import calibench.cli as calibench_cli
from harness_tasks.elicitation.records import read_samples

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def run(*command, cwd):
    """A command in a process of its own; return what it prints."""
    done = subprocess.run(
        [str(BIN / command[0]), *map(str, command[1:])], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def calibench(*arguments, cwd):
    """`calibench` in this process, which spares it the start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.setattr("sys.argv", ["calibench", *map(str, arguments)])
        calibench_cli.main()
    gc.collect()  # the model, before the next command loads it again


def asking(model, output, *options, metadata, backend="calib-hf"):
    """The arguments of `lm_eval run` and of `calibench eval`."""
    return [
        "--model", backend, "--model_args", model, "--device", "cpu", "--batch_size", "16",
        "--output_path", output, "--log_samples", "--metadata", json.dumps(metadata), *options,
    ]  # fmt: skip


def records(folder, method):
    (file,) = folder.rglob("samples_*.jsonl")
    return {r["id"]: r for _, r in read_samples(file) if r["method"] == method}


@pytest.fixture(scope="module")
def job(tmp_path_factory, embedded_model_path):
    """Ask, grade, tune, ask again, publish; each step reads what the one before it wrote."""
    folder = tmp_path_factory.mktemp("job")
    base = f"pretrained={embedded_model_path}"
    task = ("--tasks", "calib_worldfacts", "--limit")
    query = {"methods": ["zero_shot_classifier"]}
    for split, questions in (("train", "16"), ("validation", "8")):
        asked = asking(base, split, *task, questions, metadata={**query, "split": split})
        calibench("eval", *asked, cwd=folder)
    calibench("grade", "train", "validation", "-o", "graded", cwd=folder)
    calibench(
        "tune", "calibration_tuning_quick", "optimiser.epochs=1", "optimiser.warmup_steps=0",
        "--model", embedded_model_path, "--data", "graded", "-o", "adapter", cwd=folder,
    )  # fmt: skip
    # As a user does who has the stock command alone.
    stock = ("lm_eval", "run", "--include_path", ROOT / "harness_tasks")
    asked = asking(base, "base", *task, "5", metadata={"k": 2}, backend="hf")
    printed = run(*stock, *asked, cwd=folder)
    frozen = {**query, "answers": "base"}
    asked = asking(f"{base},peft=adapter", "tuned", *task, "5", metadata=frozen)
    calibench("eval", *asked, cwd=folder)
    run(
        "calibench", "leaderboard", "build", "base", "tuned", "--graded", "graded",
        "-o", "leaderboard", cwd=folder,
    )  # fmt: skip
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


def test_the_chat_template_and_the_multiple_choice_form_work_together(
    tmp_path, embedded_model_path
):
    asked = asking(
        f"pretrained={embedded_model_path}", "chat", "--tasks", "calib_worldfacts_mc",
        "--limit", "4", "--apply_chat_template", "--fewshot_as_multiturn", "true",
        "--num_fewshot", "2", metadata={"k": 2},
    )  # fmt: skip
    calibench("eval", *asked, cwd=tmp_path)
    for record in records(tmp_path / "chat", "zero_shot_classifier").values():
        assert record["answer"] in "ABCD"
        assert record["query"].endswith("<|im_start|>assistant\n")
        assert record["query"].count("<|im_start|>user") == 2  # question and query
        assert record["context"].count("<|im_start|>user") == 3  # two shots and the question
    for record in records(tmp_path / "chat", "likelihood").values():
        assert record["confidence"] >= 0.25  # the likeliest of four options


def test_a_wrong_option_ends_the_command_with_its_sentence(tmp_path, embedded_model_path):
    # Python prints the text of a SystemExit to standard error, and exits with status 1.
    with pytest.raises(SystemExit) as ended:
        calibench(
            "tune", "calibration_tuning_quick", "optimiser.epoch=1",
            "--model", embedded_model_path, "--data", tmp_path, "-o", tmp_path / "adapter",
            cwd=tmp_path,
        )  # fmt: skip
    assert ended.value.code.startswith("calibench: ")
    assert "'optimiser.epoch'; the nearest known one is 'optimiser.epochs'" in ended.value.code
