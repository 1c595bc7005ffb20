"""The least work of a run, against examples worked by hand and PyTorch's count of operations."""

import json
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from least_work import least_tokens, operations, requests_of


def letters(text, **_):
    """A tokenizer whose tokens are characters."""
    return {"input_ids": [ord(letter) for letter in text]}


def test_each_token_of_each_distinct_prefix_is_read_once():
    requests = [
        ("ab", None, ["cd", "cd", "ce", ""]),  # a b c d e: five, and a head at b, c, d and e
        ("ab", "cx", []),  # a b c are known; heads at b and c, which score c and x
        ("az", "q", []),  # z: one more, with a head
    ]
    assert least_tokens(requests, letters) == ([1, 2, 3, 4, 4, 2], 5)


def test_requests_of_a_run_are_those_of_one_row_of_each_question(tmp_path):
    row = {
        "doc_id": 0,
        "arguments": {
            "gen_args_0": {"arg_0": "Q:", "arg_1": {"until": ["\n"]}},
            "gen_args_1": {"arg_0": "Q: A\nSure?", "arg_1": " Yes"},
        },
        "resps": [[" A", " B"], [["-1.5", "False"]]],
    }
    (tmp_path / "samples.jsonl").write_text(f"{json.dumps(row)}\n" * 2)  # of two methods
    assert list(requests_of(tmp_path / "samples.jsonl")) == [
        ("Q:", None, [" A", " B"]),
        ("Q: A\nSure?", " Yes", []),
    ]


def gemma(folder):
    config = Gemma3TextConfig(
        vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=6, head_dim=8,
        num_attention_heads=4, num_key_value_heads=1, sliding_window=4,
        attn_implementation="eager",
    )  # fmt: skip
    return Gemma3ForCausalLM(config)


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_operations_are_those_that_pytorch_counts(family, tiny, tmp_path):
    model = gemma(tmp_path) if family == "gemma" else AutoModelForCausalLM.from_pretrained(
        tiny, attn_implementation="eager"
    )  # fmt: skip
    cache = None
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        for token in range(6):  # one at a time, so that nothing that the mask hides is computed
            cache = model(torch.tensor([[token]]), past_key_values=cache).past_key_values
    # PyTorch counts the frequencies of the position embeddings as a product too.
    rotary = [
        counts
        for name, by_kind in counted.get_flop_counts().items()
        if name.endswith("rotary_emb")
        for counts in by_kind.values()
    ]
    assert operations(model.config, range(1, 7), 6) == counted.get_total_flops() - sum(rotary)
