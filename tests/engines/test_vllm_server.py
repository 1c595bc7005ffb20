"""vLLM's own OpenAI-compatible server with two replicas, asked by lm-eval's API clients.

``vllm serve --data-parallel-size N`` keeps its engines, while lm-eval's ``data_parallel_size``
builds them anew for every call.
"""

import os
import re
import sys
import urllib.request
from pathlib import Path

import pytest

from helpers.engines import EXACT, NEAR, Served, ask, largest_differences, with_vllm

pytestmark = [pytest.mark.nightly, with_vllm]
SOME = 8


@pytest.fixture(scope="module")
def server(tmp_path_factory, embedded_model_path):
    command = [
        Path(sys.executable).with_name("vllm"), "serve", embedded_model_path, "--served-model-name",
        "served", "--dtype", "float32", "--max-model-len", "1024", "--enforce-eager", "--host",
        "127.0.0.1", "--port", "{port}", "--generation-config", "vllm", "--data-parallel-size", "2",
    ]  # fmt: skip
    # Left to itself, each replica binds its threads to all cores.
    settings = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    log = tmp_path_factory.mktemp("vllm") / "server.log"
    with Served(command, log, env=settings) as served:
        yield served


@pytest.fixture(scope="module")
def of_hf(embedded_model_path):
    options = {"pretrained": str(embedded_model_path), "dtype": "float32"}
    return {
        False: ask("hf", options, batch_size=SOME, limit=SOME)[1],
        True: ask("hf", options, batch_size=SOME, limit=SOME, chat=True,
                  methods=["zero_shot_classifier", "question_only"])[1],
    }  # fmt: skip


def test_its_completions_score_prompts_as_hf_does(server, of_hf, embedded_model_path):
    options = {"model": "served", "tokenizer": str(embedded_model_path),
               "tokenizer_backend": "huggingface", "num_concurrent": 4,
               "base_url": f"{server.url}/v1/completions"}  # fmt: skip
    _, records = ask("local-completions", options, limit=SOME, methods=EXACT)
    found = largest_differences(records, of_hf[False])
    print("vLLM's completions and hf:", found)
    assert found["verbalized"] == 0 and max(found.values()) < NEAR
    metrics = urllib.request.urlopen(f"{server.url}/metrics").read().decode()
    ended = re.findall(r'^vllm:request_success_total\{.*engine="(\d)".* ([1-9]\S*)$', metrics, re.M)
    print("requests by replica:", ended)
    assert {replica for replica, _ in ended} == {"0", "1"}


def test_the_first_token_of_its_chat_replies_says_what_hf_scores(server, of_hf):
    options = {"model": "served", "base_url": f"{server.url}/v1/chat/completions"}
    methods = ["zero_shot_classifier", "question_only"]
    _, records = ask("local-chat-completions", options, limit=SOME, chat=True, methods=methods,
                     yes_no="first_token")  # fmt: skip
    found = largest_differences(records, of_hf[True])
    print("vLLM's first tokens and hf's scores:", found)
    assert max(found.values()) < NEAR
    assert all(0 < each["mass"] <= 1 for rows in records.values() for each in rows.values())
