"""What a path or standard input gives to score: tables from logs, and files for other readers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness_tasks.stock_logs import helm, inspect_ai, lm_eval
from harness_tasks.stock_logs.content import NoConfidence, Source, kind_of, logs_below
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

    A file that is no log, and a log of a Calibench task, are yielded as they are: they have
    readers of their own. method: the only one of an lm_eval log, "" for all. confidence, correct:
    names in logs of Inspect and HELM. left_out: in a folder, logs without confidences are left out
    if there are others, and this is called with a sentence about each.
    Raises ValueError as the readers do, FileNotFoundError for a folder without logs.
    """
    names = {"method": method, "confidence": confidence, "correct": correct}
    if isinstance(source, bytes) or source.is_file():
        yield source if _has_own_reader(source) else _read_table(source, **names)
        return
    if not source.is_dir():  # a pipe, which can be read only once
        yield source
        return
    tables: list[tuple[Path, LogTable]] = []
    without: list[NoConfidence] = []
    files = logs_below(source)
    for file in files:
        if _has_own_reader(file):
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


def _has_own_reader(source: Source) -> bool:
    kind = kind_of(source)
    return kind is None or (kind == "lm-eval" and lm_eval.is_ours(source))


def _read_table(source: Source, *, method: str, confidence: str, correct: str) -> LogTable:
    """Read a log of any program that `kind_of` knows. Raises ValueError as its reader does."""
    kind = kind_of(source)
    if kind == "lm-eval":
        return lm_eval.read_table(source, method)
    if kind == "inspect":
        return inspect_ai.read_table(source, confidence=confidence, correct=correct)
    return helm.read_table(source, correct=None if correct == "correct" else correct)


def by_group(tables: Sequence[tuple[Path, LogTable]]) -> list[LogTable]:
    """Return tables with the tasks of one group and one run pooled, in the order of the first."""
    runs: dict[tuple[Path, str], list[LogTable]] = {}
    for file, table in tables:
        name = table.group or table.name
        runs.setdefault((file.parent, f"{name}{_stamp(file)}"), []).append(table)
    found = []
    for members in runs.values():
        if len(members) == 1:
            found.append(members[0])
        else:
            found.append(pool(f"{members[0].group} ({len(members)} tasks)", members))
    return found


def _stamp(file: Path) -> str:
    return file.name.partition(".")[0].rpartition("_")[2]
