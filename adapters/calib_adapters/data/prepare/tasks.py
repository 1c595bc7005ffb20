"""Tasks of lm-eval as sources of rows: the prompt is the one that the harness shows, zero-shot."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager
from tqdm import tqdm

import harness_tasks
from calib_adapters.data.prepare.row import Row, Source
from harness_tasks.elicitation.compiled import compiled_once
from harness_tasks.elicitation.frozen import doc_hash
from harness_tasks.elicitation.harness import has_several_beginnings

SHARES = {"train": 0.5, "validation": 0.1, "calibration": 0.1, "test": 0.3}
FORMS = ("multiple_choice", "generate_until", "loglikelihood")
NO_ANSWER = "no answer is given"
SEVERAL = "several options are right"


class TaskLoader:
    """Finds tasks by name: ours, those of a folder, and only when needed the harness's own.

    The harness reads fifteen thousand files to know its own tasks, which takes half a minute.
    """

    def __init__(self, include_path: Path | None = None):
        ours = str(Path(harness_tasks.__file__).parent)
        self._paths = [ours] if include_path is None else [ours, str(include_path)]
        self._near = TaskManager(include_path=self._paths, include_defaults=False)
        self._all: TaskManager | None = None

    def find(self, name: str) -> list[Source] | None:
        """The task `name`, or those of the group; ``None`` if there is neither.

        Raises:
            ValueError: a task that cannot be trained on.
        """
        manager = self._near
        if name not in manager.all_tasks:
            self._all = self._all or TaskManager(include_path=self._paths)
            manager = self._all
        if name not in manager.all_tasks:
            return None
        logger = logging.getLogger("lm_eval")
        level = logger.level
        logger.setLevel(logging.ERROR)  # lm-eval's hints are about running the task
        try:
            return [task_source(task) for task in manager.load(name)["tasks"].values()]
        finally:
            logger.setLevel(level)

    @property
    def names(self) -> list[str]:
        """The names of all tasks that were read so far."""
        return (self._all or self._near).all_tasks


def task_source(task: ConfigurableTask) -> Source:
    """The rows of a task, with its own prompts and answers.

    Its test is the split that the harness scores. Training rows are those of its training split,
    or of the split called train.

    Raises:
        ValueError: the task asks in a form that does not have a single completion.
    """
    name = task.task_name
    if not isinstance(task, ConfigurableTask) or task.OUTPUT_TYPE not in FORMS:
        raise ValueError(
            f"{name} is a task of the type {getattr(task, 'OUTPUT_TYPE', type(task).__name__)!r}; "
            f"only tasks of the types {', '.join(FORMS)} have an answer to train on."
        )
    if has_several_beginnings(task):
        raise ValueError(
            f"{name} scores one ending after several beginnings, so no prompt is followed by an "
            "answer; use a task that lists its options, such as calib_winogrande_mc for "
            "winogrande."
        )
    config = task.config
    scored = config.test_split or config.validation_split
    if scored not in task.dataset:
        raise ValueError(
            f"{name} does not say in its file which split it is scored on, so training rows cannot "
            f"be told from test rows; use another task for this data."
        )
    named = {name: name for name in ("train", "validation") if name in task.dataset}
    own = {
        "train": config.training_split or named.get("train"),
        "validation": config.validation_split or named.get("validation"),
    }
    own = {r: split for r, split in own.items() if split in task.dataset and split != scored}
    dataset = {"path": config.dataset_path, "config": config.dataset_name}
    return Source(
        name=name,
        available=list(task.dataset),
        own={**own, "test": scored},
        scored=scored,
        shares=SHARES,
        read=partial(_read, task),
        facts={
            "kind": "task",
            "version": (config.metadata or {}).get("version"),
            "dataset": {key: value for key, value in dataset.items() if value},
            "scored_split": scored,
        },
    )


def _read(task: ConfigurableTask, split: str) -> tuple[list[Row], Mapping[str, int]]:
    documents: Iterable[dict[str, Any]] = task.dataset[split]
    if task.config.process_docs is not None:
        documents = task.config.process_docs(documents)
    rows, lost, ids = [], Counter(), Counter()
    shown = tqdm(documents, desc=f"{task.task_name}, {split}", unit="row", leave=False)
    with compiled_once():
        for place, doc in enumerate(shown):
            id = str(doc.get("id") or doc_hash(doc))
            ids[id] += 1
            if ids[id] > 1:
                id = f"{id}#{ids[id]}"
            row = _row(task, doc, id, place)
            if isinstance(row, Row):
                rows.append(row)
            else:
                lost[row] += 1
    return rows, lost


def _row(task: ConfigurableTask, doc: dict[str, Any], id: str, place: int) -> Row | str:
    """The row of a document, or why there is none."""
    prefix = task.doc_to_prefix(doc)
    prompt = task.fewshot_context(doc, 0, gen_prefix=prefix)
    target = task.doc_to_target(doc)
    question = doc.get("question")
    shared = {
        "id": id,
        "prompt": prompt,
        "subject": question if isinstance(question, str) and question.strip() else prompt,
        "place": place,
    }
    if not shared["subject"].strip():  # a task that scores whole texts
        shared["subject"] = str(target)
    delimiter = task.config.target_delimiter
    if task.OUTPUT_TYPE == "multiple_choice":
        labels = task.doc_to_choice(doc)
        if isinstance(target, list):
            if len(target) > 1:
                return SEVERAL
            target = target[0] if target else None
        if isinstance(target, str):
            target = labels.index(target) if target in labels else None
        if target is None or not 0 <= target < len(labels):
            return NO_ANSWER
        options = tuple(f"{delimiter}{label}" for label in labels)
        return Row(completion=options[target], options=options, **shared)
    accepted = target if isinstance(target, list) else [target]
    accepted = [str(text) for text in accepted if text is not None and str(text).strip()]
    if not accepted:
        return NO_ANSWER
    if task.OUTPUT_TYPE == "loglikelihood":  # the harness puts nothing between the two
        delimiter = ""
    elif prefix:  # as in the examples that the harness shows
        delimiter = "" if prompt[-1:].isspace() else " "
    return Row(completion=delimiter + accepted[0], answers=tuple(accepted), **shared)
