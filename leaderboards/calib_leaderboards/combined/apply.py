"""Apply a fitted combination: a new run with the method `combined`, or a table with that column."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calib_leaderboards.combined.columns import (
    Columns,
    Floats,
    columns_of_logs,
    columns_of_table,
    find_column,
    logs_of_runs,
)
from calib_leaderboards.combined.run import run_files
from calib_leaderboards.labels import COMBINED
from calib_metrics.combination import Combination, load
from calib_metrics.outputs import write_atomically, write_output
from calib_metrics.tables import open_table, text_rows


def apply_fit(
    fit: Path,
    sources: Sequence[Path],
    output: Path,
    *,
    correct: str = "correct",
    id: str | None = None,
) -> list[Path]:
    """Combine the confidences of runs, or of a table, that the fit has not seen.

    Of runs, `output` becomes a folder with a run of each task, as lm-eval writes it, whose only
    method is `combined`; leaderboards and the gate read it like any other. Of a table, it becomes
    the same table with one more column. Returns the files. Raises ValueError for bad input, and for
    rows that the fit was made on.
    """
    combination = load(fit)
    if all(source.is_dir() for source in sources):
        if id is not None:
            raise ValueError("--id names a column of a table; the questions of a run have ids.")
        return _to_runs(combination, sources, output)
    if len(sources) > 1:
        raise ValueError("Give one table with a column for each method, or folders of runs.")
    return [_to_table(combination, sources[0], output, correct, id)]


def _to_runs(combination: Combination, folders: Sequence[Path], output: Path) -> list[Path]:
    made: dict[Path, bytes] = {}
    for task, logs in logs_of_runs(folders).items():
        columns = columns_of_logs(task, logs, combination.methods)
        used = [find_column(task, logs, name) for name in combination.methods]
        combined = _combine(combination, columns)
        made |= run_files(output / task, task, used, combination, columns, combined)
    return [write_atomically(path, content) for path, content in made.items()]


def _combine(combination: Combination, columns: Columns) -> Floats:
    try:
        return combination.apply(columns.confidences, rows=columns.keys)
    except ValueError as error:
        raise ValueError(f"{columns.name}: {error}") from None


def _to_table(
    combination: Combination, file: Path, output: Path, correct: str, id: str | None
) -> Path:
    columns = columns_of_table(file, combination.methods, correct=correct, id=id, by=None)
    combined = _combine(combination, columns)
    rows = text_rows(open_table(file))
    if COMBINED in rows[0]:
        raise ValueError(f"{file} has a column '{COMBINED}' already: rename it.")
    for row, value in zip(rows, combined.tolist(), strict=True):
        row[COMBINED] = value if value == value else None
    if output.suffix == ".csv":
        content = _as_csv(rows)
    elif output.suffix == ".jsonl":
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        content = "".join(lines).encode()
    else:
        raise ValueError(f"{output}: name a file that ends in .csv or .jsonl.")
    write_output(output, content)
    return output


def _as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
