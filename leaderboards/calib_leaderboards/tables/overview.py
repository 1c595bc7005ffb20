"""The overview: the mean skill of each model and method over tasks, with an interval."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib_leaderboards.tables.paired import SKILL
from calib_leaderboards.tables.ranks import SamplesOf
from calib_leaderboards.tables.row import TableRow
from calib_leaderboards.tables.table import Table
from calib_leaderboards.tables.words import SKILL_MEANS, number, span
from calib_metrics.intervals import percentile_interval

Floats = NDArray[np.float64]
Who = tuple[str | None, ...]  # as in `TableRow.who`
RESAMPLES = 1000
_TOGETHER = 64  # rows whose resamples are computed as one matrix product
_RATE = re.compile(r"\|base_rate:([0-9.]+)\|")


@dataclass(frozen=True, eq=False)
class Pair:
    """A model, with or without an adapter, and a method.

    Attributes:
        rows: its main rows, one for each task.
        tasks: those that the mean is over: the core tasks where it has all of them, else its own.
        whole: whether it has all core tasks.
        value, low, high: the mean skill and its 95 % interval; None where undefined.
        above: of the tasks, those with a skill above 0.
    """

    rows: tuple[TableRow, ...]
    tasks: int
    whole: bool
    value: float | None
    low: float | None
    high: float | None
    above: int


def overview_how(core: Sequence[str], pairs: Sequence[Pair]) -> str:
    """The text above the overview: what is averaged, and over which tasks."""
    k = len(core)
    over = f"on {core[0]}" if k == 1 else f"over {k:,} tasks"
    part = (
        " Rows with only some of the tasks stand last, with the mean over those that they have: "
        "compare them with no other row."
    )
    return (
        f"The mean skill {over}, each in its default setting, with a 95 % interval. {SKILL_MEANS}"
        + (part if any(not pair.whole for pair in pairs) else "")
    )


def mean_text(pair: Pair) -> str:
    """The mean with its interval, as "0.123 (0.101–0.145)"."""
    between = span(pair.low, pair.high)
    return number(pair.value) + (f" ({between})" if between else "")


def overview(
    tables: Sequence[Table], samples: SamplesOf, done: Callable[[Table], None] = lambda table: None
) -> tuple[list[Table], list[Pair]]:
    """The core tasks, and all pairs: those that have all core tasks first, best mean skill first.

    Means over different tasks cannot be compared. The core tasks are the k tasks that most pairs
    have, with k such that k times the number of pairs that have them all is largest. The interval
    is that of a bootstrap over the questions within each task; all methods of a task see the same
    resamples. Where samples were not kept, normal draws with the score's standard error stand in.

    done: called with each table once its samples are no longer needed.
    """
    of_pair: dict[Who, dict[int, TableRow]] = {}
    for place, table in enumerate(tables):
        for row in table.rows:
            if table.main_metric == SKILL and row.main and _known(row):
                of_pair.setdefault(row.who, {})[place] = row
    core = _core([set(rows) for rows in of_pair.values()])
    used = {who: sorted(core if core <= has.keys() else has) for who, has in of_pair.items()}
    sums: dict[Who, Floats] = {}  # means of the draws: there are too many to keep for every task
    for place, table in enumerate(tables):
        members = [(who, has[place]) for who, has in of_pair.items() if place in used[who]]
        for who, drawn in _draws(table, members, samples):
            sums[who] = sums[who] + drawn if who in sums else drawn
        done(table)
    pairs = []
    for who, rows in of_pair.items():
        values = [rows[place].score.metrics[SKILL].value or 0.0 for place in used[who]]
        low, high = percentile_interval(sums[who] / len(values), 0.95)
        pairs.append(
            Pair(
                rows=tuple(rows[place] for place in sorted(rows)),
                tasks=len(values),
                whole=core <= rows.keys(),
                value=float(np.mean(values)),
                low=None if np.isnan(low) else float(low),
                high=None if np.isnan(high) else float(high),
                above=sum(value > 0 for value in values),
            )
        )

    def place_of(pair: Pair) -> tuple[bool, bool, float, str]:
        row = pair.rows[0]
        return not pair.whole, row.sanity, -(pair.value or 0.0), f"{row.key}.{row.score.method}"

    return [tables[place] for place in sorted(core)], sorted(pairs, key=place_of)


def _known(row: TableRow) -> bool:
    metric = row.score.metrics.get(SKILL)
    return metric is not None and metric.value is not None


def _core(tasks: Sequence[set[int]]) -> set[int]:
    counts: dict[int, int] = {}
    for has in tasks:
        for place in has:
            counts[place] = counts.get(place, 0) + 1
    ordered = sorted(counts, key=lambda place: (-counts[place], place))
    best: tuple[int, set[int]] = (0, set())
    left = list(tasks)
    for k, place in enumerate(ordered, start=1):
        left = [has for has in left if place in has]
        best = max(best, (k * len(left), set(ordered[:k])), key=lambda found: found[0])
    return best[1]


def _draws(
    table: Table, members: Sequence[tuple[Who, TableRow]], samples: SamplesOf
) -> Iterator[tuple[Who, Floats]]:
    """The skill of each row in each resample of its task's questions."""
    digest = hashlib.sha256("\n".join(table.group).encode("utf-8", "surrogatepass")).digest()
    seed = int.from_bytes(digest[:4], "big")  # the same for any other tasks
    waiting: dict[int, list[tuple[Who, TableRow, Floats]]] = {}  # by the number of questions
    counts: dict[int, Floats] = {}
    for who, row in members:
        metric, kept = row.score.metrics[SKILL], samples(row.entry)
        column = None if kept is None else kept.column(row.score.method)
        if kept is None or column is None:
            if metric.value is None or metric.stderr is None:
                yield who, np.full(RESAMPLES, np.nan)
            else:
                rng = np.random.default_rng(seed)
                yield who, rng.normal(metric.value, metric.stderr, RESAMPLES)
            continue
        n = len(kept.ids)
        if n not in counts:
            rng = np.random.default_rng(seed)
            counts[n] = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)
        columns = _columns(*column)
        waiting.setdefault(n, []).append((who, row, columns))
        if len(waiting[n]) == _TOGETHER:
            yield from _skills(waiting.pop(n), counts[n])
    for n, rows in waiting.items():
        yield from _skills(rows, counts[n])


def _columns(confidence: Floats, correct: Floats) -> Floats:
    """For each question: whether it has a confidence, is right, and its squared error; (3, n)."""
    usable = ~(np.isnan(confidence) | np.isnan(correct))
    right = np.where(usable, correct, 0.0)
    squares = np.where(usable, (confidence - correct) ** 2, 0.0)
    return np.stack([usable.astype(np.float64), right, squares])


def _skills(
    rows: Sequence[tuple[Who, TableRow, Floats]], counts: Floats
) -> Iterator[tuple[Who, Floats]]:
    """The skills of rows with the same number of questions, by one matrix product."""
    sums = np.concatenate([columns for _, _, columns in rows]) @ counts.T
    for place, (who, row, _) in enumerate(rows):
        size, right, squares = sums[3 * place : 3 * place + 3]
        given = _RATE.search(row.score.metrics[SKILL].signature)
        with np.errstate(invalid="ignore", divide="ignore"):
            accuracy = right / size
            rate = float(given[1]) if given else accuracy
            skill = 1 - squares / size / (accuracy * (1 - rate) ** 2 + (1 - accuracy) * rate**2)
        yield who, np.where(np.isfinite(skill), skill, np.nan)
