"""Calibration tuning that cannot be done: a sentence that names what is wrong."""

import shutil

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from calib_adapters.calibration.encode import encode_rows
from calib_adapters.data.grade import grade, load_graded
from calib_adapters.training.recipe import load_recipe
from calib_adapters.tune import tune
from helpers.adapters_common import FAST, RECIPE
from helpers.graded_runs import record, write_run


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimizer.epochs=1", "unknown key 'optimizer'.*'optimiser'"),
        ("lora.rank=4", "unknown key 'lora.rank'; the nearest known one is 'lora.r'"),
        ("objective.kapa=1", "unknown key 'objective.kapa'; .* 'objective.kappa'"),
        ("learning_rate=1", "unknown key 'learning_rate'; .* 'optimiser.learning_rate'"),
        ("optimiser.learning_rate=.inf", "optimiser.learning_rate is inf: .*finite"),
        (
            "method=magic",
            "method is 'magic', .*one of lora_prompt, stated, lora, probe, sft, cogcalib",
        ),
        ("optimiser.epochs=0", "optimiser.epochs is 0: .*greater than or equal to 1"),
        ("dtype=int8", "dtype is 'int8': .*'float32' or 'bfloat16'"),
        ("seed", "not of the form key=value"),
    ],
)
def test_a_wrong_override_is_a_sentence(override, sentence):
    file = "" if override == "seed" else f"{RECIPE}.yaml: "
    with pytest.raises(ValueError, match=file + sentence):
        load_recipe(RECIPE, [override])


def test_an_unknown_recipe_lists_the_shipped_ones():
    with pytest.raises(FileNotFoundError, match=RECIPE):
        load_recipe("no_such_recipe")


def test_answers_that_are_all_correct_cannot_be_trained_on(tmp_path, tiny):
    rows = [record(f"Land {i}", split=s) for i, s in enumerate(["train", "train", "validation"])]
    grade([write_run(tmp_path / "run", rows)], tmp_path / "graded")
    with pytest.raises(ValueError, match="all 2 answers in the split 'train' .* are correct"):
        tune(RECIPE, tiny, tmp_path / "graded", tmp_path / "adapter")


@pytest.mark.parametrize(("there", "missing"), [("train", "validation"), ("validation", "train")])
def test_a_split_without_answers_is_named(tmp_path, tiny, there, missing):
    rows = [record(f"Land {i}", split=there, correct=i % 2) for i in range(4)]
    grade([write_run(tmp_path / "run", rows)], tmp_path / "graded")
    with pytest.raises(ValueError, match=f"no rows in the split '{missing}'"):
        tune(RECIPE, tiny, tmp_path / "graded", tmp_path / "adapter")


def test_a_cut_that_leaves_answers_of_one_kind_is_named(tmp_path, tiny, graded):
    with pytest.raises(ValueError, match="data.fraction=0.01 .* leave 0 of 40 training answers"):
        tune(RECIPE, tiny, graded, tmp_path / "adapter", ("data.fraction=0.01",))


def test_balance_without_a_task_that_has_both_kinds_is_refused(tmp_path, tiny):
    rows = [
        {**record(f"{split} {i}", split=split, correct=i % 2), "task": "ab"[i % 2]}
        for i in range(4)
        for split in ("train", "validation")
    ]
    runs = [
        write_run(tmp_path / task, [row for row in rows if row["task"] == task]) for task in "ab"
    ]
    grade(runs, tmp_path / "graded")
    with pytest.raises(ValueError, match="data.balance leaves none of 4 training answers"):
        tune(RECIPE, tiny, tmp_path / "graded", tmp_path / "adapter", ("data.balance=true",))


def test_a_tokenizer_without_tokens_for_a_reply_is_refused(graded):
    words = models.WordLevel({"[UNK]": 0, "Yes": 1, "answer": 2}, unk_token="[UNK]")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), unk_token="[UNK]")
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    rows = load_graded(graded)[0]["train"].select(range(1))
    with pytest.raises(ValueError, match="no tokens for the replies ' Yes' and ' No'.*UNK"):
        encode_rows(rows, tokenizer)


def test_a_folder_that_is_no_graded_dataset_is_refused(tmp_path, tiny):
    with pytest.raises(ValueError, match="calibench grade"):
        tune(RECIPE, tiny, tmp_path, tmp_path / "adapter")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("grading.json", b"null"), ("grading.json", b"{}"), ("grading.json", b'{"fingerprint": 1}'),
        ("grading.json", b"[1, 2]"), ("dataset_dict.json", b"null"), ("dataset_dict.json", b"{}"),
        ("train/dataset_info.json", b"[]"), ("train/state.json", b'"text"'),
        ("validation/state.json", b"{}"),
    ],
)  # fmt: skip
def test_a_damaged_description_of_the_answers_is_a_sentence(tmp_path, tiny, graded, file, content):
    folder = shutil.copytree(graded, tmp_path / "graded")
    (folder / file).write_bytes(content)
    with pytest.raises(ValueError, match=str(folder)) as refused:
        tune(RECIPE, tiny, folder, tmp_path / "adapter")
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"null"), ("config.json", b"[1, 2]"), ("tokenizer.json", b"{}"),
        ("tokenizer.json", b"1"), ("model.safetensors", b""), ("model.safetensors", b"<html>"),
    ],
)  # fmt: skip
def test_a_damaged_file_of_the_model_is_a_sentence(tmp_path, tiny, graded, file, content):
    folder = shutil.copytree(tiny, tmp_path / "model")
    (folder / file).write_bytes(content)
    with pytest.raises((ValueError, OSError), match=str(folder)):
        tune(RECIPE, str(folder), graded, tmp_path / "adapter")


def test_a_loss_that_is_not_a_number_stops_the_run(tmp_path, tiny, graded):
    with pytest.raises(ValueError, match="loss became (nan|inf).*learning_rate"):
        tune(
            RECIPE,
            tiny,
            graded,
            tmp_path / "adapter",
            (*FAST, "optimiser.learning_rate=1e30", "optimiser.max_grad_norm=1e30"),
        )
    assert not (tmp_path / "adapter").exists()
