"""The overview: the mean skill of each model and method over tasks, with an interval."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib_leaderboards.tables.paired import SKILL
from calib_leaderboards.tables.ranks import SamplesOf
from calib_leaderboards.tables.rows import TableRow
from calib_leaderboards.tables.table import Table
from calib_leaderboards.tables.words import SKILL_MEANS, number, span
from calib_metrics.intervals import percentile_interval

Floats = NDArray[np.float64]
RESAMPLES = 1000
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
    """The sentences over the overview: what is averaged, and over which tasks."""
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


def overview(tables: Sequence[Table], samples: SamplesOf) -> tuple[list[Table], list[Pair]]:
    """The core tasks, and all pairs: those that have all core tasks first, best mean skill first.

    Means over different tasks cannot be compared. The core tasks are the k of most pairs, with k
    such that k times the number of pairs that have them all is largest. The interval is of a
    bootstrap over the questions within each task; all methods of a task see the same resamples.
    Where samples were not kept, normal draws with the score's standard error stand in.
    """
    of_pair: dict[tuple[str | None, ...], dict[int, TableRow]] = {}
    scored = [table for table in tables if table.main_metric == SKILL]
    for place, table in enumerate(scored):
        for row in table.rows:
            if row.main and _known(row):
                of_pair.setdefault(row.who, {})[place] = row
    core = _core([set(rows) for rows in of_pair.values()])
    draws = _draws(scored, of_pair, samples)
    pairs = []
    for who, rows in of_pair.items():
        whole = core <= rows.keys()
        used = sorted(core if whole else rows)
        values = [rows[place].score.metrics[SKILL].value or 0.0 for place in used]
        drawn = np.mean([draws[who, place] for place in used], axis=0)
        low, high = percentile_interval(drawn, 0.95)
        pairs.append(
            Pair(
                rows=tuple(rows[place] for place in sorted(rows)),
                tasks=len(used),
                whole=whole,
                value=float(np.mean(values)),
                low=None if np.isnan(low) else float(low),
                high=None if np.isnan(high) else float(high),
                above=sum(value > 0 for value in values),
            )
        )

    def place_of(pair: Pair) -> tuple[bool, bool, float, str]:
        row = pair.rows[0]
        return not pair.whole, row.sanity, -(pair.value or 0.0), f"{row.key}.{row.score.method}"

    return [scored[place] for place in sorted(core)], sorted(pairs, key=place_of)


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
    tables: Sequence[Table],
    of_pair: dict[tuple[str | None, ...], dict[int, TableRow]],
    samples: SamplesOf,
) -> dict[tuple[tuple[str | None, ...], int], Floats]:
    """The skill of each row in each resample of its task's questions."""
    of_task: dict[int, list[tuple[tuple[str | None, ...], TableRow]]] = {}
    for who, rows in of_pair.items():
        for place, row in rows.items():
            of_task.setdefault(place, []).append((who, row))
    found = {}
    for place, members in of_task.items():
        counts: dict[int, Floats] = {}  # by the number of questions
        digest = hashlib.sha256("\n".join(tables[place].group).encode("utf-8", "surrogatepass"))
        seed = int.from_bytes(digest.digest()[:4], "big")  # the same whatever other tasks there are
        for who, row in members:
            found[who, place] = _skills(row, samples, counts, seed)
    return found


def _skills(row: TableRow, samples: SamplesOf, counts: dict[int, Floats], seed: int) -> Floats:
    metric = row.score.metrics[SKILL]
    kept = samples(row.entry)
    if kept is None or kept.correct is None or row.score.method not in kept.confidence:
        if metric.value is None or metric.stderr is None:
            return np.full(RESAMPLES, np.nan)
        return np.random.default_rng(seed).normal(metric.value, metric.stderr, RESAMPLES)
    n = len(kept.ids)
    if n not in counts:
        rng = np.random.default_rng(seed)
        counts[n] = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)
    confidence, correct = kept.confidence[row.score.method], kept.correct
    usable = ~(np.isnan(confidence) | np.isnan(correct))
    known = usable.astype(np.float64)
    right = np.where(usable, correct, 0.0)
    squares = np.where(usable, (confidence - correct) ** 2, 0.0)
    size, right, squares = (counts[n] @ np.stack([known, right, squares], axis=1)).T
    given = _RATE.search(metric.signature)
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy = right / size
        rate = float(given[1]) if given else accuracy
        skill = 1 - squares / size / (accuracy * (1 - rate) ** 2 + (1 - accuracy) * rate**2)
    return np.where(np.isfinite(skill), skill, np.nan)
