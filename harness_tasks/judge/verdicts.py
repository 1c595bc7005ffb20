"""A judge's verdicts, read from the log of its run, to grade the answers it judged."""

from __future__ import annotations

from collections.abc import Mapping

from harness_tasks.elicitation.control_tokens import neutral
from harness_tasks.elicitation.logs import find_log
from harness_tasks.elicitation.records import read_log

Verdicts = Mapping[tuple[str, str], bool | None]


def read_verdicts(path: str) -> dict[tuple[str, str], bool | None]:
    """A judge's verdicts by (document hash, answer), from the log of its run.

    None marks an unreadable verdict: the answer stays ungraded.

    Args:
        path: ``samples_*.jsonl`` of a task such as ``calib_judge_verdict``, or a folder with one.

    Raises:
        FileNotFoundError: there is no such log.
        ValueError: it holds no verdicts, or two different ones on one answer; there are several.
    """
    file = find_log(path, "grading", "run calib_judge_verdict on the answers with --log_samples.")
    verdicts: dict[tuple[str, str], bool | None] = {}
    for sample in read_log(file):
        try:
            key = sample.row["doc"]["judged"], neutral(sample.row["doc"]["answer"])
            given = sample.row["judged_correct"]
            verdict = None if given is None else bool(given)
            known = verdicts.setdefault(key, verdict)
        except (KeyError, TypeError):
            raise ValueError(
                f"grading: line {sample.line} of {file} is not a verdict of a judge."
            ) from None
        if known != verdict:
            raise ValueError(
                f"grading: {file} holds two different verdicts on the answer of line {sample.line}."
            )
    return verdicts


def verdict_on(verdicts: Verdicts, document: str, answer: str, where: str) -> bool | None:
    """The verdict on `answer` to the document of that hash; None where it could not be read.

    Raises:
        ValueError: the judge was not asked about this answer; names `where` (the question).
    """
    try:
        return verdicts[document, neutral(answer)]  # as the judge saw it
    except KeyError:
        raise ValueError(
            f"grading: the judge was not asked about the answer {answer!r} to {where!r}. Let it "
            f"judge this run's answers, or ask about the judged ones with the metadata key "
            f"'answers'."
        ) from None
