"""Frozen answers: the answers of an earlier run, read from its logged samples.

With them an adapter, or another model, is asked about exactly the base model's answers, so that
two confidences differ in nothing but the confidence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lm_eval.utils import handle_non_serializable, hash_string

from harness_tasks.elicitation.records import read_samples


def doc_hash(doc: dict[str, Any]) -> str:
    """Fingerprint of a document, the same as ``doc_hash`` in lm-eval's logged samples."""
    text = json.dumps(doc, indent=2, default=handle_non_serializable, ensure_ascii=False)
    return hash_string(text)


def find_log(path: str | Path, key: str, instead: str, task: str = "") -> Path:
    """A log of lm-eval: `path` itself, or the one ``samples_*.jsonl`` below the folder `path`.

    Args:
        path: file or folder.
        key: the metadata key that names it, for errors.
        instead: what to do if there is none.
        task: only logs of this task count.

    Raises:
        FileNotFoundError: there is none.
        ValueError: there are several.
    """
    root = Path(path).expanduser()
    if root.is_file():
        return root
    pattern = f"samples_{task}_[0-9]*.jsonl" if task else "samples_*.jsonl"
    found = sorted(root.rglob(pattern))
    if not found:
        raise FileNotFoundError(f"{key}: {path} holds no {pattern.replace('[0-9]', '')}; {instead}")
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ValueError(f"{key}: {path} holds several logs ({names}). Name one file.")
    return found[0]


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
    for number, (row, record) in enumerate(read_samples(file), start=1):
        if record["task"] != task:
            raise ValueError(
                f"answers: line {number} of {file} belongs to the task {record['task']!r}, "
                f"but the task asked now is {task!r}."
            )
        if answers.setdefault(row["doc_hash"], record["answer"]) != record["answer"]:
            raise ValueError(
                f"answers: {file} holds two different answers to the question of line {number}."
            )
    return answers


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
