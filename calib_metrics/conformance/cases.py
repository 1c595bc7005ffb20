"""The golden cases, and whether an answer to one is right."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

CASES_FILE = Path(__file__).with_name("cases.jsonl")
_WORDS = {"nan": math.nan, "inf": math.inf}


@dataclass(frozen=True)
class Case:
    """One question to a metric, and its answer worked out by hand.

    id, title: short names, for machines and for people. metric: what is asked for, such as "ece".
    inputs: the metric's columns (null is a missing confidence), or "batches" of them, or for
    recalibration the rows to "fit" and the confidences to "apply" it to.
    options: bins, strategy and the like. expected: a number, a list of numbers, "nan", "inf", or
    "error" where the input must be refused. also: other right answers, such as those of another
    sound convention. tolerance: absolute. why: how the expected value follows.
    """

    id: str
    metric: str
    title: str
    inputs: dict
    options: dict
    expected: float | list[float] | str
    tolerance: float
    why: str
    also: tuple = ()


def load_cases(path: Path = CASES_FILE) -> list[Case]:
    """Read the cases, one JSON object a line. Raises ValueError that names a line it cannot use."""
    names = {field.name for field in fields(Case)}
    cases = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        data = json.loads(line)
        if not names - {"also"} <= set(data) <= names:
            raise ValueError(
                f"{path.name}, line {number} has the keys {sorted(data)}: "
                f"give {sorted(names)}, of which only 'also' may be left out."
            )
        cases.append(Case(**data))
    return cases


def is_right(case: Case, outcome: dict) -> bool:
    """Return whether an outcome, {"value": number or list} or {"error": text}, answers the case."""
    accepted = [case.expected, *case.also]
    if "error" in outcome:
        return "error" in accepted
    return any(
        _close(outcome["value"], each, case.tolerance) for each in accepted if each != "error"
    )


def _close(value: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, list):
        return (
            isinstance(value, list)
            and len(value) == len(expected)
            and all(_close(v, e, tolerance) for v, e in zip(value, expected, strict=True))
        )
    if isinstance(value, list):
        return False
    value, expected = float(_WORDS.get(value, value)), float(_WORDS.get(expected, expected))
    if math.isnan(expected) or math.isnan(value):
        return math.isnan(expected) and math.isnan(value)
    return value == expected or abs(value - expected) <= tolerance
