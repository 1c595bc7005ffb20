"""SimpleQA: three grades, and a confidence only where an answer was attempted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset

from harness_tasks.elicitation.abstention import abstains
from harness_tasks.elicitation.records import Record
from harness_tasks.elicitation.stated_threshold import NOT_ATTEMPTED
from harness_tasks.task import ConfidenceTask


class SimpleQA(ConfidenceTask):
    """Grades answers as correct, incorrect or not attempted.

    An answer that was not attempted claims nothing, so it has no confidence: it is missing, with
    that reason, and counted. ``acc`` is the share of all questions that are answered correctly.
    """

    def _record(self, *args: Any) -> Record:
        record = super()._record(*args)
        if abstains(record["answer"]):
            missing = {"correct": 0, "confidence": None, "reason": NOT_ATTEMPTED}
            record.update(missing, grade=NOT_ATTEMPTED)
        else:
            record["grade"] = "correct" if record["correct"] else "incorrect"
        return record

    def _values(self, doc: dict, record: Record) -> dict[str, Any]:
        return {
            **super()._values(doc, record),
            "not_attempted": int(record["grade"] == NOT_ATTEMPTED),
            "acc_given_attempted": record["grade"],
            "f_score": record["grade"],
        }


def documents(rows: Dataset) -> Dataset:
    """Questions with their one answer."""

    def convert(row: Mapping[str, Any], number: int) -> dict[str, Any]:
        return {"id": str(number), "question": row["problem"], "answers": [row["answer"]]}

    return rows.map(convert, with_indices=True, remove_columns=rows.column_names)


def acc_given_attempted(grades: Sequence[str]) -> float:
    """Share of correct answers among the attempted ones; NaN if none was attempted."""
    attempted = [grade for grade in grades if grade != NOT_ATTEMPTED]
    return attempted.count("correct") / len(attempted) if attempted else float("nan")


def f_score(grades: Sequence[str]) -> float:
    """Harmonic mean of the share of correct answers among all and among the attempted questions.

    That is 2 correct / (questions + attempted), in [0, 1] (Wei et al. 2024).
    """
    attempted = sum(grade != NOT_ATTEMPTED for grade in grades)
    return 2 * list(grades).count("correct") / (len(grades) + attempted)
