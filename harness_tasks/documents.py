"""Rows of the public data sets as documents with one schema.

A document has an ``id``, a ``question`` and the fields of its form: ``choices`` (texts) and
``gold`` (index of the right one) for multiple choice, ``answers`` (accepted texts, the first one
shown in few-shot examples) for open-ended questions. Each function here is a ``process_docs`` of
lm-eval.

Where a data set always puts the right option in the same place, the options are shuffled by a hash
of the question, so that the position reveals nothing and every run sees the same order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import Dataset

Row = Mapping[str, Any]


def mmlu(rows: Dataset) -> Dataset:
    """MMLU (``cais/mmlu``), both forms."""

    def convert(row: Row) -> dict[str, Any]:
        document = _options(row["question"].strip(), row["choices"], row["answer"])
        return {"subject": row["subject"].replace("_", " "), **document}

    return _documents(rows, convert)


def mmlu_shuffled(rows: Dataset) -> Dataset:
    """MMLU's configuration ``all``, shuffled.

    The original is sorted by subject; after shuffling the first n questions sample all subjects.
    """
    return mmlu(rows).shuffle(seed=0)


def openbookqa(rows: Dataset) -> Dataset:
    """OpenBookQA (``allenai/openbookqa``, ``main``), both forms."""
    return _documents(rows, lambda row: _labelled(row, row["question_stem"]))


def labelled_choices(rows: Dataset) -> Dataset:
    """ARC (``allenai/ai2_arc``) and CommonsenseQA (``tau/commonsense_qa``), both forms."""
    return _documents(rows, lambda row: _labelled(row, row["question"].strip()))


def boolq(rows: Dataset) -> Dataset:
    """BoolQ (``aps/super_glue``, ``boolq``): yes or no, with the passage."""
    return _documents(
        rows,
        lambda row: {
            "id": str(row["idx"]),
            "passage": row["passage"],
            **_options(row["question"], ["no", "yes"], row["label"]),
        },
    )


def piqa(rows: Dataset) -> Dataset:
    """PIQA (``baber/piqa``): which of two ways reaches the goal."""
    return _documents(
        rows, lambda row: _options(row["goal"], [row["sol1"], row["sol2"]], row["label"])
    )


def siqa(rows: Dataset) -> Dataset:
    """Social IQa (``lighteval/siqa``): a situation, and a question about the people in it."""

    def convert(row: Row) -> dict[str, Any]:
        choices = [row["answerA"], row["answerB"], row["answerC"]]
        return _options(f"{row['context']} {row['question']}", choices, int(row["label"]) - 1)

    return _documents(rows, convert)


def winogrande(rows: Dataset) -> Dataset:
    """WinoGrande (``allenai/winogrande``), both forms: what stands in the blank."""

    def convert(row: Row) -> dict[str, Any]:
        question = f"What does the blank (_) stand for? {row['sentence']}"
        gold = int(row["answer"]) - 1 if row["answer"] else None
        return _options(question, [row["option1"], row["option2"]], gold)

    return _documents(rows, convert)


def sciq(rows: Dataset) -> Dataset:
    """SciQ (``allenai/sciq``) without its support text, both forms; options shuffled."""
    wrong = ("distractor1", "distractor2", "distractor3")
    return _documents(
        rows,
        lambda row: _shuffled(
            row["question"], row["correct_answer"], [row[name] for name in wrong]
        ),
    )


def truthfulqa_mc(rows: Dataset) -> Dataset:
    """TruthfulQA (``multiple_choice``): the options of MC1, shuffled (the first one is right)."""

    def convert(row: Row) -> dict[str, Any]:
        right, *wrong = row["mc1_targets"]["choices"]
        return _shuffled(row["question"], right, wrong)

    return _documents(rows, convert)


def truthfulqa(rows: Dataset) -> Dataset:
    """TruthfulQA (``generation``), with the false answers, which grading needs too."""
    return _documents(
        rows,
        lambda row: {
            "question": row["question"],
            "answers": _distinct([row["best_answer"], *row["correct_answers"]]),
            "false_answers": _distinct(row["incorrect_answers"]),
        },
    )


def nq_open(rows: Dataset) -> Dataset:
    """NQ-open: questions as typed into a search engine, with a question mark added."""
    return _documents(
        rows, lambda row: {"question": row["question"] + "?", "answers": row["answer"]}
    )


def trivia_qa(rows: Dataset) -> Dataset:
    """TriviaQA (``rc.nocontext``): every alias is accepted."""

    def convert(row: Row) -> dict[str, Any]:
        answers = _distinct([row["answer"]["value"], *row["answer"]["aliases"]])
        return {"id": row["question_id"], "question": row["question"], "answers": answers}

    return _documents(rows, convert)


def hotpotqa(rows: Dataset) -> Dataset:
    """HotpotQA (``hotpotqa/hotpot_qa``) closed-book: the question without its paragraphs."""
    return _documents(
        rows,
        lambda row: {"id": row["id"], "question": row["question"], "answers": [row["answer"]]},
    )


def _documents(rows: Dataset, convert: Callable[[Row], dict[str, Any]]) -> Dataset:
    def document(row: Row, number: int) -> dict[str, Any]:
        return {"id": str(number), **convert(row)}

    return rows.map(document, with_indices=True, remove_columns=rows.column_names)


def _options(question: str, choices: Sequence[str], gold: int | None) -> dict[str, Any]:
    """Both forms of a multiple-choice question; open-ended, the right option is the answer."""
    known = gold is not None and 0 <= gold < len(choices)
    answers = [choices[gold]] if known else []
    return {"question": question, "choices": list(choices), "gold": gold, "answers": answers}


def _labelled(row: Row, question: str) -> dict[str, Any]:
    labels, label = row["choices"]["label"], row["answerKey"].strip()
    gold = labels.index(label) if label in labels else None
    return {"id": row["id"], **_options(question, row["choices"]["text"], gold)}


def _shuffled(question: str, right: str, wrong: Sequence[str]) -> dict[str, Any]:
    choices = [right, *wrong]
    order = sorted(
        range(len(choices)),
        key=lambda place: hashlib.sha256(f"{question}|{place}".encode()).hexdigest(),
    )
    return _options(question, [choices[place] for place in order], order.index(0))


def _distinct(texts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text.strip()))
