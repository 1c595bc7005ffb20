"""The data of the site's scripts, in parts that a page loads when it needs them.

data/board.js lists the tasks, data/TASK.js holds the rows of a task, data/model/MODEL.js what the
pictures of a model show, data/rank/MODEL.js its ranks, data/overview-N.js further rows of the first
page, and samples/ the samples of entries. They are scripts: a page that was opened from a file may
load a script, but no other file.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from calib_leaderboards.pages.names import size_text
from calib_leaderboards.store.entry import Reliability
from calib_leaderboards.store.paths import slug
from calib_leaderboards.tables.row import Cell, EntryRow, Group, TableRow
from calib_leaderboards.tables.rows import direction, metric_names
from calib_leaderboards.tables.table import Table
from calib_leaderboards.tables.words import TITLES

_DIGITS = 5  # significant digits; more than any table shows
_FEW_SAMPLES = 1000  # of an entry: with at most so many they share a file with others


class _Index:
    """Numbers for values, so that each is written once."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def of(self, value: Any) -> int:
        return self.numbers.setdefault(value, len(self.numbers))

    @property
    def values(self) -> list[Any]:
        return list(self.numbers)


def task_file(group: Group) -> str:
    """The file with the rows of a task, relative to the site."""
    return f"data/{_file(group[0], *group)}.js"


def model_file(model: str) -> str:
    """The file with the data of a model's charts, relative to the site."""
    return f"data/model/{_file(model, model)}.js"


def _file(name: str, *parts: str) -> str:
    """A file name for texts that may differ only in upper and lower case."""
    digest = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{slug(name)[:60]}-{digest[:8]}"


def board_script(tasks: Sequence[tuple[str, Group, int]]) -> bytes:
    """data/board.js: [title, file, number of rows] of every task."""
    return script("calibenchTasks", [[title, task_file(group), n] for title, group, n in tasks])


def rank_file(model: str) -> str:
    """Where the ranks of a model's rows lie in the site."""
    return f"data/rank/{_file(model, model)}.js"


def rank_script(ranks: Mapping[str, int]) -> bytes:
    """The ranks on the page of a model, by the ids of its rows.

    They are a file of their own because one new entry moves the ranks of many models.
    """
    return script("calibenchRanks", ranks)


def task_script(table: Table[TableRow], pages: Mapping[str, str]) -> bytes:
    """The rows of a task, columns of repeated names as numbers into lists.

    An entry is [model, adapter, setting, samples, key], where samples is 0 without, 1 for those in
    the file of its model and adapter, and 2 for those in a file of their own. A row is [entry,
    method, label, marks, rank, n, [[metric, value, low, high], ...]]. The marks are added up: 1 for
    a sanity row, 2 for one of the main table, 4 for one with few right or wrong answers.
    """
    models, adapters, settings = _Index(), _Index(), _Index()
    methods, labels, entries = _Index(), _Index(), _Index()
    places = {name: place for place, name in enumerate(table.metrics)}
    made = []
    for row in table.rows:
        number = entries.of(
            (
                models.of((row.model, row.parameters)),
                adapters.of(row.adapter),
                settings.of(row.setting),
                0 if row.samples is None else 1 if row.n <= _FEW_SAMPLES else 2,
                row.key,
            )
        )
        made.append(
            [
                number,
                methods.of(row.method),
                labels.of(row.label),
                int(row.sanity) + 2 * int(row.main) + 4 * int(row.few),
                row.rank,
                row.n,
                [[places[name], *_numbers(m)] for name, m in row.metrics.items()],
            ]
        )
    return script(
        "calibenchTask",
        {
            "title": table.title,
            "how": table.how_to_read,
            "notes": [*filter(None, [table.preview]), *table.notes],
            "setting": table.setting,
            "main": table.main_metric,
            "models": [[name, pages[name], size, size_text(size)] for name, size in models.values],
            "adapters": adapters.values,
            "settings": settings.values,
            "methods": [[name, slug(name)] for name in methods.values],
            "labels": labels.values,
            "metrics": [
                [name, TITLES.get(name, name), direction(table.rows, name)]
                for name in metric_names(table.rows)
            ],
            "entries": entries.values,
            "rows": made,
        },
    )


def model_script(model: str, tables: Sequence[Table[EntryRow]]) -> bytes:
    """The main rows of a model on every task with confidences, for its charts.

    A row is [label, adapter, marks, skill, ECE, AUROC, bins]; a score [value, low, high] or null; a
    bin [count, mean confidence, accuracy].
    """
    tasks = []
    for table in tables:
        rows = [row for row in table.best_first if "ece" in row.metrics]
        if rows:
            tasks.append([table.title, table.setting, [_picture(row) for row in rows]])
    return script("calibenchModel", {"model": model, "tasks": tasks})


def _picture(row: EntryRow) -> list[Any]:
    scores = [row.metrics.get(name) for name in ("brier_skill", "ece", "auroc")]
    return [
        row.label,
        row.adapter,
        int(row.sanity) + 4 * int(row.few),
        *(None if score is None else _numbers(score) for score in scores),
        _bins(row.score.reliability),
    ]


def _bins(bins: Reliability | None) -> list[list[float | None]]:
    if bins is None:
        return []
    columns = zip(bins.count, bins.confidence, bins.accuracy, strict=True)
    return [[count, _short(mean), _short(share)] for count, mean, share in columns]


def samples_file(key: str, n: int) -> str:
    """Where the samples of an entry with n questions lie in the site.

    Small ones share the file of their model and adapter: a build of few files takes less time.
    """
    return f"samples/{key.rpartition('/')[0] if n <= _FEW_SAMPLES else key}.js"


def samples_script(key: str, packed: bytes) -> bytes:
    """The packed samples of an entry as they lie in the store, which the browser unpacks."""
    content = base64.b64encode(packed).decode("ascii")
    return f'calibenchSamples({to_json(key)},"{content}");\n'.encode("ascii")


def _numbers(metric: Cell) -> list[float | None]:
    return [_short(value) for value in (metric.value, metric.low, metric.high)]


def _short(value: float | None) -> float | None:
    return value if value is None else float(f"{value:.{_DIGITS}g}")


def script(name: str, value: Any) -> bytes:
    """A script that calls a function with a value."""
    return f"{name}({to_json(value)});\n".encode("ascii")


def to_json(value: Any) -> str:
    """JSON that is also safe inside a script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII: no U+2028 either
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
