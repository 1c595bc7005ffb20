"""The figures to share: ECE and AUROC of a task's methods side by side, as PNG and SVG."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from calib_leaderboards.pages.models import bar_rows
from calib_leaderboards.store.entry import Entry
from calib_leaderboards.store.paths import slug
from calib_leaderboards.tables.row import EntryRow
from calib_leaderboards.tables.rows import preview, table_rows
from calib_leaderboards.tables.table import tables_of
from calib_metrics import Score, plots

_OF_MODELS = "likelihood", "zero_shot_classifier", "verbalized", "sampling"


def bar_figures(entries: Sequence[Entry]) -> Iterator[tuple[str, bytes]]:
    """figures/TASK_bars.png and .svg of every confidence task, as (path, content).

    With several models also TASK_models.png and .svg: a column for each, with those of the usual
    methods that all of them have. Where entries of one task have different questions or versions,
    the names of all but the first end with the beginning of the questions' fingerprint. Needs
    matplotlib.
    """
    taken: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        for table in tables_of(table_rows(entries)):
            task, _, data = table.group
            labels, shown = bar_rows(table.rows)
            if not shown:
                continue
            name = slug(task) if slug(task) not in taken else slug(f"{task}_{data[:8]}")
            taken.add(name)
            bars = [
                _bar(f"{label} ({which})" if which else label, row)
                for (label, which), row in zip(labels, shown, strict=True)
            ]
            models = ", ".join(sorted({row.model for row in shown}))
            title = _drawable(", ".join(filter(None, [task, preview(shown).partition(";")[0]])))
            stem = Path(folder, name)
            for path in plots.bar_chart(bars, stem, model=_drawable(models), task=title):
                yield f"figures/{name}_bars{path.suffix}", path.read_bytes()
            if columns := _columns(table.best_first):
                for path in plots.bar_grid(columns, stem, task=title):
                    yield f"figures/{name}_models{path.suffix}", path.read_bytes()


def _columns(rows: Sequence[EntryRow]) -> dict[str, list[dict[str, Any]]]:
    """The bars of each model, by its name; none with one model, or without a method of all."""
    of_model: dict[str, dict[str, EntryRow]] = {}
    for row in rows:
        if row.method in _OF_MODELS and "ece" in row.metrics:
            of_model.setdefault(row.model, {}).setdefault(row.label, row)
    first, *others = of_model.values() or [{}]
    common = [
        label
        for label, row in sorted(
            first.items(), key=lambda one: (bool(one[1].adapter), _OF_MODELS.index(one[1].method))
        )
        if all(label in those for those in others)
    ]
    if not others or not common:
        return {}
    return {
        _drawable(name): [_bar(label, of_model[name][label]) for label in common]
        for name in sorted(of_model, key=str.lower)
    }


def _bar(label: str, row: EntryRow) -> dict[str, Any]:
    return {
        "label": _drawable(label),
        "ece": _score(row, "ece"),
        "auroc": _score(row, "auroc"),
        "emphasise": bool(row.adapter),
    }


def _score(row: EntryRow, name: str) -> Score:
    metric, score = row.score.metrics[name], row.score
    counts = {"n": score.n - score.n_missing, "n_missing": score.n_missing}
    return Score.from_dict({"name": name, **counts, **metric.model_dump()})


def _drawable(text: str) -> str:
    """`text` without what matplotlib would parse as mathematics or SVG cannot hold."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).replace("$", r"\$")
