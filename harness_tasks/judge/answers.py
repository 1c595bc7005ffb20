"""The documents of the judge's tasks: answers from an earlier run or from a table.

Answers come from any task's ``samples_*.jsonl`` (made with --log_samples) or from a table with the
columns ``prompt`` and ``answer``, and perhaps ``reference`` and ``id``. Human labels come from a
table with the columns ``id`` and ``label``.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import datasets

import harness_tasks.elicitation.response_cache  # noqa: F401  (the model is in the cache's keys)
from calib_metrics.files import find_format
from harness_tasks.elicitation.control_tokens import neutral
from harness_tasks.elicitation.logs import find_log
from harness_tasks.elicitation.records import Sample, read_log
from harness_tasks.templates.table import Column, read_table, select

TABLE = (
    Column("prompt"),
    Column("answer"),
    Column("reference", kind="texts", required=False),
)


def load(
    answers: str | None = None,
    labels: str | None = None,
    kind: str = "verdict",
    criterion: str = "",
    **_: Any,
) -> dict[str, datasets.Dataset]:
    """One document per frozen answer.

    Args:
        answers: ``samples_*.jsonl``, a folder with one such file, or a table.
        labels: table of human labels, as `kind` has them: a rating from 1 to 5, or a verdict.
        kind: ``rating`` or ``verdict``.
        criterion: what a rating is about, in words, for the prompt.
        **_: further arguments from lm-eval (model arguments, the task's version).

    Returns:
        The split ``test`` with id, question, answer, references, reference (one text, for the
        prompt), criterion, label (None without one), labels_given, judged (hash of the document).
        Control tokens in what the prompt quotes are plain text; see `neutral`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: `answers` is not given, a row is unusable, or labels do not fit.
    """
    judged = _read(_required(answers, "answers"))
    given = {} if labels is None else read_labels(Path(labels), kind, [row["id"] for row in judged])
    return _split(
        {**row, "criterion": criterion, **_label(row["id"], given, labels)} for row in judged
    )


def load_pairs(
    answers: str | None = None,
    against: str | None = None,
    labels: str | None = None,
    criterion: str = "",
    **_: Any,
) -> dict[str, datasets.Dataset]:
    """Two documents per question with two answers, which differ in the order of the answers.

    Args as for `load`; `against`: the other answers. Labels are "answers", "against" or "tie". A
    document has id, question, reference, criterion, first, second (texts), order ("answers" or
    "against": whose answer comes first), label, labels_given.

    Raises:
        ValueError: as `load`, or the two do not answer the same questions.
    """
    ours = {row["id"]: row for row in _read(_required(answers, "answers"))}
    others = {row["id"]: row for row in _read(_required(against, "against"))}
    if different := sorted(ours.keys() ^ others.keys()):
        raise ValueError(
            f"{answers} and {against} do not answer the same questions; only one of them has "
            f"{', '.join(different[:5])}{', …' if len(different) > 5 else ''} "
            f"({len(different)} questions). Use the same task, split and --limit for both."
        )
    given = {} if labels is None else read_labels(Path(labels), "preference", list(ours))
    pairs = []
    for id, row in ours.items():
        shared = {key: row[key] for key in ("id", "question", "references", "reference")}
        shared |= {"criterion": criterion, **_label(id, given, labels)}
        texts = row["answer"], others[id]["answer"]
        pairs.append({**shared, "order": "answers", "first": texts[0], "second": texts[1]})
        pairs.append({**shared, "order": "against", "first": texts[1], "second": texts[0]})
    return _split(pairs)


def read_labels(file: Path, kind: str, ids: list[str]) -> dict[str, Any]:
    """Human labels by id, from a table with the columns ``id`` and ``label``.

    A rating is a whole number from 1 to 5; a verdict is 1 or 0, true or false, correct or
    incorrect; a preference is answers, against or tie.

    Raises:
        ValueError: a label is none of these, an id has two, or no id is among `ids`.
    """
    labels: dict[str, Any] = {}
    for number, row in enumerate(read_table(file), start=1):
        if missing := {"id", "label"} - row.keys():
            raise ValueError(
                f"{file}: there is no column {min(missing)!r}; labels need the columns id and "
                "label."
            )
        id, text = str(row["id"]), str(row["label"]).strip().lower()
        if text not in LABELS[kind]:
            allowed = ", ".join(LABELS[kind])
            raise ValueError(
                f"{file}, row {number}, column 'label': {row['label']!r} is none of {allowed}."
            )
        if id in labels:
            raise ValueError(f"{file}, row {number}, column 'id': {id!r} has a label already.")
        labels[id] = LABELS[kind][text]
    if not labels.keys() & set(ids):
        raise ValueError(
            f"{file}: none of its ids is among the judged answers, which have ids such as "
            f"{ids[0]!r}."
        )
    return labels


LABELS: dict[str, dict[str, Any]] = {
    "rating": {str(rating): rating for rating in range(1, 6)},
    "verdict": {
        "1": 1,
        "true": 1,
        "correct": 1,
        "yes": 1,
        "0": 0,
        "false": 0,
        "incorrect": 0,
        "no": 0,
    },
    "preference": {label: label for label in ("answers", "against", "tie")},
}


def _required(path: str | Path | None, name: str) -> Path:
    if path is None:
        raise ValueError(
            f'a judge needs answers to judge: add --metadata \'{{"{name}": "PATH"}}\' with the '
            f"samples_*.jsonl of a run made with --log_samples, or a table of prompts and answers."
        )
    return Path(path).expanduser()


def _label(id: str, given: dict[str, Any], labels: str | None) -> dict[str, Any]:
    return {"label": given.get(id), "labels_given": labels is not None}


def _split(rows: Any) -> dict[str, datasets.Dataset]:
    return {"test": datasets.Dataset.from_list(list(rows))}


def _read(path: Path) -> list[dict[str, Any]]:
    file = find_log(path, "answers", "run the task to be judged with --log_samples --output_path.")
    rows = _logged_answers(file) if find_format(file) == "lm-eval" else _read_answer_table(file)
    return [
        {
            **row,
            "question": neutral(row["question"]),
            "answer": neutral(row["answer"]),
            "reference": neutral("; ".join(row["references"])),
        }
        for row in rows
    ]


def _read_answer_table(file: Path) -> list[dict[str, Any]]:
    rows = read_table(file)
    if "answer" not in rows[0]:
        raise ValueError(
            f"answers: {file} has no column 'answer'. Name the answers to judge: --metadata "
            f'\'{{"answers": "PATH"}}\' with a samples_*.jsonl or a table of prompts and answers.'
        )
    if "references" in rows[0]:  # as in task folders that a template wrote
        rows = [{**row, "reference": row["references"]} for row in rows]
    return [
        {
            "id": row["id"],
            "question": row["prompt"],
            "answer": row["answer"],
            "references": row["reference"],
            "judged": row["id"],
        }
        for row in select(rows, TABLE, {}, file)
    ]


def _logged_answers(file: Path) -> list[dict[str, Any]]:
    """The answers in a log: one per document, whatever the number of filters or methods."""
    judged: dict[str, dict[str, Any]] = {}
    for sample in read_log(file):
        found = _logged_record(sample) if sample.record else _logged_text(sample)
        if isinstance(found, str):
            raise ValueError(f"answers: line {sample.line} of {file} {found}")
        known = judged.setdefault(sample.doc_hash, found)
        if known["answer"] != found["answer"]:
            raise ValueError(
                f"answers: {file} holds two different answers to the question of line "
                f"{sample.line}."
            )
    return list(judged.values())


def _logged_record(sample: Sample) -> dict[str, Any] | str:
    record = sample.record or {}
    if "grading:option" in (record.get("signature") or ""):
        return "belongs to a multiple-choice task, whose answers need no judge."
    return _document(sample, record["id"], record["question"], record["answer"])


def _logged_text(sample: Sample) -> dict[str, Any] | str:
    """A document from a task without our records: its first generated text is the answer."""
    row = sample.row
    try:
        answer = row["resps"][0][0]
        prompt = row["arguments"]["gen_args_0"]["arg_0"]
        given = (row["doc"].get("question"), row["doc"].get("prompt"), prompt)
    except (KeyError, IndexError, TypeError, AttributeError):
        return "is not a logged sample of lm-eval."
    if not isinstance(answer, str):
        return "holds log-probabilities, not an answer; judge a task that generates text."
    if not (questions := list(filter(_is_text, given))):
        return "holds no text as the prompt."
    return _document(
        sample, row["doc"].get("id", row.get("doc_hash")), questions[0], answer.strip()
    )


def _document(sample: Sample, id: Any, question: str, answer: str) -> dict[str, Any]:
    return {
        "id": str(id),
        "question": question,
        "answer": answer,
        "references": _references(sample.row.get("target")),
        "judged": sample.doc_hash,
    }


def _references(target: Any) -> list[str]:
    """The accepted answers; lm-eval's log has a list of texts as its Python source.

    Only literals are read from it, nothing is run. Anything but a list of texts is one answer that
    begins with a bracket, such as "[1, 2]".
    """
    texts = [target]
    if isinstance(target, str) and target.startswith("["):
        try:
            listed = ast.literal_eval(target)
        # The last two: nested too deeply.
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            listed = None
        if isinstance(listed, list) and all(isinstance(text, str) for text in listed):
            texts = listed
    elif isinstance(target, list):
        texts = target
    return [text.strip() for text in texts if _is_text(text)]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
