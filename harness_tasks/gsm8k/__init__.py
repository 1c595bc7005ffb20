"""GSM8K: the answer is the number at the end of the reasoning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from datasets import Dataset

from harness_tasks.elicitation import numerals
from harness_tasks.elicitation.reading import prepare
from harness_tasks.task import ConfidenceTask

_STATED = re.compile(r"####|answer is", re.IGNORECASE)
_PERCENT = re.compile(r"\s?(?:%|per ?cent\b)", re.IGNORECASE)
_RANGE = re.compile(r"\s?[-–—]\s?|\sto\s")


class GSM8K(ConfidenceTask):
    """Grade the number and ignore the reasoning before it."""

    def extract(self, text: str) -> str:
        """The number that the text gives as its answer."""
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

    It is the first number after the last "####" or "answer is", else the last number of the text,
    as ``elicitation/numerals.py`` reads it, in digits. Currency and percent signs, thousands
    separators and a fraction of zeros are dropped: "$1,234.00" is "1234". A range stays one
    ("3-4"), so that it equals no number.
    """
    *before, tail = _STATED.split(text)
    stated = _numbers(tail) if before else []
    if stated:
        return stated[0]
    return (_numbers(text) or [""])[-1]


def _numbers(text: str) -> list[str]:
    plain = prepare(_PERCENT.sub(" ", text))
    found: list[str] = []
    end = 0
    for start, number in numerals.find(plain):
        written = plain[start : number.end]
        if not re.search(r"\d", written) or number.value.endswith("th"):
            continue
        if found and _RANGE.fullmatch(plain[end:start]):
            found[-1] = f"{found[-1]}-{_digits(number.value, written)}"
        else:
            found.append(_digits(number.value, written))
        end = number.end
    return found


def _digits(value: str, written: str) -> str:
    """The value in digits, as it was written if that is a decimal, else as a fraction."""
    if "÷" not in value:
        return value
    exact = Fraction(value.replace("÷", "/"))
    marks = re.sub(r"[^\d.,]", "", written)
    for digits in (marks.replace(",", ""), marks.replace(",", ".")):
        if re.fullmatch(r"\d*\.\d+", digits) and Fraction(digits) == abs(exact):
            return f"-{digits}" if exact < 0 else digits
    return str(exact)
