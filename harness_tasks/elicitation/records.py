"""The record of one question and one method, and how to read it from lm-eval's log.

All other code (frozen answers, grading, judges, leaderboards, the gate) reads logs with this
module, so that all of it accepts and refuses the same files.
"""

from __future__ import annotations

import json
from collections import UserDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from harness_tasks.elicitation.logs import read_object, read_objects, results_of

FIELDS = ("task", "split", "id", "method", "question", "answer", "correct", "confidence", "reason")
_AGAIN = "The file was changed or damaged; run the evaluation again."


class Record(UserDict):
    """A record that survives lm-eval's log, which writes the ``str()`` of every response.

    Not a ``dict``, because for back ends that accept images, as all APIs do, lm-eval copies dicts.
    """

    def __str__(self) -> str:
        return json.dumps(self.data, ensure_ascii=False)


class Sample(NamedTuple):
    """One checked row of a log.

    Attributes:
        line: its number in the file.
        where: file and line, for errors.
        row: lm-eval's row.
        filter: lm-eval's filter, which for confidence tasks is the method.
        key: what identifies the question: its id in a confidence task, else the number of its
            document.
        record: our record; None for other tasks.
    """

    line: int
    where: str
    row: dict[str, Any]
    filter: str
    key: str
    record: dict[str, Any] | None

    @property
    def doc_hash(self) -> str:
        """lm-eval's hash of the document. Raises ValueError if the row has none."""
        if not isinstance(found := self.row.get("doc_hash"), str):
            raise ValueError(
                f"{self.where}: 'doc_hash' is {str(found)[:60]!r}, not the text that lm_eval logs "
                f"since 0.4.3; run the evaluation again."
            )
        return found


def parse_record(row: dict[str, Any]) -> dict[str, Any] | None:
    """Our record in a row of lm-eval's log, or ``None`` if the row belongs to another task."""
    try:
        record = json.loads(row["filtered_resps"][0])
        return record if all(field in record for field in FIELDS) else None
    except (KeyError, IndexError, TypeError, ValueError, RecursionError):
        return None


def read_log(
    file: Path, update: Callable[[bytes], None] | None = None, *, confidences: bool = False
) -> Iterator[Sample]:
    """Every row of a log of lm-eval, checked.

    In the records, `correct` is None, 0 or 1 (in the log it may be true or false) and `confidence`
    None or a number in [0, 1].

    Args:
        file: ``samples_*.jsonl``.
        update: is called with the bytes of every line, for a hash.
        confidences: whether all rows must hold records of a confidence task.

    Raises:
        ValueError: naming file and line, where the file is not a log of lm-eval, or a row is
            invalid: a wrong value for a score, a name or an id, or a question twice under one
            filter. At the end, if there was no row, rows of confidence tasks and others are mixed,
            or the filters of a task are not about the same questions.
    """
    seen: dict[str, dict[str, set[str]]] = {}
    rows = of_ours = 0
    for line, row in read_objects(file, update):
        where = f"'{file}', line {line}"
        record = parse_record(row)
        if record is None and confidences:
            raise ValueError(f"{where} is not a logged sample of a confidence task.")
        name = _filter(row, where)
        try:
            key = _check(row, name, record)
            of_task = seen.setdefault(record["task"] if record else "", {})
            if key in of_task.setdefault(name, set()):
                raise ValueError(f"id '{key}' appears twice under the filter '{name}'")
        except ValueError as error:
            raise ValueError(f"{where}: {error}. {_AGAIN}") from error
        of_task[name].add(key)
        rows += 1
        of_ours += record is not None
        yield Sample(line, where, row, name, key, record)
    if not rows:
        raise ValueError(f"'{file}' holds no samples; run the evaluation again.")
    if of_ours not in (0, rows):
        raise ValueError(
            f"'{file}': {rows - of_ours} of {rows} rows hold no confidence record; the file mixes "
            "logs or was changed, run the evaluation again."
        )
    for of_task in seen.values():
        _check_filters(file, of_task)


def read_samples(file: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Read the logged samples of a confidence task.

    Yields:
        ``(row, record)`` per line: lm-eval's row, and the record (see `FIELDS`; methods add more).

    Raises:
        ValueError: as `read_log`; a row is not of a confidence task; or, at the end, the results
            file beside the log says that another number of questions were asked.
    """
    keys: dict[str, set[str]] = {}
    for sample in read_log(file, confidences=True):
        keys.setdefault(sample.record["task"], set()).add(sample.key)
        yield sample.row, sample.record
    for task, of_task in keys.items():
        if (results := results_of(file, task)) is not None:
            counts = read_object(results)[0].get("n-samples")
            count = counts.get(task) if isinstance(counts, dict) else None
            asked = count.get("effective") if isinstance(count, dict) else None
            check_count(file, len(of_task), asked, results)


def check_count(log: Path, questions: int, asked: Any, results: Path) -> None:
    """Check that a log is complete.

    Args:
        log: the file, for errors.
        questions: how many it holds.
        asked: how many were asked according to the results file; anything but a number if it does
            not say.
        results: that file, for errors.

    Raises:
        ValueError: the two numbers differ.
    """
    if is_number(asked) and questions != asked:
        raise ValueError(
            f"'{log}' has samples of {questions} questions, but '{results.name}' says that "
            f"{asked} were asked; the file is cut off or from another run."
        )


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value from JSON is a number; true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _filter(row: dict[str, Any], where: str) -> Any:
    if "filter" in row:
        return row["filter"]
    if row.keys() >= {"doc_id", "doc", "resps", "filtered_resps"}:
        raise ValueError(
            f"{where} names no filter, as in logs of lm_eval 0.4.6 and older, which do not tell "
            "how a row was scored. Run the evaluation again with lm_eval 0.4.13 or newer."
        )
    raise ValueError(f"{where} is not a logged sample of lm_eval.")


def _check(row: dict[str, Any], name: Any, record: dict[str, Any] | None) -> str:
    """The key of a row's question. Raises ValueError for an invalid row."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"the filter is {_shown(name)}, not a name")
    position = row.get("doc_id")
    if isinstance(position, bool) or not isinstance(position, int) or position < 0:
        raise ValueError(f"doc_id is {_shown(position)}, not the number of a document")
    if record is None:
        return str(position)
    for field in ("task", "split", "question", "answer"):
        if not isinstance(record[field], str) or (field == "task" and not record[field]):
            raise ValueError(f"the {field} is {_shown(record[field])}, not a text")
    for field in ("reason", "signature"):  # the oldest logs have no signatures
        if record.get(field) is not None and not isinstance(record[field], str):
            raise ValueError(f"the {field} is {_shown(record[field])}, neither null nor a text")
    if record["method"] != name:
        raise ValueError(f"the method is {_shown(record['method'])}, but the filter '{name}'")
    if isinstance(record["id"], bool) or not isinstance(record["id"], (str, int)):
        raise ValueError(f"the id is {_shown(record['id'])}, neither a text nor a whole number")
    confidence, correct = record["confidence"], record["correct"]
    if confidence is not None and not (is_number(confidence) and 0 <= confidence <= 1):
        raise ValueError(
            f"the confidence is {_shown(confidence)}, neither null nor a number from 0 to 1"
        )
    if correct is not None:
        if not isinstance(correct, (bool, int, float)) or correct not in (0, 1):
            raise ValueError(f"correct is {_shown(correct)}, neither 0 nor 1")
        record["correct"] = int(correct)
    return str(record["id"])


def _check_filters(file: Path, of_task: dict[str, set[str]]) -> None:
    (first, reference), *others = of_task.items()
    for name, keys in others:
        if keys != reference:
            raise ValueError(
                f"'{file}': '{first}' and '{name}' are not about the same questions "
                f"({len(reference)} and {len(keys)}); the file is cut off, run the evaluation "
                "again."
            )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:99]}…"
