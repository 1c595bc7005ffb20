"""What the tests of other engines share: records of one, beside those of hf, and a server."""

import socket
import subprocess
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

TASKS = Path(__file__).parents[2] / "harness_tasks"
TASK = "calib_worldfacts"
LIMIT = 20
EXACT = ["likelihood", "zero_shot_classifier", "verbalized"]
NEAR = 1e-4  # in float32, between engines whose kernels add in another order

with_vllm = pytest.mark.skipif(
    find_spec("vllm") is None, reason="vllm is not installed; `make engines` installs and tests it"
)


def ask(model, options=None, *, limit=LIMIT, shots=None, chat=False, batch_size=None, **metadata):
    """The records of `calib_worldfacts`, by method and row; `model` is a name or a model."""
    metadata = {"methods": EXACT, **metadata}
    manager = TaskManager(include_path=str(TASKS), include_defaults=False, metadata=metadata)
    results = simple_evaluate(
        model=model, model_args=options, tasks=[TASK], task_manager=manager, limit=limit,
        num_fewshot=shots, apply_chat_template=chat, log_samples=True, bootstrap_iters=0,
        batch_size=batch_size, device="cpu" if model == "hf" else None,
    )  # fmt: skip
    found = {}
    for row in results["samples"][TASK]:
        found.setdefault(row["filter"], {})[row["doc_id"]] = row["filtered_resps"][0]
    return results, found


def largest_differences(found, others):
    """By method, the largest difference of two confidences; answers and what is missing agree."""
    assert found.keys() == others.keys()
    differences = {}
    for method, records in found.items():
        assert records.keys() == others[method].keys()
        pairs = [(record, others[method][row]) for row, record in records.items()]
        for one, other in pairs:
            assert one["answer"] == other["answer"] and one["reason"] == other["reason"]
        known = [pair for pair in pairs if pair[0]["confidence"] is not None]
        differences[method] = max(
            (abs(one["confidence"] - other["confidence"]) for one, other in known), default=0.0
        )
    return differences


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Served:
    """A server on a free port of this machine, until the block ends.

    Args:
        command: to start it; ``{port}`` in a word stands for the port.
        log: where it writes to.
        ready: path that answers once it is ready.
    """

    def __init__(self, command, log, ready="/health", seconds=900, **options):
        port = free_port()
        self.url, self.log = f"http://127.0.0.1:{port}", log
        words = [str(word).replace("{port}", str(port)) for word in command]
        self._file = log.open("w")
        self._process = subprocess.Popen(words, stdout=self._file, stderr=self._file, **options)
        self._ready, self._seconds = ready, seconds

    def __enter__(self):
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(self.url + self._ready, timeout=5)
                return self
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.5)
        self.__exit__()
        raise AssertionError(f"no server: {self.log.read_text()[-3000:]}")

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._file.close()
