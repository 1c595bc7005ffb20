"""Runs of task files over made-up rows, in the columns that each data set has on the Hub."""

import hashlib
import json
from pathlib import Path

import datasets
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

TASKS = Path(__file__).parents[2] / "harness_tasks"
N = 40


def number(*parts):
    return int(hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:8], 16)


class Hashed(LM):
    """Every reply is a function of the prompt: the same in two tasks if their prompts are."""

    def loglikelihood(self, requests):
        return [(-number(*request.args) / 2**32, False) for request in requests]

    def generate_until(self, requests):
        return [self.reply(request.args[0]) for request in requests]

    def reply(self, prompt):
        question = prompt.rstrip().splitlines()[-2] if "\n" in prompt else prompt
        return (" right", " Right.", " wrong", " the right", " I don't know")[number(question) % 5]

    def loglikelihood_rolling(self, requests):
        raise NotImplementedError


def labelled(i, options, **columns):
    labels = "ABCDE"[:options]
    texts = [f"option {label} of {i}" for label in labels]
    return {
        "id": f"id-{i}",
        "choices": {"text": texts, "label": list(labels)},
        "answerKey": labels[number("gold", i) % options],
        **columns,
    }


def mmlu_row(i):
    return {
        "question": f" What is {i}?",
        "subject": ["anatomy", "world_religions"][i % 2],
        "choices": [f"{i} a", f"{i} b", f"{i} c", f"{i} d"],
        "answer": number(i) % 4,
    }


def truth_row(i):
    choices = [f"yes {i}", f"no {i}", f"maybe {i}"]
    return {"question": f"Is {i}?", "mc1_targets": {"choices": choices, "labels": [1, 0, 0]}}


ROWS = {
    "cais/mmlu": mmlu_row,
    "allenai/openbookqa": lambda i: labelled(i, 4, question_stem=f"Stem {i} is"),
    "allenai/ai2_arc": lambda i: labelled(i, 3 + i % 3, question=f"What is {i}?"),
    "tau/commonsense_qa": lambda i: labelled(i, 5, question=f"What is {i}? "),
    "allenai/winogrande": lambda i: {
        "sentence": f"Ann met Bea {i} times, so _ smiled.",
        "option1": "Ann",
        "option2": "Bea",
        "answer": str(1 + number(i) % 2),
    },
    "aps/super_glue": lambda i: {
        "question": f"is {i} even",
        "passage": f"About {i}.",
        "idx": i,
        "label": number(i) % 2,
    },
    "baber/piqa": lambda i: {
        "goal": f"Count to {i}",
        "sol1": f"Aloud {i}.",
        "sol2": f"Silently {i}.",
        "label": number(i) % 2,
    },
    "lighteval/siqa": lambda i: {
        "context": f"Ann met Bea {i} times.",
        "question": "Why?",
        **{f"answer{letter}": f"because {letter} {i}" for letter in "ABC"},
        "label": str(1 + number(i) % 3),
    },
    "allenai/sciq": lambda i: {
        "question": f"What is {i}?",
        "correct_answer": f"right {i}",
        "support": "",
        **{f"distractor{k}": f"wrong {k} {i}" for k in (1, 2, 3)},
    },
    "google-research-datasets/nq_open": lambda i: {
        "question": f"what is {i}",
        "answer": ["right", f"correct {i}"],
    },
    "mandarjoshi/trivia_qa": lambda i: {
        "question": f"What is {i}?",
        "question_id": f"q{i}",
        "answer": {"value": "right", "aliases": ["right", f"correct {i}"]},
    },
    "hotpotqa/hotpot_qa": lambda i: {
        "id": f"h{i}",
        "question": f"What is {i}?",
        "answer": "right",
        "context": {"title": ["t"], "sentences": [["long"]]},
    },
    "truthfulqa/truthful_qa": lambda i: {
        **truth_row(i),
        "best_answer": "It is right.",
        "correct_answers": ["Right.", "It is right."],
        "incorrect_answers": ["It is wrong."],
    },
    "openai/gsm8k": lambda i: {
        "question": f"Add {i} and 1,000.",
        "answer": f"It is <<1000+{i}>>.\n#### {1000 + i:,}",
    },
    "lighteval/SimpleQA": lambda i: {"problem": f"What is {i}?", "answer": "right"},
    "yinzhangyue/SelfAware": lambda i: {
        "question_id": i,
        "question": f"What is {i}?",
        "answerable": i % 2 == 0,
        "answer": ["right"] if i % 2 == 0 else None,
    },
}
SPLITS = ("train", "validation", "test", "dev")


def made_up(path, name=None, **_):
    """Instead of `datasets.load_dataset`: rows of the data set asked for."""
    rows = [ROWS[path](i) for i in range(N)]
    if path == "cais/mmlu" and name != "all":
        rows = [row for row in rows if row["subject"] == name]
    return datasets.DatasetDict({s: datasets.Dataset.from_list(rows) for s in SPLITS})


def run(*tasks, include, model=None, metadata=None, limit=N, **options):
    include = [str(path) for path in (include if isinstance(include, list) else [include])]
    manager = TaskManager(
        include_path=include, include_defaults=False, metadata={"k": 2, **(metadata or {})}
    )
    return simple_evaluate(
        model=model or Hashed(),
        tasks=list(tasks),
        task_manager=manager,
        limit=limit,
        log_samples=True,
        bootstrap_iters=0,
        **options,
    )


def records(results, task, method):
    return [row["filtered_resps"][0] for row in results["samples"][task] if row["filter"] == method]


def write_samples(results, task, folder):
    file = folder / f"samples_{task}_2026-01-01T00-00-00.000000.jsonl"
    rows = []
    for row in results["samples"][task]:
        responses = [str(response) for response in row["filtered_resps"]]  # as lm-eval logs them
        rows.append(json.dumps({**row, "filtered_resps": responses}, default=str))
    file.write_text("\n".join(rows), encoding="utf-8")
    return file
