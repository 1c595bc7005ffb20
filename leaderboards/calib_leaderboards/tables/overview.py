"""The overview: the mean skill of each model and method over tasks, with an interval."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calib_leaderboards.store.samples import Samples
from calib_leaderboards.tables.paired import SKILL
from calib_leaderboards.tables.row import Group, TableRow
from calib_leaderboards.tables.rows import metric_names
from calib_leaderboards.tables.words import DECIMALS, SKILL_MEANS, number, span
from calib_metrics.intervals import percentile_interval

Floats = NDArray[np.float64]
Answers = tuple[Floats, Floats]  # their confidences, and whether they are correct
Interval = tuple[float | None, float | None]
RESAMPLES = 1000
_TOGETHER = 64  # rows whose resamples are computed as one matrix product


class Skill(NamedTuple):
    """The skill of a row of a main table, and what its resamples depend on.

    who: model, adapter and method as one text, see `TableRow.who`. rate: of the constant, where the
    score's signature states one. samples: sha256 of the entry's packed samples, None without. mark:
    a digest of what the resamples depend on.
    """

    who: str
    key: str
    model: str
    adapter: str
    method: str
    label: str
    sanity: bool
    value: float
    stderr: float | None
    rate: float | None
    samples: str | None
    mark: str


@dataclass(frozen=True)
class Pair:
    """A model, with or without an adapter, and a method.

    Attributes:
        tasks: those that the mean is over: the core tasks where it has all of them, else its own.
        whole: whether it has all core tasks.
        value, low, high: the mean skill and its 95 % interval; None where undefined.
        above: of the tasks, those whose skill is shown as above 0.
    """

    model: str
    adapter: str
    label: str
    sanity: bool
    tasks: int
    whole: bool
    value: float
    low: float | None
    high: float | None
    above: int


def skills_of(rows: Sequence[TableRow]) -> list[Skill]:
    """The skills of a task's main rows; none where the task is not ordered by skill."""
    if metric_names(rows)[0] != SKILL:
        return []
    found = []
    for row in rows:
        metric = row.metrics.get(SKILL)
        if not row.main or metric is None or metric.value is None:
            continue
        told = row.group, row.method, metric.value, metric.stderr, row.rate, row.samples
        found.append(
            Skill(
                who=json.dumps(row.who, separators=(",", ":")),
                key=row.key,
                model=row.model,
                adapter=row.adapter,
                method=row.method,
                label=row.label,
                sanity=row.sanity,
                value=metric.value,
                stderr=metric.stderr,
                rate=row.rate,
                samples=row.samples,
                mark=hashlib.sha256(repr(told).encode()).hexdigest()[:32],
            )
        )
    return found


def compared(
    skills: Mapping[Group, Sequence[Skill]],
) -> tuple[list[Group], dict[str, dict[Group, Skill]]]:
    """The core tasks, and of each pair (by `Skill.who`) the tasks that its mean is over.

    Means over different tasks cannot be compared. The core tasks are the k tasks that most pairs
    have, of those that more than half of the models have, with k such that k times the number of
    pairs that have them all is largest. A pair's mean is over those where it has all of them, else
    over its own.
    """
    of_pair: dict[str, dict[Group, Skill]] = {}
    for group, rows in skills.items():
        for row in rows:
            of_pair.setdefault(row.who, {})[group] = row
    core = _core(_common(skills), list(of_pair.values()))
    used = {
        who: {group: row for group, row in has.items() if group in core}
        if core <= has.keys()
        else has
        for who, has in of_pair.items()
    }
    return [group for group in skills if group in core], used


def overview_pairs(
    core: Sequence[Group],
    used: Mapping[str, Mapping[Group, Skill]],
    intervals: Mapping[str, Interval],
) -> list[Pair]:
    """All pairs: those that have all core tasks first, best mean skill first."""
    placed = []
    all_core = set(core)
    means = _means([[row.value for row in rows.values()] for rows in used.values()])
    for (who, rows), mean in zip(used.items(), means, strict=True):
        row = next(iter(rows.values()))
        low, high = intervals[who]
        pair = Pair(
            model=row.model,
            adapter=row.adapter,
            label=row.label,
            sanity=row.sanity,
            tasks=len(rows),
            whole=rows.keys() >= all_core,
            value=mean,
            low=low,
            high=high,
            above=sum(round(row.value, DECIMALS) > 0 for row in rows.values()),
        )
        place = not pair.whole, pair.sanity, -pair.value, f"{row.key}.{row.method}"
        placed.append((place, pair))
    return [pair for _, pair in sorted(placed, key=lambda found: found[0])]


def _means(lists: Sequence[Sequence[float]]) -> list[float]:
    """The mean of each list, as of one matrix for those of one length."""
    of_length: dict[int, list[int]] = {}
    for place, values in enumerate(lists):
        of_length.setdefault(len(values), []).append(place)
    means = np.empty(len(lists))
    for places in of_length.values():
        means[places] = np.mean([lists[place] for place in places], axis=1)
    return means.tolist()


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


def interval_of(draws: Floats) -> Interval:
    """The 95 % interval of the mean skill's draws; None where undefined."""
    low, high = percentile_interval(draws, 0.95)
    return (None, None) if np.isnan(low) or np.isnan(high) else (float(low), float(high))


def skill_draws(
    group: Group, rows: Sequence[Skill], samples: Callable[[Skill], Samples | None]
) -> Iterator[tuple[int, Floats]]:
    """The skill of each row in each resample of its task's questions, as (place of row, draws).

    All rows of a task see the same resamples, whatever other rows and tasks there are. Where
    samples were not kept, normal draws with the score's standard error stand in.
    """
    digest = hashlib.sha256("\n".join(group).encode("utf-8", "surrogatepass")).digest()
    seed = int.from_bytes(digest[:4], "big")
    waiting: dict[int, list[tuple[int, Skill, Answers]]] = {}  # by the number of questions
    counts: dict[int, Floats] = {}
    for place, row in enumerate(rows):
        kept = samples(row)
        column = None if kept is None else kept.column(row.method)
        if column is None:
            if row.stderr is None:
                yield place, np.full(RESAMPLES, np.nan)
            else:
                yield place, np.random.default_rng(seed).normal(row.value, row.stderr, RESAMPLES)
            continue
        n = len(column[0])
        if n not in counts:
            drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES)
            counts[n] = np.ascontiguousarray(drawn.T, dtype=np.float64)
        waiting.setdefault(n, []).append((place, row, column))
        if len(waiting[n]) == _TOGETHER:
            yield from _skills(waiting.pop(n), counts[n])
    for n, left in waiting.items():
        yield from _skills(left, counts[n])


def _skills(
    rows: Sequence[tuple[int, Skill, Answers]], counts: Floats
) -> Iterator[tuple[int, Floats]]:
    """Of rows with one number of questions, by one product of matrices.

    Squared errors are rounded to a multiple of a power of 2 (of 2^-42 with 1,000 questions): so
    every sum is exact, and the same whatever rows are multiplied together, and on every machine.
    """
    unit = 2.0 ** (52 - len(counts).bit_length())
    columns: dict[bytes, Floats] = {}  # several rows may share one

    def column(values: Floats) -> bytes:
        name = values.tobytes()
        columns.setdefault(name, values)
        return name

    wanted = []
    for _, _, (confidence, correct) in rows:
        usable = ~(np.isnan(confidence) | np.isnan(correct))
        right = np.where(usable, correct, 0.0)
        squares = np.where(usable, (confidence - correct) ** 2, 0.0)
        whole = bool(usable.all())
        wanted.append(
            (
                None if whole else column(usable.astype(np.float64)),
                column(right),
                column(np.rint(squares * unit)),
            )
        )
    sums = dict(zip(columns, np.stack(list(columns.values())) @ counts, strict=True))
    for (place, row, answers), (some, right_at, squares_at) in zip(rows, wanted, strict=True):
        size = float(len(answers[0])) if some is None else sums[some]
        with np.errstate(invalid="ignore", divide="ignore"):
            accuracy = sums[right_at] / size
            rate = accuracy if row.rate is None else row.rate
            constant = accuracy * (1 - rate) ** 2 + (1 - accuracy) * rate**2
            skill = 1 - sums[squares_at] / unit / size / constant
        yield place, np.where(np.isfinite(skill), skill, np.nan)


def _common(skills: Mapping[Group, Sequence[Skill]]) -> list[Group]:
    """The tasks that more than half of the models have; all tasks if there is none."""
    models = {group: {row.model for row in rows} for group, rows in skills.items()}
    half = len(set[str]().union(*models.values())) / 2
    return [group for group, those in models.items() if len(those) > half] or list(skills)


def _core(groups: Sequence[Group], pairs: Sequence[Mapping[Group, Skill]]) -> set[Group]:
    counts = Counter(group for has in pairs for group in has)
    ordered = sorted((group for group in groups if counts[group]), key=lambda one: -counts[one])
    best: tuple[int, set[Group]] = (0, set())
    left = list(pairs)
    for k, group in enumerate(ordered, start=1):
        left = [has for has in left if group in has]
        best = max(best, (k * len(left), set(ordered[:k])), key=lambda found: found[0])
    return best[1]
