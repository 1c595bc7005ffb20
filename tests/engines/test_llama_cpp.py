"""llama.cpp's own server on this machine, as the package xllamacpp starts it."""

import sys
from importlib.util import find_spec

import pytest

from harness_tasks.embedded_models.catalogue import SMOLLM2
from harness_tasks.embedded_models.fetch import fetch
from helpers.engines import Served, ask

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        find_spec("xllamacpp") is None,
        reason="xllamacpp is not installed; `make engines` installs and tests it",
    ),
]
SERVE = """
import sys, time
import xllamacpp
wanted = xllamacpp.CommonParams()
wanted.model.path, wanted.hostnames, wanted.port = sys.argv[1], ["127.0.0.1"], int(sys.argv[2])
wanted.n_ctx, wanted.n_parallel = 2048, 1
server = xllamacpp.Server(wanted)
time.sleep(100_000)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    gguf = fetch(SMOLLM2, folder / "model")
    command = [sys.executable, "-c", SERVE, gguf, "{port}"]
    with Served(command, folder / "server.log") as served:
        yield served


def test_scored_prompts_are_refused_and_first_tokens_are_offered(server, embedded_model_path):
    options = {"model": "any", "tokenizer": str(embedded_model_path), "max_retries": 1,
               "base_url": f"{server.url}/v1/completions"}  # fmt: skip
    with pytest.raises(NotImplementedError, match='no log-probabilities.*"first_token"'):
        ask("local-completions", options, limit=2)


def test_its_first_tokens_are_near_those_of_hf(server, embedded_model_path):
    # It multiplies in eight bits: the same weights give log-odds that differ by a few tenths.
    chat = {"model": "any", "base_url": f"{server.url}/v1/chat/completions", "max_retries": 1}
    wanted = {"methods": ["question_only"], "limit": 6, "chat": True}
    _, served = ask("local-chat-completions", chat, yes_no="first_token", **wanted)
    _, local = ask("hf", {"pretrained": str(embedded_model_path), "dtype": "float32"}, **wanted)
    pairs = [
        (record, local["question_only"][row])
        for row, record in served["question_only"].items()
        if record["confidence"] is not None
        and local["question_only"][row]["confidence"] is not None
    ]
    assert len(pairs) >= 3
    print("llama.cpp and hf:", max(abs(a["confidence"] - b["confidence"]) for a, b in pairs))
    for record, other in pairs:
        assert record["confidence"] == pytest.approx(other["confidence"], abs=0.15)
        assert 0 < record["mass"] <= 1
