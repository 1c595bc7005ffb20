"""Baselines in vLLM's newer form, and runs on another back end or asked in another way."""

import re

import numpy as np
import pytest
import yaml

from calib_leaderboards.gate.asked import generation
from helpers.gate_runs import run_gate, write_run

VLLM = """\
model_name: "org/Tiny"
backend: "vllm"
tasks:
- name: "gsm8k"
  metrics:
  - name: "exact_match,strict-match"
    value: 0.75
limit: 250
num_fewshot: 5
max_model_len: 4096
trust_remote_code: True
enforce_eager: "true"
tensor_parallel_size: 2
apply_chat_template: True
fewshot_as_multiturn: True
gen_kwargs: "do_sample=false,temperature=0.0,max_gen_toks=1500"
rtol: 0.08
"""
ASKED = {
    "backend": "vllm",
    "arguments": {"max_model_len": 4096, "trust_remote_code": True},
    "chat_template": "ab",
    "multiturn": True,
    "gen_kwargs": {"do_sample": False, "temperature": 0, "max_gen_toks": 1500},
}


def rows(n=250, percent=75):
    right = (np.arange(n) % 100 < percent).astype(float)
    for i, value in enumerate(right):
        yield {
            "doc_id": i,
            "doc": {"q": f"doc {i}"},
            "target": "x",
            "filter": "strict-match",
            "doc_hash": f"{i:064x}",
            "prompt_hash": f"{i:064x}",
            "filtered_resps": ["x"],
            "metrics": ["exact_match"],
            "exact_match": float(value),
        }


def gsm8k(folder, n=250, **options):
    given = {"limit": 250.0, "shots": 5, "directions": {"exact_match": True}, **ASKED, **options}
    return write_run(folder, rows(n), task="gsm8k", **given)


def test_a_baseline_with_vllms_newer_keys_is_read_and_a_run_that_keeps_to_it_passes(tmp_path):
    (tmp_path / "b.yaml").write_text(VLLM)
    code, said = run_gate(tmp_path / "b.yaml", gsm8k(tmp_path / "a"))
    assert code == 0, said


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"backend": "hf"}, "back end of gsm8k is hf in the run and vllm in the baseline"),
        ({"arguments": {"max_model_len": 2048}}, "max_model_len of gsm8k is 2048 .* and 4096"),
        ({"arguments": {}}, "max_model_len of gsm8k is not set in the run and 4096"),
        ({"chat_template": None}, "apply_chat_template of gsm8k is False in the run and True"),
        ({"multiturn": False}, "fewshot_as_multiturn of gsm8k is False in the run and True"),
        ({"gen_kwargs": {"do_sample": True}}, "gen_kwargs of gsm8k is .*true.* in the run and"),
        ({"gen_kwargs": None}, "gen_kwargs of gsm8k is not set in the run and"),
    ],
)
def test_a_run_that_was_asked_otherwise_exits_2_with_the_difference(tmp_path, options, sentence):
    (tmp_path / "b.yaml").write_text(VLLM)
    code, said = run_gate(tmp_path / "b.yaml", gsm8k(tmp_path / "a", **options))
    assert code == 2 and re.search(sentence, said), said


def test_a_baseline_remembers_back_end_dtype_and_number_of_questions(tmp_path):
    file = tmp_path / "b.yaml"
    plain = {"limit": None, "chat_template": None, "multiturn": None}
    run = gsm8k(tmp_path / "base", **plain)
    code, said = run_gate("--update", file, run)  # without samples
    assert code == 0, said
    held = yaml.safe_load(file.read_text())
    assert (held["backend"], held["dtype"]) == ("vllm", "float32")
    assert held["gen_kwargs"] == {"do_sample": "false", "temperature": "0", "max_gen_toks": "1500"}
    assert run_gate(file, run)[0] == 0
    for options, sentence in (
        ({"backend": "calib-hf"}, "back end of gsm8k is calib-hf in the run and vllm"),
        ({"dtype": "bfloat16"}, "dtype of gsm8k is bfloat16 in the run and float32"),
        ({"n": 249}, "gsm8k has 249 questions in the run and 250 in the baseline"),
    ):
        folder = tmp_path / sentence.split()[0] / next(iter(options))
        code, said = run_gate(file, gsm8k(folder, **{**plain, **options}))
        assert code == 2 and sentence in " ".join(said.split()), said


def test_an_argument_that_is_said_twice_with_two_values_is_explained(tmp_path):
    (tmp_path / "b.yaml").write_text(VLLM + "model_args: {max_model_len: 1024}\n")
    code, said = run_gate(tmp_path / "b.yaml", gsm8k(tmp_path / "a"))
    assert code == 2 and "max_model_len is 4096, and 1024 in model_args" in said


@pytest.mark.parametrize(
    "given",
    [
        "do_sample=false,temperature=0.0",
        '{"do_sample": false, "temperature": 0}',
        {"do_sample": "False", "temperature": 0.0},
    ],
)
def test_generation_arguments_are_the_same_in_every_form(given):
    assert generation(given) == {"do_sample": "false", "temperature": "0"}
    assert generation(None) is None and generation("") is None
    assert generation("unparsable") == "unparsable"
