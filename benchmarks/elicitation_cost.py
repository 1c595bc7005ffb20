"""What does it cost to ask for a confidence? python benchmarks/elicitation_cost.py

Asks the embedded model by every method, without and with its chat template and in the
multiple-choice form, and counts, per question: the requests that the model ran, and the tokens of
the replies it wrote, up to where they stop. Methods that read one set of samples are counted with
it in the row of the first. Prints the Markdown table of harness_tasks/README.md; k stands for the
number of samples, so that "2k" are two requests per sample.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

import torch
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

import harness_tasks
from harness_tasks.elicitation.question import Question
from harness_tasks.elicitation.registry import METHODS
from harness_tasks.elicitation.settings import UNTRAINED
from harness_tasks.embedded_models import ensure_model

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TASKS = Path(harness_tasks.__file__).parent
SAMPLED = {"sampling", "distinct_answers", "semantic_clusters", "semantic_entropy"}
PER_SAMPLE = SAMPLED | {"self_consistency"}
ANSWER = "the answer"
SETTINGS = (
    ("tokens", "calib_worldfacts", False),
    ("with a chat template", "calib_worldfacts", True),
    ("multiple choice", "calib_worldfacts_mc", False),
)
Cost = dict[str, tuple[float, float]]


class Counting(HFLM):
    """The ``hf`` back end, which remembers how many times each request ran and what it replied."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.runs: Counter[int] = Counter()
        self.tokens: Counter[int] = Counter()

    def loglikelihood(self, requests, disable_tqdm=False):
        # Not the trial whether there are log-probabilities: it belongs to no question.
        self.runs.update(id(request) for request in requests if request.doc)
        return super().loglikelihood(requests, disable_tqdm)

    def generate_until(self, requests, disable_tqdm=False):
        replies = super().generate_until(requests, disable_tqdm)
        for request, reply in zip(requests, replies, strict=True):
            self.runs[id(request)] += 1
            self.tokens[id(request)] += len(self.tok_encode(reply, add_special_tokens=False))
        return replies


def watch(made: dict[str, list[Instance]]) -> None:
    """Let every method note in `made`, under its name, the requests that it adds."""
    for name in UNTRAINED:
        method = METHODS[name]

        class Watched(method):
            """The method, with its requests noted."""

            noted = name

            def requests(self, question: Question) -> list[Instance]:
                added = super().requests(question)
                made[self.noted] += added
                return added

        METHODS[name] = Watched


def measure(model: Counting, made: dict, task: str, chat: bool, limit: int, k: int) -> Cost:
    """``(requests, tokens)`` per question, for every method and for the answer itself."""
    made.clear()
    model.runs.clear()
    model.tokens.clear()
    metadata = {"methods": list(UNTRAINED), "k": k}
    manager = TaskManager(metadata=metadata, include_defaults=False, include_path=str(TASKS))
    done = simple_evaluate(
        model=model, tasks=[task], task_manager=manager, limit=limit, apply_chat_template=chat,
        bootstrap_iters=0,
    )  # fmt: skip
    asked = done["n-samples"][task]["effective"]
    ids = {name: [id(request) for request in requests] for name, requests in made.items()}
    known = {i for listed in ids.values() for i in listed}
    ids[ANSWER] = [i for i in model.runs if i not in known]
    return {
        name: tuple(sum(count[i] for i in listed) / asked for count in (model.runs, model.tokens))
        for name, listed in ids.items()
    }


def shown(name: str, value: float, k: int) -> str:
    """`value` rounded, as a multiple of k where the method's cost grows with k."""
    if name in PER_SAMPLE and value:
        share = f"{value / k:.2g}" if value / k < 10 else f"{value / k:.0f}"
        return "k" if share == "1" else f"{share}k"
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def main() -> None:
    """Measure all settings and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=20, help="questions (default: 20)")
    parser.add_argument("--k", type=int, default=10, help="samples per question (default: 10)")
    parser.add_argument("--batch_size", type=int, default=32)
    options = parser.parse_args()
    model = Counting(
        pretrained=str(ensure_model()), dtype="bfloat16", softmax_dtype="float32", device=DEVICE,
        batch_size=options.batch_size,
    )  # fmt: skip
    made: dict[str, list[Instance]] = defaultdict(list)
    watch(made)
    costs = []
    for title, task, chat in SETTINGS:
        costs.append(measure(model, made, task, chat, options.limit, options.k))
        print(f"{title}: {costs[-1]}", file=sys.stderr, flush=True)
    titles = ["method", "requests", *(title for title, _, _ in SETTINGS)]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for name in (ANSWER, *UNTRAINED):
        cells = [shown(name, costs[0][name][0], options.k)]
        cells += [shown(name, cost[name][1], options.k) for cost in costs]
        if name in SAMPLED and not costs[0][name][0]:
            cells = ["shared"] * len(cells)
        print(f"| `{name}` | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
