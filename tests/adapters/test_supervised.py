"""Supervised fine-tuning on a tiny random model: what is learnt, and what is refused."""

import json

import numpy as np
import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from safetensors.torch import load_file
from transformers import AutoTokenizer

from calib_adapters.supervised.rows import mixture
from calib_adapters.training.recipe import load_recipe
from calib_adapters.tune import tune
from helpers.adapters_common import prepared_row, write_prepared

FAST = ("dtype=float32", "optimiser.learning_rate=1e-2", "optimiser.epochs=2")


def test_a_mixture_gives_each_task_its_share_and_repeats_the_small_ones():
    tasks = ["a"] * 100 + ["b"] * 10
    drawn = mixture(tasks, {"a": 1, "b": 1}, 60, 1.0, seed=0)
    assert sum(i < 100 for i in drawn) == 30
    times = np.bincount([i for i in drawn if i >= 100], minlength=110)[100:]
    assert times.tolist() == [3] * 10
    assert len({i for i in drawn if i < 100}) == 30
    assert drawn == mixture(tasks, {"a": 1, "b": 1}, 60, 1.0, seed=0)
    assert drawn != mixture(tasks, {"a": 1, "b": 1}, 60, 1.0, seed=1)


def test_without_weights_a_smaller_fraction_is_part_of_a_larger_one():
    tasks = ["a"] * 50
    assert mixture(tasks, None, None, 0.5, 3) == mixture(tasks, None, None, 1.0, 3)[:25]
    assert sorted(mixture(tasks, None, None, 1.0, 3)) == list(range(50))


def test_a_weighted_task_without_rows_is_named():
    with pytest.raises(ValueError, match="no training rows of chess; it has a"):
        mixture(["a"], {"chess": 1}, None, 1.0, 0)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, tiny, prepared):
    return tune("sft", tiny, prepared, tmp_path_factory.mktemp("out") / "adapter", FAST)


def test_a_fine_tuned_adapter_learns_and_says_how_well(adapter):
    calibration = json.loads((adapter / "calibration.json").read_text())
    first, last = calibration["epochs"]
    assert last["eval_nll"] < first["eval_nll"]
    assert last["eval_perplexity"] == pytest.approx(np.exp(last["eval_nll"]))
    assert {"nll", "acc", "ece", "brier"} <= set(calibration["validation"])
    assert calibration["temperature"] > 0


def test_lm_eval_finds_the_validation_nll_that_training_reports(tiny, prepared, adapter):
    import datasets

    rows = datasets.load_from_disk(str(prepared))["validation"]
    lm = HFLM(pretrained=tiny, peft=str(adapter), device="cpu", dtype="float32", batch_size=4)
    requests = [
        Instance("loglikelihood", {}, (r["prompt"], r["completion"]), i) for i, r in enumerate(rows)
    ]
    found = lm.loglikelihood(requests, disable_tqdm=True)
    expected = -np.mean([value for value, _ in found])
    calibration = json.loads((adapter / "calibration.json").read_text())
    assert calibration["validation"]["nll"]["value"] == pytest.approx(expected, abs=1e-3)


def test_all_weights_are_trained_without_lora(tmp_path, tiny, prepared):
    output = tmp_path / "model"
    overrides = ("lora=null", "optimiser.epochs=1", "optimiser.warmup_steps=0", "dtype=float32")
    tune("sft", tiny, prepared, output, overrides)
    before, after = (load_file(f"{folder}/model.safetensors") for folder in (tiny, output))
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert len(changed) == len(before)
    assert AutoTokenizer.from_pretrained(output).eos_token
    with pytest.raises(ValueError, match="lora is null.*dtype=float32"):
        load_recipe("sft", ["lora=null", "dtype=bfloat16"])


def test_open_answers_and_several_tasks_are_trained_together(tmp_path, tiny):
    rows = [
        prepared_row(i, split, options=task == "choice", task=task)
        for split, n in (("train", 8), ("validation", 6))
        for task in ("choice", "open")
        for i in range(n)
    ]
    data = write_prepared(tmp_path / "data", rows)
    weights = "data.weights={choice: 1, open: 3}"
    output = tune(
        "multi_task",
        tiny,
        data,
        tmp_path / "adapter",
        ("dtype=float32", "optimiser.epochs=1", weights),
    )
    calibration = json.loads((output / "calibration.json").read_text())
    assert "acc" in calibration["tasks"]["choice"]
    assert "exact" in calibration["tasks"]["open"]
    training = json.loads((output / "training.json").read_text())
    assert training["data"]["train_by_task"] == {"choice": 4, "open": 12}


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("data.tasks=[chess]", "no rows of chess; it has toy"),
        ("data.max_tokens=3", "all 40 rows in the split 'train' .*longer than 3 tokens"),
    ],
)
def test_unusable_data_is_a_sentence(tmp_path, tiny, prepared, override, sentence):
    with pytest.raises(ValueError, match=sentence):
        tune("sft", tiny, prepared, tmp_path / "adapter", (*FAST, override))
