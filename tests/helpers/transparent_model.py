"""A model whose replies can be worked out, and the two ways to run a task of ours with it."""

import json
from pathlib import Path

import yaml
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

TASKS = Path(__file__).parents[2] / "harness_tasks"


class Transparent(LM):
    """Replies with what `reply` makes of the prompt; a text costs a third of a nat per byte."""

    def __init__(self, reply=lambda prompt: prompt, logprob=lambda prompt, text: -len(text) / 3):
        super().__init__()
        self.reply, self.logprob = reply, logprob
        self.prompts = []

    def loglikelihood(self, requests):
        return [(self.logprob(*request.args), False) for request in requests]

    def generate_until(self, requests):
        self.prompts += [request.args[0] for request in requests]
        return [self.reply(request.args[0]) for request in requests]

    def loglikelihood_rolling(self, requests):
        return [-len(request.args[0].encode()) / 3 for request in requests]

    def tok_encode(self, text):
        return text.split()


def evaluate(task, model, folder=None, metadata=None, **options):
    """Results and samples of a shipped task, or of the YAMLs in `folder`."""
    manager = TaskManager(
        include_path=str(folder or TASKS), include_defaults=False, metadata=metadata
    )
    found = simple_evaluate(
        model=model, tasks=[task], task_manager=manager, bootstrap_iters=0, **options
    )
    return found["results"][task], found["samples"][task]


def on_rows(folder, yaml_file, rows, **changes):
    """A copy of a shipped task that reads `rows` ({split: list of rows}) instead of the Hub."""
    files = {}
    for split, content in rows.items():
        files[split] = str(folder / f"{split}.jsonl")
        Path(files[split]).write_text("\n".join(map(json.dumps, content)), encoding="utf-8")
    task = {
        "task": "mini",
        "include": str(TASKS / yaml_file),
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": files},
        **changes,
    }
    (folder / "mini.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    return folder
