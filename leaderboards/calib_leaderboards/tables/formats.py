"""All rows as one table, in CSV too, and the tables of tasks in LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from calib_leaderboards.tables.row import Cell, EntryRow, TableRow
from calib_leaderboards.tables.rows import by_group, metric_names
from calib_leaderboards.tables.table import Table
from calib_leaderboards.tables.words import MAIN, interval, number

_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
COLUMNS = (
    "model",
    "revision",
    "parameters",
    "dtype",
    "adapter",
    "adapter_use",
    "adapter_sha256",
    "task",
    "task_version",
    "task_source",
    "split",
    "setting",
    "default_setting",
    "num_fewshot",
    "chat_template",
    "system_prompt",
    "answers",
    "method",
    "label",
    "elicitation",
    "sanity",
    "metric",
    "value",
    "low",
    "high",
    "stderr",
    "higher_is_better",
    "rank",
    "n",
    "n_missing",
    "signature",
    "date",
    "data_fingerprint",
    "prompts_sha256",
    "samples_sha256",
    "entry",
)
MAIN_PLACE, RANK_PLACE = COLUMNS.index("default_setting"), COLUMNS.index("rank")
_METRIC, _AFTER = COLUMNS.index("metric"), COLUMNS.index("date")
_MAIN_MARK, _RANK_MARK = b"\x01", b"\x02"  # which `_cell` lets through in no text


def flat(rows: Iterable[EntryRow]) -> list[tuple[Any, ...]]:
    """One tuple of `COLUMNS` for each row and metric; unknown values are None.

    A row's rank is given with the metric that its table is ranked by.
    """
    rows = list(rows)
    ranked_by = {group: metric_names(members)[0] for group, members in by_group(rows).items()}
    return [line for row in rows for line in row_lines(row, ranked_by[row.group])]


def row_lines(row: EntryRow, ranked_by: str) -> list[tuple[Any, ...]]:
    """The tuples of `flat` of one row. ranked_by: the metric that shows the rank."""
    entry, score = row.entry, row.score
    model, task, setting, origin = entry.model, entry.task, entry.setting, entry.provenance
    adapter = model.adapter
    before = (
        model.name,
        model.revision,
        model.parameters,
        model.dtype,
        *((adapter.name, adapter.use, adapter.sha256) if adapter else (None, None, None)),
        task.name,
        task.version,
        task.source,
        task.split,
        setting.slug,
        row.main,
        setting.num_fewshot,
        setting.chat_template,
        setting.system_prompt,
        setting.answers,
        score.method,
        score.label,
        score.elicitation,
        row.sanity,
    )
    after = (
        origin.date,
        origin.data_fingerprint,
        origin.prompts_sha256,
        origin.samples.sha256,
        row.key,
    )
    return [
        (
            *before,
            name,
            m.value,
            m.low,
            m.high,
            m.stderr,
            m.higher_is_better,
            row.rank if name == ranked_by else None,
            score.n,
            score.n_missing,
            m.signature,
            *after,
        )
        for name, m in score.metrics.items()
    ]


def csv_heading() -> bytes:
    """The first line of a CSV."""
    return (",".join(COLUMNS) + "\n").encode("utf-8")


def csv_lines(lines: Iterable[Sequence[Any]]) -> bytes:
    """CSV in UTF-8 without its heading; unknown values are empty, truth values true and false."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(
        [_cell(value) if isinstance(value, (str, bool)) else value for value in line]
        for line in lines
    )
    return text.getvalue().encode("utf-8")


def csv_kept(lines: Sequence[Sequence[Any]]) -> bytes:
    """The CSV of the lines of one row, with marks for what depends on other rows."""
    row = lines[0]
    parts = [row[:MAIN_PLACE], row[MAIN_PLACE + 1 : _METRIC], row[_AFTER:]]
    for line in lines:
        parts += [line[_METRIC:RANK_PLACE], line[RANK_PLACE + 1 : _AFTER]]
    before, between, after, *own = csv_lines(parts).splitlines()  # a cell is on one line
    return b"".join(
        b"%s,%s,%s,%s,%s,%s,%s\n" % (before, _MAIN_MARK, between, score, _RANK_MARK, counts, after)
        for score, counts in zip(own[::2], own[1::2], strict=True)
    )


def csv_filled(kept: bytes | memoryview, main: bool, rank: int | None, place: int) -> bytes:
    """The lines that `csv_kept` kept of a row. place: of the line that shows the rank."""
    lines = bytes(kept).replace(_MAIN_MARK, b"true" if main else b"false").split(_RANK_MARK)
    if rank is not None:
        lines[place] += b"%d" % rank
    return b"".join(lines)


@lru_cache(maxsize=2**16)  # most texts come again in the next line
def _cell(value: str | bool) -> str:
    """Text on one line; what a spreadsheet would run as a formula has an apostrophe before it."""
    if isinstance(value, bool):
        return str(value).lower()
    line = _CONTROL.sub(" ", value)
    return f"'{line}" if line.lstrip().startswith(("=", "+", "-", "@")) else line


def to_latex(tables: Iterable[str]) -> bytes:
    """A file of tables, as `latex_table` makes them."""
    note = "% Made by `calibench leaderboard build`. Needs \\usepackage{booktabs}."
    return ("\n\n".join([note, *tables]) + "\n").encode("utf-8")


def latex_table(table: Table[TableRow], limit: int) -> str:
    """A booktabs table of a task in its default setting, best first, of at most `limit` rows."""
    (task, version, _), known = table.group, table.metrics
    names = [name for name in known if name in MAIN] or known[:4]
    head = [_tex(text) for text in table.head(names)]
    lines = []
    for row in table.best_first[:limit]:
        first = [row.model, row.adapter, row.label, row.setting]
        cells = [_tex(cell) for cell in first]
        cells += [_tex_score(row.metrics.get(name)) for name in names]
        lines.append("    " + " & ".join([*cells, f"{row.n:,}"]) + r" \\")
    shape = "llll" + "r" * (len(names) + 1)
    note = f"; {table.preview}" if table.preview else ""
    top = " & ".join(["Model", "Adapter", "Method", "Setting", *head, "$n$"])
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            r"  \small",
            rf"  \caption{{{_tex(task)} (version {_tex(version)}{note}); "
            r"95\,\% intervals in brackets.}",
            rf"  \begin{{tabular}}{{{shape}}}",
            r"    \toprule",
            f"    {top} " + r"\\",
            r"    \midrule",
            *lines,
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )


def _tex_score(metric: Cell | None) -> str:
    if metric is None or metric.value is None:
        return "--"
    span = interval(metric).replace("–", "--")
    text = number(metric.value) + (rf" {{\scriptsize [{span}]}}" if span else "")
    return text.replace("−", "$-$")


def _tex(text: str) -> str:
    escaped = "".join(_TEX.get(letter, letter) for letter in _CONTROL.sub(" ", text))
    return escaped.replace("↑", r"$\uparrow$").replace("↓", r"$\downarrow$")
