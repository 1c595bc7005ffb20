"""The page of one model: the values of its template, as text and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from calib_leaderboards.pages import charts
from calib_leaderboards.pages.data import rank_file
from calib_leaderboards.pages.names import anchor, size_text
from calib_leaderboards.store.entry import Entry
from calib_leaderboards.store.paths import entry_key
from calib_leaderboards.tables.row import EntryRow, TableRow
from calib_leaderboards.tables.rows import Row, best_first, direction, metric_names
from calib_leaderboards.tables.table import Table
from calib_leaderboards.tables.words import MAIN, heading, interval, number

_MOST_BARS = 16
_MOST_OPEN = 3  # a page with at most this many entries begins unfolded
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def model_page(tables: Sequence[Table[EntryRow]]) -> dict[str, Any]:
    """The values of model.html for the tables of one model."""
    rows = [row for table in tables for row in table.rows]
    models = [row.entry.model for row in rows]
    name = models[0].name
    facts = {
        "{} parameters": {size_text(model.parameters) for model in models if not model.adapter},
        "{}": {model.dtype or "" for model in models},
        "revision {}": {model.revision or "" for model in models},
    }
    return {
        "name": name,
        "ranks": rank_file(name),
        "facts": [
            text.format(", ".join(sorted(filter(None, values))))
            for text, values in facts.items()
            if any(values)
        ],
        "folded": len({row.key for row in rows}) > _MOST_OPEN,
        "hub": f"https://huggingface.co/{name}" if _HUB_NAME.fullmatch(name) else None,
        "tables": [_table(table) for table in tables],
    }


def bar_rows(rows: Sequence[Row]) -> tuple[list[tuple[str, str]], list[Row]]:
    """The rows that a figure about one task compares, and two texts for each.

    The texts: the label of its method, and which of the figure's models and adapters it has ("" if
    there is only one), with its setting where another row differs from it in nothing else.

    Left out are other settings than the task's default, sanity rows, and all but the best if there
    are many.
    """
    known = [row for row in rows if row.main and "ece" in row.metrics and not row.sanity]
    best = (
        {id(row) for row in best_first(known, metric_names(known)[0])[:_MOST_BARS]} if known else ()
    )
    shown = sorted((row for row in known if id(row) in best), key=lambda row: bool(row.adapter))
    models = {row.model for row in shown}
    adapters = {row.adapter for row in shown} - {""}
    settings: dict[tuple[str, str, str], set[str]] = {}
    for row in shown:
        settings.setdefault(_who(row), set()).add(row.setting)

    def which(row: Row) -> str:
        parts = [
            row.model if len(models) > 1 else "",
            row.adapter if len(adapters) > 1 else "",
            row.setting if len(settings[_who(row)]) > 1 else "",
        ]
        return ", ".join(filter(None, parts))

    return [(row.label, which(row)) for row in shown], shown


def _who(row: TableRow) -> tuple[str, str, str]:
    return row.label, row.model, row.adapter


def bar_charts(rows: Sequence[TableRow], *, alone: bool = False) -> list[str]:
    """ECE and AUROC of rows about one task, as two charts; none where there is nothing to compare.

    Rows as `bar_rows` chooses them.
    """
    labels, shown = bar_rows(rows)
    if len(shown) < 2:
        return []
    drawn = []
    for name, options in (("ece", {}), ("auroc", {"top": 1.0, "chance": 0.5})):
        values = [
            (*label, row.metrics.get(name), bool(row.adapter))
            for label, row in zip(labels, shown, strict=True)
        ]
        drawn.append(
            charts.bars(values, heading(name, direction(shown, name)), alone=alone, **options)
        )
    return drawn


def shown_metrics(table: Table[Row]) -> Sequence[str]:
    """The metrics that have columns in a task's table."""
    if any(name in table.metrics for name in ("brier_skill", "ece", "auroc", "brier")):
        return [name for name in (*MAIN, "answered") if name in table.metrics]
    return table.metrics[:6]


def _table(table: Table[EntryRow]) -> dict[str, Any]:
    names = shown_metrics(table)
    entries: dict[str, list[EntryRow]] = {}
    for row in table.rows:
        entries.setdefault(row.key, []).append(row)
    return {
        "id": f"task.{'.'.join(table.group)}".replace(" ", "-"),
        "task": table.title,
        "version": table.group[1],
        "preview": table.preview,
        "notes": table.notes,
        "n": ", ".join(f"{n:,}" for n in sorted({row.n for row in table.rows})),
        "bars": [Markup(chart) for chart in bar_charts(table.rows)],
        "head": table.head(names),
        "how_to_read": table.how_to_read,
        "rows": [_row(row, names) for row in table.best_first],
        "folded": [_row(row, names) for row in table.folded],
        "entries": [_entry(members) for members in entries.values()],
    }


def _row(row: TableRow, names: Sequence[str]) -> dict[str, Any]:
    cells = []
    for name in names:
        metric = row.metrics.get(name)
        cells.append(
            {
                "value": number(metric.value) if metric else "",
                "interval": interval(metric) if metric else "",
                "few": name == "auroc" and row.few,
            }
        )
    return {
        "id": anchor(row.key, row.method),
        "label": row.label,
        "adapter": row.adapter,
        "setting": row.setting,
        "sanity": row.sanity,
        "cells": cells,
        "n": f"{row.n:,}",
    }


def _entry(rows: Sequence[EntryRow]) -> dict[str, Any]:
    entry = rows[0].entry
    who = f"with {rows[0].adapter}, " if rows[0].adapter else ""
    return {
        "id": rows[0].key,
        "title": f"{entry.task.name}, {who}{entry.setting.slug}",
        "command": entry.provenance.command,
        "facts": _facts(entry),
        "scores": [_score(row) for row in rows],
    }


def _score(row: EntryRow) -> dict[str, Any]:
    score = row.score
    drawn = []
    if score.reliability and any(score.reliability.count):
        chart = charts.reliability(score.reliability, f"Reliability of {score.label}")
        drawn.append(("Reliability: accuracy against confidence", Markup(chart)))
    if score.risk_coverage and score.risk_coverage.coverage:
        chart = charts.risk_coverage(score.risk_coverage, f"Risk and coverage of {score.label}")
        drawn.append(("Risk and coverage: how many of the most confident are wrong", Markup(chart)))
    facts = [f"{score.n:,} questions"]
    if score.n_missing:
        facts.append(f"{score.n_missing:,} without a confidence")
    if score.cost:
        facts.append(f"{score.cost.requests_per_question:g} requests per question")
    if score.elicitation:
        facts.append(score.elicitation)
    return {
        "id": anchor(row.key, score.method),
        "label": score.label,
        "facts": " · ".join(facts),
        "charts": drawn,
        "signatures": "\n".join(metric.signature for metric in score.metrics.values()),
    }


def _facts(entry: Entry) -> list[tuple[str, str]]:
    model, task, origin = entry.model, entry.task, entry.provenance
    adapter = model.adapter
    seconds = origin.wall_time_seconds
    pairs: list[tuple[str, Any]] = [
        ("Note", origin.note),
        ("Model revision", model.revision),
        ("Model sha", model.sha),
        ("Dtype", model.dtype),
        ("Adapter", adapter and f"{adapter.name} ({adapter.use})"),
        ("Adapter revision", adapter and adapter.revision),
        ("Adapter weights, sha256", adapter and adapter.sha256),
        ("Task", f"{task.name}, version {task.version}, from {task.source}"),
        ("Split", task.split),
        ("Answers", entry.setting.answers),
        ("Backend", origin.backend),
        ("Device", origin.device),
        ("Hardware", _named(origin.hardware)),
        ("Batch size", origin.batch_size),
        ("Seeds", _named(origin.seeds)),
        ("Versions", _named(origin.versions)),
        ("Date", origin.date),
        ("Wall time", None if seconds is None else f"{seconds:,.0f} s"),
        ("Questions, fingerprint", origin.data_fingerprint),
        ("Answers, fingerprint", origin.answers_fingerprint),
        ("Prompts, sha256", origin.prompts_sha256),
        ("Chat template, sha256", origin.chat_template_sha),
        ("System prompt, sha256", origin.system_instruction_sha),
        ("Results", f"{origin.results.file}, sha256 {origin.results.sha256}"),
        ("Samples", f"{origin.samples.file}, sha256 {origin.samples.sha256}"),
        ("Entry", f"{entry_key(entry)}.json"),
    ]
    return [(name, str(value)) for name, value in pairs if value not in (None, "")]


def _named(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)
