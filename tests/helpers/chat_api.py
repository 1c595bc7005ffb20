"""A scripted chat API, and runs of lm-eval that ask it."""

import json
from collections import Counter
from pathlib import Path

from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

TASKS = Path(__file__).parents[2] / "harness_tasks"


class ChatApi(LM):
    """Answers with the last word of the question; every third sample is something else.

    Like a chat API it returns no log-probabilities.
    """

    def __init__(self):
        super().__init__()
        self.asked = Counter()

    def generate_until(self, requests):
        return [self.reply(*request.args) for request in requests]

    def reply(self, prompt, generation):
        sampled = bool(generation.get("do_sample"))
        self.asked[prompt, sampled] += 1
        turn = self.asked[prompt, sampled] if sampled else 1
        question = prompt.rsplit("Question: ", 1)[1].split("\n")[0]
        answer = question.split()[-1]
        if prompt.endswith("Reply with Yes or No only.\nAnswer:"):
            return [" Yes", " No, I think", " Hm", " yes."][turn % 4]
        if prompt.endswith("Likelihood:"):
            return " Very likely."
        if prompt.endswith("G1:"):
            return f" nothing\nP1: 40%\nG2: {answer}\nP2: 25%"
        if prompt.endswith("Reasoning:"):
            return " Because."
        if prompt.endswith("Probability:"):
            return " 60%" if "\nReasoning: Because.\n\n" in prompt else " 70%"
        return " something else" if sampled and turn % 3 == 0 else f" {answer}\nand more"

    def loglikelihood(self, requests):
        raise NotImplementedError("no log-probabilities here")

    def loglikelihood_rolling(self, requests):
        raise NotImplementedError


class Scoring(ChatApi):
    """The same with log-probabilities: one nat for every character."""

    def loglikelihood(self, requests):
        return [(-float(len(text)), False) for _, text in (request.args for request in requests)]


def run(model, task="calib_worldfacts", **metadata):
    manager = TaskManager(include_path=str(TASKS), include_defaults=False, metadata=metadata)
    return simple_evaluate(
        model=model,
        tasks=[task],
        task_manager=manager,
        limit=2,
        log_samples=True,
        bootstrap_iters=0,
    )


def records(results, method, task="calib_worldfacts"):
    return [row["filtered_resps"][0] for row in results["samples"][task] if row["filter"] == method]


def save(results, folder, task="calib_worldfacts"):
    """Write the samples of a run as lm-eval logs them; return the file."""
    file = folder / f"samples_{task}_2026-01-01T00-00-00.000000.jsonl"
    rows = [
        {**row, "filtered_resps": [str(response) for response in row["filtered_resps"]]}
        for row in results["samples"][task]
    ]
    file.write_text("\n".join(json.dumps(row, default=str) for row in rows), encoding="utf-8")
    return str(file)
