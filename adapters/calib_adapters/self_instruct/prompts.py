"""What the teacher is shown, and how its replies are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness_tasks.elicitation.control_tokens import neutral

SHOWN_TASKS = 8  # per prompt, as in Wang et al. (2023): six by people, two by the teacher
SHOWN_OWN = 2
SHOWN_INSTANCES = 3
NEW_TASKS = 8  # tasks that the teacher is asked for at a time

_TASKS = (
    "A list of tasks for an assistant that reads and writes text. Each task is one sentence or "
    "two, each is of another kind, and none repeats another."
)
_INSTANCES = (
    "Tasks with what they are about, the input, and the right answer, the output. Where a task "
    "says everything itself, the input is none."
)
_END = "###"
_NONE = re.compile(r"\W*(?:none|n/a|no input)\W*", re.IGNORECASE)


@dataclass(frozen=True)
class Example:
    """A task with an answer, by a person or by the teacher; `id` names it in the provenance."""

    id: str
    instruction: str
    input: str
    output: str


def tasks_prompt(examples: Sequence[Example]) -> tuple[str, list[str]]:
    """A prompt that the teacher continues with new tasks, and the strings at which it stops."""
    listed = [f"Task {n}: {one_line(e.instruction)}" for n, e in enumerate(examples, start=1)]
    prompt = "\n".join([_TASKS, "", *listed, f"Task {len(examples) + 1}:"])
    return neutral(prompt), [f"Task {len(examples) + NEW_TASKS + 1}:"]


def read_tasks(reply: str) -> list[str]:
    """The new tasks in a reply: the first line of each, without its number."""
    parts = re.split(r"(?:^|\n)\W*Task \d+:", reply)
    lines = [next((line for line in part.splitlines() if line.strip()), "") for part in parts]
    return [task for line in lines if (task := one_line(line.strip("* ")))]  # ** is bold type


def instance_prompt(instruction: str, examples: Sequence[Example]) -> tuple[str, list[str]]:
    """A prompt that the teacher continues with input and answer, and where it stops."""
    blocks = [
        f"Task: {one_line(e.instruction)}\nInput: {e.input.strip() or 'none'}\n"
        f"Output: {e.output.strip()}\n{_END}"
        for e in examples
    ]
    prompt = "\n".join([_INSTANCES, "", *blocks, f"Task: {instruction}", "Input:"])
    return neutral(prompt), [_END, "\nTask:"]


def read_instance(reply: str) -> tuple[str, str] | None:
    """Input ("" for none) and answer in a reply, or ``None`` if the form is another."""
    given, found, answer = reply.partition("Output:")
    if not found:
        return None
    given = given.strip().removeprefix("Input:").strip()
    return ("" if _NONE.fullmatch(given) else given), answer.strip()


def one_line(text: str) -> str:
    """`text` with every run of white space as one space."""
    return " ".join(text.split())
