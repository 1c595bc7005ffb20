"""llama.cpp's server: it scores no prompt, and with stock tasks nobody would notice.

It ignores ``echo`` and returns the log-probability of the token that it writes. The replies in
`llama_cpp_replies.json` are a real server's.
"""

import json
import math
import re
from pathlib import Path

import pytest

from harness_tasks.elicitation.ending import first_token
from helpers.chat_server import json_server
from helpers.transparent_model import evaluate

REAL = json.loads(
    (Path(__file__).parents[1] / "data" / "llama_cpp_replies.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(
    ("task", "method", "way_out"),
    [("calib_worldfacts", "likelihood", '"yes_no": "first_token"'),
     ("calib_worldfacts", "zero_shot_classifier", '"yes_no": "first_token"'),
     ("calib_worldfacts_mc", "likelihood", "ask an open-ended task")],
)  # fmt: skip
def test_what_it_returns_for_a_scored_prompt_ends_the_run_in_one_sentence(
    task, method, way_out, embedded_model_path
):
    with json_server(lambda asked: REAL["completions"]["replied"]) as server:
        options = {"model": "any", "tokenizer": str(embedded_model_path), "max_retries": 1,
                   "base_url": f"{server.url}/completions"}  # fmt: skip
        with pytest.raises(NotImplementedError) as caught:
            evaluate(task, "local-completions", metadata={"methods": [method]}, limit=3,
                     model_args=options)  # fmt: skip
    said = str(caught.value)
    assert (
        said.startswith(f"{task}: this back end returns no log-probabilities") and way_out in said
    )
    assert "\n" not in said and not re.search("Traceback|KeyError", said)


def test_its_chat_replies_have_the_first_tokens_log_probabilities():
    (choice,) = REAL["chat"]["replied"]["choices"]
    found = first_token(choice["logprobs"])
    assert list(found) == ["No", "Paris", "B"]
    assert sum(map(math.exp, found.values())) < 1
    (choice,) = REAL["completions"]["replied"]["choices"]
    assert first_token(choice["logprobs"]) == {" is": pytest.approx(-0.832, abs=1e-3)}
