"""GSM8K: the answer is the number at the end of the reasoning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from datasets import Dataset

from harness_tasks.task import ConfidenceTask

_STATED = re.compile(r"####|answer is", re.IGNORECASE)
_NUMBER = re.compile(r"-?\$?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")


class GSM8K(ConfidenceTask):
    """Judges the number, whatever reasoning stands before it."""

    def extract(self, text: str) -> str:
        """The number that the text ends up with."""
        return final_number(text)


def documents(rows: Dataset) -> Dataset:
    """Questions with their number, and the reasoning that few-shot examples show."""

    def convert(row: Mapping[str, Any], number: int) -> dict[str, Any]:
        return {
            "id": str(number),
            "question": row["question"],
            "answers": [final_number(row["answer"])],
            "reasoning": row["answer"],
        }

    return rows.map(convert, with_indices=True, remove_columns=rows.column_names)


def final_number(text: str) -> str:
    """The number that `text` gives as its answer, in plain digits; "" if it has no number.

    It is the first number after the last "####" or "answer is", else the last number of the text.
    Currency signs, thousands separators and a fraction of zeros are dropped: "$1,234.00" is "1234".
    """
    *before, tail = _STATED.split(text)
    stated = _NUMBER.search(tail) if before else None
    numbers = [stated.group()] if stated else _NUMBER.findall(text)
    if not numbers:
        return ""
    plain = numbers[-1].replace(",", "").replace("$", "")
    return re.sub(r"\.0+$", "", plain)
