"""``confidences.csv``: the answers that an experiment scored, a line each."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from runner.measure import Scored

FILE = "confidences.csv"
HEAD = ("seed", "evaluation", "id", "correct", "confidence")
# By seed (None for the untrained model) and the evaluation's name.
Answers = dict[tuple[int | None, str], list[Scored]]


def write_answers(folder: Path, answers: Answers) -> Path:
    """Write them into an experiment's folder; an empty cell stands for None."""
    file = folder / FILE
    part = file.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as output:
        lines = csv.writer(output, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        lines.writerow(HEAD)
        for (seed, evaluation), rows in answers.items():
            lines.writerows([seed, evaluation, *row] for row in rows)
    os.replace(part, file)
    return file


def read_answers(folder: Path) -> Answers:
    """What `write_answers` wrote; empty if the experiment kept none.

    Raises:
        ValueError: a line is not as it was written; names file and line.
    """
    file = folder / FILE
    answers: Answers = {}
    if not file.is_file():
        return answers
    with file.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.reader(lines), start=1):
            if number == 1 and row == list(HEAD):
                continue
            try:
                seed, evaluation, name, correct, confidence = row
                scored = Scored(name, int(correct), float(confidence) if confidence else None)
                key = (int(seed) if seed else None, evaluation)
            except ValueError:
                raise ValueError(
                    f"{file}, line {number} is not {', '.join(HEAD)}; run the experiment again."
                ) from None
            answers.setdefault(key, []).append(scored)
    return answers
