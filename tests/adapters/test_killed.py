"""A `calibench eval` that was killed, as by `kill -9`, ends as one that was not."""

import json
import signal

import pytest
import torch

from calib_adapters.training.base_model import add_lora, load_base, save_adapter
from calib_adapters.training.schema import Lora
from helpers.adapters_common import tiny_model
from helpers.killed import evaluate, journals

pytestmark = pytest.mark.nightly
ASKED = ("--tasks", "calib_worldfacts", "--limit", "12", "--device", "cpu", "--batch_size", "5",
         "--metadata", json.dumps({"k": 4, "reply_tokens": 8}))  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory, embedded_model_path):
    """A tiny model, whose answers end."""
    return tiny_model(tmp_path_factory.mktemp("tiny"), embedded_model_path, line_ends=5.0)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(0)
    adapted = add_lora(load_base(model, "float32", torch.device("cpu")), Lora(r=4), model)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    save_adapter(adapted, model, folder)
    return folder


@pytest.mark.parametrize("back_end", ["hf", "calib-hf"])
def test_results_and_samples_are_the_bytes_of_an_unbroken_run(back_end, model, adapter, tmp_path):
    base = {"pretrained": model, "dtype": "float32"}
    tuned = {**base, "peft": adapter}

    def run(cache, output, given, **options):
        return evaluate(tmp_path / cache, tmp_path / output, back_end, given, *ASKED, **options)

    code, expected, log = run("unbroken", "expected", base, entries=0)
    assert code == 0, log
    assert len(expected) == 2
    (lines,) = journals(tmp_path / "unbroken")
    code, nothing, _ = run("cache", "killed", base, entries=round(0.9 * len(lines)))
    assert (code, nothing) == (-signal.SIGKILL, {})
    _, other, log = run("cache", "tuned", tuned)
    assert "goes on:" not in log
    assert other == run("empty", "tuned alone", tuned)[1] != expected
    _, found, log = run("cache", "found", base)
    assert "generate_samples responses are there already" in log
    assert found == expected
    assert journals(tmp_path / "cache") == []
