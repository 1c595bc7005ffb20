"""Frozen answers: the answers of an earlier run, read from its logged samples.

With them an adapter, or another model, is asked about exactly the base model's answers, so that two
runs differ only in the confidences.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lm_eval.utils import handle_non_serializable, hash_string

from harness_tasks.elicitation.logs import find_log
from harness_tasks.elicitation.records import read_log

# How the reason begins when an answer was cut, so that no method has a confidence in it.
CUT_ANSWER = "the answer is unfinished"


def doc_hash(doc: dict[str, Any]) -> str:
    """Fingerprint of a document, the same as ``doc_hash`` in lm-eval's logged samples."""
    text = json.dumps(doc, indent=2, default=handle_non_serializable, ensure_ascii=False)
    return hash_string(text)


def samples_file(path: str, task: str) -> Path:
    """The logged samples of `task` that the metadata key ``answers`` names; see `find_log`."""
    instead = f"give the file or folder of an earlier run of {task} made with --log_samples."
    return find_log(path, "answers", instead, task)


def read_answers(path: str, task: str) -> dict[str, str]:
    """Answers of an earlier run, by document hash.

    Raises:
        FileNotFoundError: no samples at `path`.
        ValueError: a line is not a sample of this task, or one document has two answers.
    """
    file = samples_file(path, task)
    answers: dict[str, str] = {}
    for sample in read_log(file, confidences=True):
        record = sample.record
        if record["task"] != task:
            raise ValueError(
                f"answers: line {sample.line} of {file} belongs to the task {record['task']!r}, "
                f"but the task asked now is {task!r}."
            )
        if answers.setdefault(sample.doc_hash, record["answer"]) != record["answer"]:
            raise ValueError(
                f"answers: {file} holds two different answers to the question of line "
                f"{sample.line}."
            )
    return answers


def cut_answers(path: str, task: str) -> dict[str, str]:
    """The incomplete answers of an earlier run: the reason for each, by document hash.

    Raises:
        FileNotFoundError, ValueError: as `read_answers`.
    """
    return {
        sample.doc_hash: sample.record["reason"]
        for sample in read_log(samples_file(path, task), confidences=True)
        if str(sample.record["reason"]).startswith(CUT_ANSWER)
    }


def check_complete(answers: dict[str, str], docs: Iterable[tuple[int, dict]], path: str) -> None:
    """Check that every document about to be asked has a frozen answer.

    Raises:
        ValueError: naming the rows (document ids of this run) that have none.
    """
    missing = [number for number, doc in docs if doc_hash(doc) not in answers]
    if missing:
        shown = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
        raise ValueError(
            f"answers: {path} has no answer to {len(missing)} of the questions asked now "
            f"(rows {shown}): the earlier run saw other questions or fewer of them. Use the same "
            f"task version, split, --limit and --samples for both runs."
        )
