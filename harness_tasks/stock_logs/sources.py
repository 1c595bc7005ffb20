"""The tables to score in a path or standard input, and files for other readers."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness_tasks.stock_logs import helm, inspect_ai, lm_eval
from harness_tasks.stock_logs.content import NoConfidence, Source, kind_of, logs_below, name_of
from harness_tasks.stock_logs.table import LogTable, pool


def find_tables(
    source: Source,
    *,
    method: str = "",
    confidence: str = "confidence",
    correct: str = "correct",
    left_out: Callable[[str], None] = warnings.warn,
) -> Iterator[Source | LogTable]:
    """Yield a table for each log, or for each group of tasks in a folder.

    A file that is not a log, and a log of a Calibench task, are yielded unchanged: they have
    readers of their own. method: the only one of an lm_eval log, "" for all. confidence, correct:
    names in logs of Inspect and HELM. left_out: in a folder, logs without confidences are left out
    if there are others, and this is called with a sentence about each. Raises ValueError as the
    readers do, FileNotFoundError for a folder without logs.
    """
    names = {"method": method, "confidence": confidence, "correct": correct}
    if isinstance(source, bytes) or source.is_file():
        yield source if _has_own_reader(source, confidence) else _read_table(source, **names)
        return
    if not source.is_dir():  # a pipe, which can be read only once
        yield source
        return
    tables: list[tuple[Path, LogTable]] = []
    without: list[NoConfidence] = []
    files = logs_below(source)
    for file in files:
        if _has_own_reader(file, confidence):
            yield file
            continue
        try:
            tables.append((file, _read_table(file, **names)))
        except NoConfidence as error:
            without.append(error)
    if len(without) == len(files):
        raise without[0]
    for each in without:
        left_out(str(each))
    yield from by_group(tables)


def _has_own_reader(source: Source, confidence: str) -> bool:
    kind = kind_of(source, confidence)
    return kind is None or (kind == "lm-eval" and lm_eval.is_ours(source))


def _read_table(source: Source, *, method: str, confidence: str, correct: str) -> LogTable:
    """Read a log of any program that `kind_of` knows. Raises ValueError as its reader does."""
    kind = kind_of(source)
    if kind == "lm-eval":
        return lm_eval.read_table(source, method)
    if kind == "inspect":
        return inspect_ai.read_table(source, confidence=confidence, correct=correct)
    if kind == "lighteval":
        raise NoConfidence(
            f"{name_of(source)} holds details of lighteval, as in the data sets of the first Open "
            "LLM Leaderboard, which are not read: make a table with a column of confidences "
            "and one of correctness, or run the task in lm_eval with --log_samples."
        )
    return helm.read_table(source, correct=None if correct == "correct" else correct)


def by_group(tables: Sequence[tuple[Path, LogTable]]) -> list[LogTable]:
    """Return tables with the tasks of one group and one run pooled, in the order of the first.

    Where several would have the same name, those of their folders and the stamps of the runs are
    added.
    """
    runs: dict[tuple[Path, str, str], list[LogTable]] = {}
    for file, table in tables:
        run = (file.parent, _stamp(file), table.group or table.name)
        runs.setdefault(run, []).append(table)
    found = []
    for members in runs.values():
        name = f"{members[0].group} ({len(members)} tasks)"
        found.append(pool(name, members) if len(members) > 1 else members[0])
    several = Counter(table.name for table in found)
    return [
        replace(table, name=f"{table.name}, {run.name} {stamp}".rstrip())
        if several[table.name] > 1
        else table
        for (run, stamp, _), table in zip(runs, found, strict=True)
    ]


def _stamp(file: Path) -> str:
    found = re.search(r"_(\d{4}-\d\d-\d\dT[\d-]+)", file.name)
    return found[1] if found else ""
