"""A `calibench eval --model vllm` that was killed, as by `kill -9`, ends as one that was not."""

import json
import signal

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from helpers.engines import with_vllm
from helpers.killed import evaluate, journals

pytestmark = [pytest.mark.nightly, with_vllm]
ASKED = ("--tasks", "calib_worldfacts", "--limit", "30", "--batch_size", "16",
         "--metadata", json.dumps({"k": 4}))  # fmt: skip


def test_results_and_samples_are_the_bytes_of_an_unbroken_run(
    embedded_model_path, tmp_path, monkeypatch
):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB
    base = {"pretrained": embedded_model_path, "dtype": "float32", "max_model_len": 1024,
            "enforce_eager": True, "enable_chunked_prefill": False}  # fmt: skip

    def run(cache, output, given, **options):
        return evaluate(
            tmp_path / cache, tmp_path / output, "vllm", given, *ASKED, forked=False, **options
        )

    code, expected, log = run("unbroken", "expected", base, entries=0)
    assert code == 0, log
    (lines,) = journals(tmp_path / "unbroken")
    code, nothing, _ = run("cache", "killed", base, entries=round(0.9 * len(lines)))
    assert (code, nothing) == (-signal.SIGKILL, {})
    _, found, log = run("cache", "found", base)
    # 0.9 of 270 entries, 150 of which are answers, scores and stated confidences.
    assert "goes on: 93 of 120 generate_until responses are there already" in log
    assert found == expected
    assert journals(tmp_path / "cache") == []


def test_nothing_that_another_adapter_has_said_is_used(embedded_model_path, tmp_path, monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    model = AutoModelForCausalLM.from_pretrained(embedded_model_path, dtype=torch.float32)
    few = ("--tasks", "calib_worldfacts", "--limit", "4", "--batch_size", "1",
           "--metadata", json.dumps({"methods": ["zero_shot_classifier"]}))  # fmt: skip
    for seed in range(2):  # two sets of weights, one after the other in the same folder
        torch.manual_seed(seed)
        lora = LoraConfig(r=8, target_modules=["q_proj"], init_lora_weights=False)
        tuned = get_peft_model(model, lora)
        tuned.save_pretrained(tmp_path / "adapter")
        model = tuned.unload()
        given = {"pretrained": embedded_model_path, "dtype": "float32", "max_model_len": 1024,
                 "enforce_eager": True, "lora_local_path": tmp_path / "adapter"}  # fmt: skip
        run = (tmp_path / "cache", tmp_path / f"{seed}", "vllm", given, *few)
        code, _, log = evaluate(*run, entries=10, forked=False)
        assert code == -signal.SIGKILL, log
        assert "goes on:" not in log
    assert len(journals(tmp_path / "cache")) == 2
