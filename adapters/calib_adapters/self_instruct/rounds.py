"""Rounds of a teacher: new tasks from examples, then an answer for each task that is kept.

A round depends on the seed, its number and the rounds before it, and is written to a log when it
is done. Reading the log back is all that resuming takes.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from calib_adapters.self_instruct.filters import Limits, Pool, instance_problem, task_problem
from calib_adapters.self_instruct.prompts import (
    SHOWN_INSTANCES,
    SHOWN_OWN,
    SHOWN_TASKS,
    Example,
    instance_prompt,
    read_instance,
    read_tasks,
    tasks_prompt,
)
from calib_adapters.self_instruct.teacher import Reply, Teacher

LOG = "rounds.jsonl"
EXAMPLE_WORDS = 120  # words of an answer that is shown with its task; longer ones fill the prompt

Round = dict[str, Any]


class Rounds:
    """What the teacher has written so far.

    Attributes:
        rows: the kept tasks with input, answer and provenance, oldest first.
        rejected: how many tasks and answers were not kept, by reason.
        number: of rounds.
    """

    def __init__(self, seeds: Sequence[Example], limits: Limits, seed: int, log: Path):
        self._limits, self._seed, self._log = limits, seed, log
        self._seeds = list(seeds)
        self._short = [e for e in seeds if len(f"{e.input} {e.output}".split()) <= EXAMPLE_WORDS]
        self._pool = Pool([example.instruction for example in seeds])
        self.rows: list[dict[str, Any]] = []
        self.rejected: Counter[str] = Counter()
        self.number = 0
        for finished in read_log(log):
            self._count(finished)

    def run(self, teacher: Teacher, prompts: int) -> int:
        """One round of `prompts` prompts for tasks; returns the number of new rows."""
        draw = random.Random(f"{self._seed}|{self.number}")
        kept, rejected = self._tasks(teacher, prompts, draw)
        rows = self._instances(teacher, kept, rejected, draw)
        tasks = [task["instruction"] for task in kept]
        finished = {"tasks": tasks, "rows": rows, "rejected": rejected}
        _append(self._log, finished)
        self._count(finished, in_pool=True)
        return len(rows)

    def _tasks(
        self, teacher: Teacher, prompts: int, draw: random.Random
    ) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
        own = [Example(r["id"], r["instruction"], r["input"], r["output"]) for r in self.rows]
        shown = []
        for _ in range(prompts):
            ours = draw.sample(own, min(SHOWN_OWN, len(own)))
            examples = draw.sample(self._seeds, SHOWN_TASKS - len(ours)) + ours
            draw.shuffle(examples)
            shown.append(examples)
        asked, stops = zip(*map(tasks_prompt, shown), strict=True)
        replies = teacher(asked, stops, self._teacher_seed(0))
        kept, rejected = [], []
        for examples, prompt, reply in zip(shown, asked, replies, strict=True):
            for text in read_tasks(reply.text):
                problem, near = task_problem(text, self._limits), None
                if problem is None:
                    near = self._pool.nearest(text, self._limits.novelty)
                    problem = None if near is None else "task too near to another"
                if problem is not None:
                    note = {} if near is None else {"rouge_l": round(near, 3)}
                    rejected.append({"task": text, "reason": problem, **note})
                    continue
                self._pool.add(text)
                ids = [example.id for example in examples]
                kept.append({"instruction": text, "examples": ids, "prompt": prompt})
        return kept, rejected

    def _instances(
        self,
        teacher: Teacher,
        tasks: Sequence[dict[str, Any]],
        rejected: list[dict[str, str]],
        draw: random.Random,
    ) -> list[dict[str, Any]]:
        if not tasks:
            return []
        shown = [draw.sample(self._short, SHOWN_INSTANCES) for _ in tasks]
        asked, stops = zip(
            *(
                instance_prompt(task["instruction"], e)
                for task, e in zip(tasks, shown, strict=True)
            ),
            strict=True,
        )
        rows = []
        replies = teacher(asked, stops, self._teacher_seed(1))
        for task, examples, prompt, reply in zip(tasks, shown, asked, replies, strict=True):
            found = self._instance(reply, [example.output.strip() for example in examples])
            if isinstance(found, str):
                rejected.append({"task": task["instruction"], "reason": found, "reply": reply.text})
                continue
            given, answer = found
            rows.append(
                {
                    "id": f"{self.number}-{len(rows)}",
                    "instruction": task["instruction"],
                    "input": given,
                    "output": answer,
                    "task_examples": task["examples"],
                    "task_prompt": task["prompt"],
                    "answer_examples": [example.id for example in examples],
                    "answer_prompt": prompt,
                    "seeds": [self._teacher_seed(0), self._teacher_seed(1)],
                }
            )
        return rows

    def _instance(self, reply: Reply, examples: Sequence[str]) -> tuple[str, str] | str:
        """Input and answer, or why they are not kept."""
        found = read_instance(reply.text)
        if found is None:
            return "answer without the form"
        if reply.finished is False:
            return "answer breaks off"
        return instance_problem(*found, self._limits, examples) or found

    def _teacher_seed(self, step: int) -> int:
        return (self._seed * 1_000_003 + 2 * self.number + step) % 2**31

    def _count(self, finished: Round, in_pool: bool = False) -> None:
        self.number += 1
        self.rows += finished["rows"]
        self.rejected.update(entry["reason"] for entry in finished["rejected"])
        if not in_pool:
            for task in finished["tasks"]:
                self._pool.add(task)


def check_seeds(seeds: Sequence[Example], source: str) -> None:
    """Raise ValueError for seeds from which no prompt can be made.

    Raises:
        ValueError: too few of them, or too few with a short answer.
    """
    short = sum(len(f"{e.input} {e.output}".split()) <= EXAMPLE_WORDS for e in seeds)
    if len(seeds) < SHOWN_TASKS or short < SHOWN_INSTANCES:
        raise ValueError(
            f"{source} has {len(seeds)} tasks, {short} of them with an input and an answer of at "
            f"most {EXAMPLE_WORDS} words; at least {SHOWN_TASKS} and {SHOWN_INSTANCES} are needed."
        )


def read_log(log: Path) -> Iterator[Round]:
    """Return the finished rounds in a log, and truncate a partial last line."""
    if not log.exists():
        return
    content = log.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(log, whole)
    for number, line in enumerate(content[:whole].splitlines(), start=1):
        try:
            yield json.loads(line)
        except ValueError:
            raise ValueError(f"{log}: line {number} is not JSON; delete the file.") from None


def _append(log: Path, finished: Round) -> None:
    with log.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(finished, ensure_ascii=False) + "\n")
        lines.flush()
        os.fsync(lines.fileno())
