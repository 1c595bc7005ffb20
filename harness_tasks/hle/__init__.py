"""Humanity's Last Exam: answers by letter are read as options, others as texts."""

from __future__ import annotations

import string
from typing import Any

from datasets import Dataset

from harness_tasks.elicitation.options import choose
from harness_tasks.one_turn import OneTurnTask

_KEPT = ["id", "question", "answer", "answer_type", "category", "image"]


class HLE(OneTurnTask):
    """Grades a letter as the option that the answer names ("D. Because", "(D)"), a text as others.

    A judge's verdicts (``grading: judge:PATH``) replace both.
    """

    def _grade(self, doc: dict[str, Any], answer: str) -> bool | None:
        if self._verdicts is None and doc["answer_type"] == "multipleChoice":
            return choose(answer, string.ascii_uppercase) == doc["answers"][0].strip().upper()
        return super()._grade(doc, answer)


def documents(rows: Dataset) -> Dataset:
    """The questions without a picture (``cais/hle``), with their one answer."""
    rows = rows.select_columns(_KEPT).filter(lambda row: not row["image"])

    def convert(row: dict[str, Any]) -> dict[str, Any]:
        return {"answers": [row["answer"]]}

    return rows.map(convert, remove_columns=["answer", "image"])
