"""The rows of all tables: entries flattened, ranked, and written as CSV, Parquet and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calib_leaderboards.labels import SANITY
from calib_leaderboards.store.entry import Entry, Metric, Score
from calib_leaderboards.store.paths import entry_path
from calib_leaderboards.store.setting import preview_note

# The metrics that come first, with what tables call them; others follow under their own names.
TITLES = {
    "ece": "ECE",
    "auroc": "AUROC",
    "brier": "Brier",
    "acc": "Accuracy",
    "answered": "Answered",
    "rms": "RMS error",
    "nll": "NLL",
}
MAIN = ("ece", "auroc", "brier", "acc")
_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}


@dataclass(frozen=True)
class TableRow:
    """One method of one entry.

    key: where the entry lies in the store, without ".json". ranks: by metric, from 1; None for rows
    that do not compete.
    """

    entry: Entry
    score: Score
    key: str
    ranks: dict[str, int | None] = field(default_factory=dict, compare=False)

    @property
    def sanity(self) -> bool:
        """Whether the row is there to be beaten rather than to compete."""
        return self.score.method in SANITY

    @property
    def adapter(self) -> str:
        """The adapter's name, or "" without one."""
        adapter = self.entry.model.adapter
        return adapter.name if adapter else ""

    @property
    def group(self) -> tuple[str, str, str]:
        """What rows share that may be ranked against each other: task, version and questions.

        The questions of a stock task are those of its split: some of them shuffle their options, so
        that the fingerprint differs from run to run.
        """
        task = self.entry.task
        data = task.split if task.source == "lm_eval" else self.entry.provenance.data_fingerprint
        return task.name, task.version, data or ""


def table_rows(entries: Iterable[Entry]) -> list[TableRow]:
    """Every method of every entry as a row, with its ranks, in the order of task, model, setting.

    The rank of a row under a metric is 1 plus the number of rows whose whole 95 % interval is
    better than this row's interval. Rows whose intervals overlap are thus not put in an order that
    the data do not support; several rows can share a rank. Rows are ranked against those with the
    same task, task version and questions. Sanity rows, and rows without an interval, have no rank.
    """
    rows = [
        TableRow(entry, score, str(entry_path(entry).with_suffix("")))
        for entry in entries
        for score in entry.scores
    ]
    rows.sort(key=lambda row: (row.group, row.key))
    groups: dict[tuple[str, str, str], list[TableRow]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    for members in groups.values():
        for name in {name for row in members for name in row.score.metrics}:
            _rank(members, name)
    return rows


def _rank(rows: Sequence[TableRow], name: str) -> None:
    ranked = []
    for row in rows:
        metric = row.score.metrics.get(name)
        row.ranks[name] = None
        if metric and not row.sanity and None not in (metric.low, metric.high):
            if metric.higher_is_better is not None:
                ranked.append((row, metric))
    if not ranked:
        return
    sign = 1 if ranked[0][1].higher_is_better else -1
    # With the sign, more is better for all metrics.
    bounds = np.sort(np.array([(sign * m.low, sign * m.high) for _, m in ranked]), axis=1)
    lows = np.sort(bounds[:, 0])
    places = 1 + len(lows) - np.searchsorted(lows, bounds[:, 1], side="right")
    for (row, _), place in zip(ranked, places.tolist()):
        row.ranks[name] = place


def by_task(rows: Iterable[TableRow]) -> dict[tuple[str, str, str], list[TableRow]]:
    """The rows of each task, version and set of questions: tasks with confidences first, then those
    with many rows."""
    tables: dict[tuple[str, str, str], list[TableRow]] = {}
    for row in rows:
        tables.setdefault(row.group, []).append(row)

    def place(group: tuple[str, str, str]) -> tuple[bool, int]:
        members = tables[group]
        return not any("ece" in row.score.metrics for row in members), -len(members)

    return {group: tables[group] for group in sorted(tables, key=place)}


def preview(rows: Iterable[TableRow]) -> str:
    """A sentence about those rows that are of a part of the questions; "" if none is."""
    notes = {preview_note(row.entry.setting) for row in rows} - {""}
    return "; ".join(sorted(notes))


def notes(rows: Iterable[TableRow]) -> list[str]:
    """The notes that were added with the rows' runs, each once."""
    return sorted({row.entry.provenance.note for row in rows} - {None})


def metric_names(rows: Iterable[TableRow]) -> list[str]:
    """All metrics of the rows: those with a title first, the others by name."""
    names = {name for row in rows for name in row.score.metrics}
    return [*(name for name in TITLES if name in names), *sorted(names - TITLES.keys())]


def main_metric(rows: Sequence[TableRow]) -> str:
    """The metric that a table is ordered by: the first of `metric_names`."""
    return metric_names(rows)[0]


def best_first(rows: Sequence[TableRow], name: str) -> list[TableRow]:
    """Rows ordered by a metric, those that do not compete and those without it last."""

    def place(row: TableRow) -> tuple[Any, ...]:
        metric = row.score.metrics.get(name)
        value = metric.value if metric else None
        signed = 0.0 if value is None else -value if metric.higher_is_better else value
        return row.sanity, value is None, signed, row.key, row.score.method

    return sorted(rows, key=place)


def heading(name: str, higher_is_better: bool | None) -> str:
    """What a table calls a metric, with the direction that is better.

    >>> heading("ece", False)
    'ECE ↓'
    """
    arrow = {True: " ↑", False: " ↓", None: ""}[higher_is_better]
    return TITLES.get(name, name) + arrow


def direction(rows: Iterable[TableRow], name: str) -> bool | None:
    """Whether a higher value of a metric is better, as the rows say."""
    for row in rows:
        if name in row.score.metrics:
            return row.score.metrics[name].higher_is_better
    return None


def number(value: float | None) -> str:
    """A score with three decimals, or four significant digits where it is large."""
    if value is None:
        return "undefined"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.4g}"


def interval(metric: Metric) -> str:
    """ "0.041–0.084", or "" without an interval."""
    if metric.low is None or metric.high is None:
        return ""
    return f"{number(metric.low)}–{number(metric.high)}"


COLUMNS = (
    "model", "revision", "parameters", "dtype", "adapter", "adapter_use", "adapter_sha256", "task",
    "task_version", "task_source", "split", "setting", "num_fewshot", "chat_template",
    "system_prompt", "answers", "method", "label", "elicitation", "sanity", "metric", "value",
    "low", "high", "stderr", "higher_is_better", "rank", "n", "n_missing", "signature", "date",
    "data_fingerprint", "prompts_sha256", "samples_sha256", "entry",
)


def flat(rows: Iterable[TableRow]) -> list[tuple[Any, ...]]:
    """One tuple of `COLUMNS` for each row and metric; what is unknown is None."""
    lines = []
    for row in rows:
        entry, score = row.entry, row.score
        model, task, setting, origin = entry.model, entry.task, entry.setting, entry.provenance
        adapter = model.adapter
        before = (
            model.name, model.revision, model.parameters, model.dtype,
            *((adapter.name, adapter.use, adapter.sha256) if adapter else (None, None, None)),
            task.name, task.version, task.source, task.split, setting.slug, setting.num_fewshot,
            setting.chat_template, setting.system_prompt, setting.answers, score.method,
            score.label, score.elicitation, row.sanity,
        )
        after = (
            origin.date, origin.data_fingerprint, origin.prompts_sha256, origin.samples.sha256,
            row.key,
        )
        for name, m in score.metrics.items():
            lines.append((
                *before, name, m.value, m.low, m.high, m.stderr, m.higher_is_better,
                row.ranks.get(name), score.n, score.n_missing, m.signature, *after,
            ))
    return lines


def to_csv(lines: Iterable[Sequence[Any]]) -> bytes:
    """CSV in UTF-8 with a heading; unknown values are empty, truth values are true and false."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        [str(value).lower() if isinstance(value, bool) else _cell(value) for value in line]
        for line in lines
    )
    return text.getvalue().encode("utf-8")


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def to_parquet(lines: Sequence[Sequence[Any]]) -> bytes:
    """The same table as a Parquet file, with types."""
    import pyarrow
    from pyarrow import parquet

    kinds = {
        **dict.fromkeys(("value", "low", "high", "stderr"), pyarrow.float64()),
        **dict.fromkeys(("parameters", "num_fewshot", "rank", "n", "n_missing"), pyarrow.int64()),
        **dict.fromkeys(
            ("chat_template", "system_prompt", "sanity", "higher_is_better"), pyarrow.bool_()
        ),
    }
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in COLUMNS])
    columns = list(zip(*lines)) or [()] * len(COLUMNS)
    arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, schema)]
    buffer = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(arrays, schema=schema), buffer, compression="zstd")
    return buffer.getvalue().to_pybytes()


def to_latex(rows: Sequence[TableRow], limit: int) -> bytes:
    """A booktabs table per task, best first, of at most `limit` rows each."""
    parts = ["% Made by `calibench leaderboard build`. Needs \\usepackage{booktabs}."]
    for (task, version, _), members in by_task(rows).items():
        known = metric_names(members)
        names = [name for name in known if name in MAIN] or known[:4]
        head = [_tex(heading(name, direction(members, name))) for name in names]
        lines = []
        for row in best_first(members, main_metric(members))[:limit]:
            first = [row.entry.model.name, row.adapter, row.score.label, row.entry.setting.slug]
            cells = [_tex(cell) for cell in first]
            cells += [_tex_score(row.score.metrics.get(name)) for name in names]
            lines.append("    " + " & ".join([*cells, f"{row.score.n:,}"]) + r" \\")
        shape = "llll" + "r" * (len(names) + 1)
        note = f"; {preview(members)}" if preview(members) else ""
        top = " & ".join(["Model", "Adapter", "Method", "Setting", *head, "$n$"])
        parts.append("\n".join([
            r"\begin{table}", r"  \centering", r"  \small",
            rf"  \caption{{{_tex(task)} (version {_tex(version)}{note}); "
            r"95\,\% intervals in brackets.}",
            rf"  \begin{{tabular}}{{{shape}}}", r"    \toprule", f"    {top} " + r"\\",
            r"    \midrule", *lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}",
        ]))
    return ("\n\n".join(parts) + "\n").encode("utf-8")


def _tex_score(metric: Metric | None) -> str:
    if metric is None or metric.value is None:
        return "--"
    span = interval(metric).replace("–", "--")
    return number(metric.value) + (rf" {{\scriptsize [{span}]}}" if span else "")


def _tex(text: str) -> str:
    plain = re.sub(r"[\x00-\x1f\x7f]+", " ", text)
    escaped = "".join(_TEX.get(letter, letter) for letter in plain)
    return escaped.replace("↑", r"$\uparrow$").replace("↓", r"$\downarrow$")
