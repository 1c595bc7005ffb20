"""All rows as one table in CSV and Parquet, and the tables of tasks in LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from calib_leaderboards.store.entry import Metric
from calib_leaderboards.tables.row import Group, TableRow
from calib_leaderboards.tables.rows import metric_names
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


def flat(rows: Iterable[TableRow]) -> list[tuple[Any, ...]]:
    """One tuple of `COLUMNS` for each row and metric; unknown values are None.

    A row's rank is given with the metric that its table is ranked by.
    """
    rows = list(rows)
    groups: dict[Group, list[TableRow]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    ranked_by = {group: metric_names(members)[0] for group, members in groups.items()}
    lines = []
    for row in rows:
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
        for name, m in score.metrics.items():
            lines.append(
                (
                    *before,
                    name,
                    m.value,
                    m.low,
                    m.high,
                    m.stderr,
                    m.higher_is_better,
                    row.rank if name == ranked_by[row.group] else None,
                    score.n,
                    score.n_missing,
                    m.signature,
                    *after,
                )
            )
    return lines


def csv_heading() -> bytes:
    """The first line of a CSV."""
    return (",".join(COLUMNS) + "\n").encode("utf-8")


def csv_lines(lines: Iterable[Sequence[Any]]) -> bytes:
    """CSV in UTF-8 without its heading; unknown values are empty, truth values true and false."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    cell = lru_cache(maxsize=2**16)(_cell)  # most texts come again in the next line
    writer.writerows(
        [cell(value) if isinstance(value, (str, bool)) else value for value in line]
        for line in lines
    )
    return text.getvalue().encode("utf-8")


def _cell(value: str | bool) -> str:
    """Text on one line; what a spreadsheet would run as a formula has an apostrophe before it."""
    if isinstance(value, bool):
        return str(value).lower()
    line = _CONTROL.sub(" ", value)
    return f"'{line}" if line.lstrip().startswith(("=", "+", "-", "@")) else line


def to_parquet(parts: Iterable[bytes]) -> bytes:
    """A Parquet file of parts that `to_arrow` made, each a group of rows; types are kept."""
    import pyarrow
    from pyarrow import ipc, parquet

    buffer, writer = pyarrow.BufferOutputStream(), None
    for part in parts:
        table = ipc.open_file(part).read_all()
        if writer is None:  # without Arrow's own schema, by which readers would make categories
            writer = parquet.ParquetWriter(
                buffer, table.schema, compression="zstd", store_schema=False
            )
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return buffer.getvalue().to_pybytes()


def to_arrow(lines: Sequence[Sequence[Any]]) -> bytes:
    """The lines as a file of Arrow, in which each text of a column lies once."""
    import pyarrow
    from pyarrow import ipc

    kinds = {
        **dict.fromkeys(("value", "low", "high", "stderr"), pyarrow.float64()),
        **dict.fromkeys(("parameters", "num_fewshot", "rank", "n", "n_missing"), pyarrow.int64()),
        **dict.fromkeys(
            ("default_setting", "chat_template", "system_prompt", "sanity", "higher_is_better"),
            pyarrow.bool_(),
        ),
    }
    columns = list(zip(*lines, strict=True)) or [()] * len(COLUMNS)
    arrays = [
        pyarrow.array(column, kinds[name])
        if name in kinds
        else pyarrow.array(column, pyarrow.string()).dictionary_encode()
        for name, column in zip(COLUMNS, columns, strict=True)
    ]
    table, buffer = pyarrow.table(arrays, names=list(COLUMNS)), pyarrow.BufferOutputStream()
    with ipc.new_file(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue().to_pybytes()


def to_latex(tables: Iterable[str]) -> bytes:
    """A file of tables, as `latex_table` makes them."""
    note = "% Made by `calibench leaderboard build`. Needs \\usepackage{booktabs}."
    return ("\n\n".join([note, *tables]) + "\n").encode("utf-8")


def latex_table(table: Table, limit: int) -> str:
    """A booktabs table of a task in its default setting, best first, of at most `limit` rows."""
    (task, version, _), known = table.group, table.metrics
    names = [name for name in known if name in MAIN] or known[:4]
    head = [_tex(text) for text in table.head(names)]
    lines = []
    for row in table.best_first[:limit]:
        first = [row.entry.model.name, row.adapter, row.score.label, row.entry.setting.slug]
        cells = [_tex(cell) for cell in first]
        cells += [_tex_score(row.score.metrics.get(name)) for name in names]
        lines.append("    " + " & ".join([*cells, f"{row.score.n:,}"]) + r" \\")
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


def _tex_score(metric: Metric | None) -> str:
    if metric is None or metric.value is None:
        return "--"
    span = interval(metric).replace("–", "--")
    text = number(metric.value) + (rf" {{\scriptsize [{span}]}}" if span else "")
    return text.replace("−", "$-$")


def _tex(text: str) -> str:
    escaped = "".join(_TEX.get(letter, letter) for letter in _CONTROL.sub(" ", text))
    return escaped.replace("↑", r"$\uparrow$").replace("↓", r"$\downarrow$")
