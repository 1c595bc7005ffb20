"""The first page: which model and method knows what it knows, over all tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calib_leaderboards.pages.data import model_file, to_json
from calib_leaderboards.tables.overview import Pair, overview_how
from calib_leaderboards.tables.table import Table
from calib_leaderboards.tables.words import number, span

MOST = 50  # rows in the page itself; a script has the others


def overview_page(
    core: Sequence[Table], pairs: Sequence[Pair], pages: Mapping[str, str]
) -> dict[str, Any]:
    """The values of index.html; `rows` holds every row as a list of its cells."""
    return {
        "how": overview_how([table.title for table in core], pairs) if pairs else "",
        "tasks": [table.title for table in core],
        "rows": [_row(pair, pages) for pair in pairs],
        "most": MOST,
    }


def overview_script(shown: Mapping[str, Any]) -> bytes:
    """data/overview.js: the rows that are not in the page, and the script of each model."""
    rows = shown["rows"][MOST:]
    models = {row["model"]: row["script"] for row in shown["rows"]}
    return f"calibenchOverview({to_json([rows, models])});\n".encode("ascii")


def _row(pair: Pair, pages: Mapping[str, str]) -> dict[str, Any]:
    row = pair.rows[0]
    model = row.entry.model.name
    return {
        "model": model,
        "page": pages[model],
        "script": model_file(model),
        "adapter": row.adapter,
        "label": row.score.label,
        "sanity": row.sanity,
        "whole": pair.whole,
        "mean": number(pair.value),
        "interval": span(pair.low, pair.high),
        "above": f"{pair.above} of {pair.tasks}",
    }
