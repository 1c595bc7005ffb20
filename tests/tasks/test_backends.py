"""A back end for real: the server of ``transformers serve``.

The server runs the embedded model, and lm-eval's own API clients talk to it. In float32 it must say
what the ``hf`` back end says.
"""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager
from transformers.utils.import_utils import is_serve_available

from harness_tasks.elicitation.methods.yes_no import parse_yes_no
from harness_tasks.elicitation.prompts import KNOWS, WORDINGS
from harness_tasks.elicitation.records import read_samples

TASKS = Path(__file__).parents[2] / "harness_tasks"
BIN = Path(sys.executable).parent
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
LIMIT = 3
GREEDY = ("verbalized", "cot_verbalized")
SHORT = {"reasoning_tokens": 12, "reply_tokens": 12}


def serves(test):
    """Mark a test that starts `transformers serve`: it runs every night, if that is installed."""
    needs = pytest.mark.skipif(
        not is_serve_available(),
        reason="`transformers serve` needs: pip install 'transformers[serving]' 'lm_eval[api]'",
    )
    return pytest.mark.nightly(needs(test))


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Server:
    """`transformers serve` on a free port, and what it has been asked."""

    def __init__(self, folder):
        self.folder, self.log = folder, folder.parent / "server.log"
        self.url = f"http://127.0.0.1:{free_port()}"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [BIN / "transformers", "serve", folder, "--device", "cpu", "--dtype", "float32",
                 "--host", "127.0.0.1", "--port", self.url.rsplit(":", 1)[1]],
                stdout=log, stderr=log, env=ONE_THREAD,
            )  # fmt: skip

    def wait(self, seconds=180):
        for _ in range(2 * seconds):
            try:
                return urllib.request.urlopen(f"{self.url}/health", timeout=5)
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.5)
        raise AssertionError(f"no server after {seconds} s: {self.log.read_text()}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def asked(self):
        return self.log.read_text().count('"POST /v1/')

    def model(self, chat):
        path = "chat/completions" if chat else "completions"
        options = {"model": str(self.folder), "base_url": f"{self.url}/v1/{path}"}
        return options if chat else {**options, "tokenized_requests": False}


@pytest.fixture(scope="module")
def server(tmp_path_factory, embedded_model_path):
    """The embedded model, served; with a temperature it samples, as most chat models do."""
    folder = tmp_path_factory.mktemp("served") / "model"
    folder.mkdir()
    for file in Path(embedded_model_path).iterdir():
        if file.name != "generation_config.json":
            (folder / file.name).symlink_to(file)
    kept = json.loads((Path(embedded_model_path) / "generation_config.json").read_text())
    chosen = {**kept, "do_sample": True, "_from_model_config": False}
    (folder / "generation_config.json").write_text(json.dumps(chosen))
    served = Server(folder)
    try:
        served.wait()
        yield served
    finally:
        served.stop()


def ask(model, options, task="calib_worldfacts", chat=False, limit=LIMIT, batch_size=1, **metadata):
    manager = TaskManager(include_path=str(TASKS), include_defaults=False, metadata=metadata)
    return simple_evaluate(
        model=model, model_args=options, tasks=task.split(","), task_manager=manager, limit=limit,
        num_fewshot=0, apply_chat_template=chat, log_samples=True, bootstrap_iters=0,
        batch_size=batch_size, device="cpu" if model == "hf" else None,
    )  # fmt: skip


def by_method(results):
    """Records of a run in this process, by task and method."""
    found = {}
    for task, rows in results["samples"].items():
        for row in rows:
            found.setdefault((task, row["filter"]), {})[row["doc_id"]] = row["filtered_resps"][0]
    return found


def by_method_in(folder):
    """The same for the files of a run of the command."""
    found = {}
    for file in folder.rglob("samples_*.jsonl"):
        for row, record in read_samples(file):
            found.setdefault((record["task"], row["filter"]), {})[row["doc_id"]] = record
    return found


@pytest.fixture(scope="module")
def refused(server):
    """What the chat server's user reads, and how many requests that took."""
    before = server.asked()
    with pytest.raises(NotImplementedError) as caught:
        ask(
            "local-chat-completions",
            server.model(chat=True),
            chat=True,
            k=4,
            **SHORT,
            methods=["likelihood", "zero_shot_classifier", "p_ik", "sampling", *GREEDY],
        )
    return str(caught.value), server.asked() - before


@pytest.fixture(scope="module")
def chat(server, refused, tmp_path_factory):
    """The same with the options that the sentence offers, pasted into the command."""
    sentence, _ = refused
    words = shlex.split(sentence[sentence.index("--metadata") :])
    folder = tmp_path_factory.mktemp("chat")
    options = ",".join(f"{key}={value}" for key, value in server.model(chat=True).items())
    done = subprocess.run(
        [BIN / "calibench", "eval", "--model", "local-chat-completions", "--model_args", options,
         "--tasks", "calib_worldfacts", "--limit", str(LIMIT),
         "--num_fewshot", "0", "--apply_chat_template", "--output_path", folder, "--log_samples",
         *(word.rstrip(",") for word in words[:2])],
        capture_output=True, text=True, env=ONE_THREAD,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "All 4 replies to each" not in done.stderr  # the server does sample
    return by_method_in(folder)


@serves
def test_a_chat_server_is_refused_in_one_sentence_before_it_is_asked_a_question(refused):
    sentence, requests = refused
    assert requests <= 1  # whether it gives the first token's log-probabilities: it does not
    assert "returns no log-probabilities" in sentence and '"yes_no": "sampled"' in sentence
    assert '"k": 4' in sentence and "likelihood" not in sentence.split("--metadata")[1]


@serves
def test_the_offered_options_run_and_count_the_replies(chat):
    for method, wordings in (("zero_shot_classifier", WORDINGS), ("p_ik", KNOWS)):
        records = chat["calib_worldfacts", method]
        assert len(records) == LIMIT
        for record in records.values():
            assert "|yes_no:sampled|k:4|" in record["signature"]
            assert len(record["replies"]) == 4
            votes = Counter(parse_yes_no(text, wordings["yes_no"]) for text in record["replies"])
            readable = votes[True] + votes[False]
            cut = (record["reason"] or "").startswith("the answer is unfinished")
            expected = votes[True] / readable if readable and not cut else None
            assert record["confidence"] == expected
            assert "Reply with Yes or No only." in record["query"]
            assert [message["role"] for message in json.loads(record["query"])][-1] == "user"
        assert any(record["confidence"] is not None for record in records.values())


@serves
def test_samples_of_a_chat_server_are_drawn_each_with_a_seed_of_its_own(chat):
    drawn = [record["samples"] for record in chat["calib_worldfacts", "sampling"].values()]
    assert all(len(texts) == 4 for texts in drawn)
    assert any(len(set(texts)) > 1 for texts in drawn)


@serves
def test_greedy_replies_of_a_chat_server_are_those_of_hf(chat, embedded_model_path):
    options = {"pretrained": str(embedded_model_path), "dtype": "float32"}
    local = by_method(ask("hf", options, chat=True, methods=list(GREEDY), **SHORT))
    for method in GREEDY:
        served = chat["calib_worldfacts", method]
        assert served.keys() == local["calib_worldfacts", method].keys()
        for number, record in local["calib_worldfacts", method].items():
            assert dict(record) == served[number]


@serves
def test_the_completions_of_the_server_are_those_of_hf_and_have_no_log_probabilities(
    server, embedded_model_path
):
    with pytest.raises(NotImplementedError, match=r'its reply holds none.*"yes_no": "sampled"'):
        ask("local-completions", server.model(chat=False), methods=["likelihood"])
    # The server ignores the request for log-probabilities; options cannot be ranked then.
    with pytest.raises(NotImplementedError, match="ask an open-ended task"):
        ask("local-completions", server.model(chat=False), task="calib_worldfacts_mc")
    chosen = {"methods": ["verbalized"]}
    served = by_method(ask("local-completions", server.model(chat=False), limit=2, **chosen))
    options = {"pretrained": str(embedded_model_path), "dtype": "float32"}
    assert served == by_method(ask("hf", options, limit=2, **chosen))


def test_a_server_that_refuses_log_probabilities_is_quoted(embedded_model_path):
    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(422)
            self.end_headers()
            self.wfile.write(b'{"detail": "echo is not supported"}')

        def log_message(self, *_):
            pass

    refusing = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=refusing.serve_forever, daemon=True).start()
    options = {
        "model": "any", "tokenizer": str(embedded_model_path), "max_retries": 1,
        "base_url": f"http://127.0.0.1:{refusing.server_port}/v1/completions",
    }  # fmt: skip
    try:
        with pytest.raises(NotImplementedError, match="status 422: .*echo is not supported"):
            ask("local-completions", options, methods=["zero_shot_classifier"])
    finally:
        refusing.shutdown()
        refusing.server_close()


def test_a_server_that_scores_no_token_is_found_out():
    class Echoless(LM):
        """Sums the log-probabilities of no token, as lm-eval does where `echo` is ignored."""

        def loglikelihood(self, requests):
            return [(0.0, True)] * len(requests)

        def generate_until(self, requests):
            raise AssertionError("asked although its scores mean nothing")

        loglikelihood_rolling = generate_until

    with pytest.raises(NotImplementedError, match="no log-probabilities of the prompt's own"):
        ask(Echoless(), None, methods=["likelihood"])


def test_the_readme_shows_the_commands_that_the_tests_run():
    page = (TASKS / "README.md").read_text(encoding="utf-8")
    section = page.split("\n### Back ends\n")[1].split("\n## ")[0]
    for words in (
        "transformers serve", "--model local-chat-completions", "--model local-completions",
        "tokenized_requests=False", "accelerate launch", '"do_sample": true',
    ):  # fmt: skip
        assert words in section
    assert re.search(r'"yes_no": "sampled"', section)
