"""A judge's verdicts, read back from the log of its run to grade the answers it was asked about."""

from __future__ import annotations

import json
from collections.abc import Mapping

from harness_tasks.elicitation.frozen import find_log

Verdicts = Mapping[tuple[str, str], bool | None]


def read_verdicts(path: str) -> dict[tuple[str, str], bool | None]:
    """A judge's verdicts by (document hash, answer), from the log of its run.

    None is a verdict that could not be read: the answer stays ungraded.

    Args:
        path: ``samples_*.jsonl`` of a task such as ``calib_judge_verdict``, or a folder with one.

    Raises:
        FileNotFoundError: there is no such log.
        ValueError: it holds no verdicts, or two different ones on one answer; there are several.
    """
    file = find_log(path, "grading", "run calib_judge_verdict on the answers with --log_samples.")
    verdicts: dict[tuple[str, str], bool | None] = {}
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                key = row["doc"]["judged"], row["doc"]["answer"]
                given = row["judged_correct"]
            except (ValueError, KeyError, TypeError):
                raise ValueError(
                    f"grading: line {number} of {file} is not a verdict of a judge."
                ) from None
            verdict = None if given is None else bool(given)
            if verdicts.setdefault(key, verdict) != verdict:
                raise ValueError(
                    f"grading: {file} holds two different verdicts on the answer of line "
                    f"{number}."
                )
    return verdicts


def verdict_on(
    verdicts: Verdicts, document: str, answer: str, where: str
) -> bool | None:
    """The verdict on `answer` to the document of that hash; None where it could not be read.

    Raises:
        ValueError: the judge was not asked about this answer; names `where` (the question).
    """
    try:
        return verdicts[document, answer]
    except KeyError:
        raise ValueError(
            f"grading: the judge was not asked about the answer {answer!r} to {where!r}. Let it "
            f"judge this run's answers, or ask about the judged ones with the metadata key "
            f"'answers'."
        ) from None
