"""What the scripts of the site read: one file with all rows, and one per entry with its samples."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from calib_leaderboards.pages.names import size_text
from calib_leaderboards.store.entry import Metric
from calib_leaderboards.store.paths import slug
from calib_leaderboards.tables.rows import TableRow, direction, metric_names
from calib_leaderboards.tables.table import group_names
from calib_leaderboards.tables.words import TITLES

_DIGITS = 5  # significant; more than any table shows


class _Index:
    """Numbers for values, so that each is written once."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def of(self, value: Any) -> int:
        return self.numbers.setdefault(value, len(self.numbers))

    @property
    def values(self) -> list[Any]:
        return list(self.numbers)


def board_script(rows: Sequence[TableRow], pages: Mapping[str, str]) -> bytes:
    """data.js: every row of the table, columns of repeated names as numbers into lists.

    An entry is [model, adapter, task group, setting, samples file, key]; a row [entry, method,
    label, sanity, n, [[metric, value, low, high, rank], ...]].
    """
    models, adapters, groups, settings = _Index(), _Index(), _Index(), _Index()
    methods, labels, entries = _Index(), _Index(), _Index()
    names = metric_names(rows)
    places = {name: place for place, name in enumerate(names)}
    made = []
    for row in rows:
        entry = row.entry
        number = entries.of(
            (
                models.of((entry.model.name, entry.model.parameters)),
                adapters.of(row.adapter),
                groups.of(row.group),
                settings.of(entry.setting.slug),
                int(entry.samples.file is not None),
                row.key,
            )
        )
        scores = [
            _metric(places[name], metric, row.ranks.get(name))
            for name, metric in row.score.metrics.items()
        ]
        made.append(
            [
                number,
                methods.of(row.score.method),
                labels.of(row.score.label),
                int(row.sanity),
                row.score.n,
                scores,
            ]
        )
    titles = group_names(groups.values)
    board = {
        "models": [[name, pages[name], size, size_text(size)] for name, size in models.values],
        "adapters": adapters.values,
        "groups": [titles[group] for group in groups.values],
        "settings": settings.values,
        "methods": [[name, slug(name)] for name in methods.values],
        "labels": labels.values,
        "metrics": [[name, TITLES.get(name, name), direction(rows, name)] for name in names],
        "entries": entries.values,
        "rows": made,
    }
    return _script("calibenchBoard", board)


def samples_script(key: str, packed: bytes) -> bytes:
    """samples/KEY.js: the packed samples as they lie in the store, which the browser unpacks.

    A page opened from a file may not fetch another file, but may load a script.
    """
    content = base64.b64encode(packed).decode("ascii")
    return f'calibenchSamples({_json(key)},"{content}");\n'.encode("ascii")


def _metric(place: int, metric: Metric, rank: int | None) -> list[Any]:
    numbers = (metric.value, metric.low, metric.high)
    return [place, *(v if v is None else float(f"{v:.{_DIGITS}g}") for v in numbers), rank]


def _script(name: str, value: Any) -> bytes:
    return f"window.{name}={_json(value)};\n".encode("ascii")


def _json(value: Any) -> str:
    """JSON that is also safe inside a script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII: no U+2028 either
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
