"""SelfAware: questions with and without an answer. Does confidence fall where none exists?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset

from harness_tasks.elicitation.abstention import abstains
from harness_tasks.elicitation.records import Record
from harness_tasks.task import ConfidenceTask

UNKNOWN = "unknown"


class SelfAware(ConfidenceTask):
    """Correct means a right answer if the question has one, and an abstention if not."""

    def _grade(self, doc: dict, answer: str) -> bool | None:
        return super()._grade(doc, answer) if doc["answerable"] else abstains(answer)

    def _values(self, doc: dict, record: Record) -> dict[str, Any]:
        abstained = int(abstains(record["answer"]))
        # An abstention claims nothing about the world: its confidence would be about the
        # abstention. These metrics measure the confidences in actual answers.
        claimed = None if abstained else record["confidence"]
        answerable = (claimed, int(doc["answerable"]))
        return {
            **super()._values(doc, record),
            "auroc_answerable": answerable,
            "auroc_answerable_stderr": answerable,
            "abstention_f1": (abstained, int(not doc["answerable"])),
            "false_abstention": (abstained, int(not doc["answerable"])),
            "missed_abstention": (abstained, int(not doc["answerable"])),
        }


def documents(rows: Dataset) -> Dataset:
    """Questions, whether they have an answer, and the answers; shuffled, as the kinds are apart."""

    def convert(row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": str(row["question_id"]),
            "question": row["question"],
            "answerable": row["answerable"],
            "answers": row["answer"] if row["answerable"] else [UNKNOWN],
        }

    return rows.map(convert, remove_columns=rows.column_names).shuffle(seed=0)


def abstention_f1(pairs: Sequence[tuple[int, int]]) -> float:
    """F1 of abstaining as a detector of questions without an answer, in [0, 1] (Yin et al. 2023).

    Args:
        pairs: whether the model abstained, and whether the question has no answer, as 0 or 1.

    Returns:
        2 hits / (abstentions + questions without an answer); NaN if there are neither.
    """
    hits = sum(abstained and unanswerable for abstained, unanswerable in pairs)
    either = sum(abstained + unanswerable for abstained, unanswerable in pairs)
    return 2 * hits / either if either else float("nan")


def false_abstention(pairs: Sequence[tuple[int, int]]) -> float:
    """Share of the questions with an answer where the model abstained, in [0, 1].

    Args:
        pairs: as in `abstention_f1`.

    Returns:
        The share; NaN if no question has an answer.
    """
    abstained = [abstained for abstained, unanswerable in pairs if not unanswerable]
    return sum(abstained) / len(abstained) if abstained else float("nan")


def missed_abstention(pairs: Sequence[tuple[int, int]]) -> float:
    """Share of the questions without an answer that the model answered all the same, in [0, 1].

    Args:
        pairs: as in `abstention_f1`.

    Returns:
        The share; NaN if all questions have an answer.
    """
    answered = [1 - abstained for abstained, unanswerable in pairs if unanswerable]
    return sum(answered) / len(answered) if answered else float("nan")
