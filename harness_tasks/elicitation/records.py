"""The record of one question under one method, and how it is read back from lm-eval's log.

Everything downstream (frozen answers, grading, leaderboards) reads these records and nothing else
of the log, so this module is the one place that knows how they are stored.
"""

from __future__ import annotations

import json
from collections import UserDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FIELDS = ("task", "split", "id", "method", "question", "answer", "correct", "confidence", "reason")


class Record(UserDict):
    """A record that survives lm-eval's log, which writes the ``str()`` of every response.

    No ``dict``: of back ends that may be sent images, as all APIs, lm-eval first copies every dict.
    """

    def __str__(self) -> str:
        return json.dumps(self.data, ensure_ascii=False)


def parse_record(row: dict[str, Any]) -> dict[str, Any] | None:
    """Our record in a row of lm-eval's log, or ``None`` if the row belongs to another task."""
    try:
        record = json.loads(row["filtered_resps"][0])
        return record if all(field in record for field in FIELDS) else None
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def read_samples(file: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Read the logged samples of a confidence task.

    Yields:
        ``(row, record)`` per line: lm-eval's row, and the record (see `FIELDS`; methods add more).

    Raises:
        ValueError: a line is not JSON, or not a sample of a confidence task; names file and line.
    """
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
            except ValueError:
                raise ValueError(
                    f"line {number} of {file} is not JSON: the file is damaged or was cut off. "
                    f"Run the evaluation again with --log_samples."
                ) from None
            if (record := parse_record(row)) is None:
                raise ValueError(
                    f"line {number} of {file} is not a logged sample of a confidence task."
                )
            yield row, record
