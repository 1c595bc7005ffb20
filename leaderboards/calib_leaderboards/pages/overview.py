"""The first page: models by methods, and the mean skill of each over all tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from calib_leaderboards.pages.data import model_file, script
from calib_leaderboards.pages.names import counted
from calib_leaderboards.tables.overview import Pair
from calib_leaderboards.tables.words import SKILL_MEANS, number, span

MOST = 50  # rows that are in the page itself; scripts have the others
_PART = 500  # rows of a script
_NAMED = 3  # methods that the sentence over the table names
_BEST, _ABOVE, _BELOW, _PARTIAL = 1, 2, 4, 8  # marks of a cell


class Overview(NamedTuple):
    """The table of models by methods.

    methods: each with whether it is there to be beaten. rows: model, page, adapter and cells of
    each; a cell is [mean, interval, tasks, marks] or None.
    """

    answer: str
    how: str
    tasks: Sequence[str]
    methods: list[tuple[str, bool]]
    rows: list[dict[str, Any]]


def overview(core: Sequence[str], pairs: Sequence[Pair], pages: Mapping[str, str]) -> Overview:
    """The table of all pairs. core: titles of the core tasks."""
    best = _best(pairs)
    labels, sanity = _labels(pairs), _sanity(pairs)
    return Overview(
        _answer(best),
        _how(core, pairs),
        core,
        [(label, label in sanity) for label in labels],
        _rows(pairs, labels, best, pages),
    )


def overview_page(made: Overview) -> dict[str, Any]:
    """The values of index.html."""
    return {
        "answer": made.answer,
        "how": made.how,
        "tasks": made.tasks,
        "methods": made.methods,
        "rows": made.rows[:MOST],
        "all": len(made.rows),
        "marks": {"best": _BEST, "above": _ABOVE, "below": _BELOW, "partial": _PARTIAL},
    }


def overview_scripts(made: Overview) -> Iterator[tuple[str, bytes]]:
    """data/overview.js: [[model, its script], methods, rows, parts]; and parts of more rows.

    A row is [model, page, adapter, cells]; a cell [mean, interval, tasks, marks] or null. The marks
    are added up: 1 for the best of its model, 2 for an interval above 0, 4 for one below, 8 for a
    mean over only some of the tasks.
    """
    rows = made.rows
    rest = rows[MOST:]
    parts = [rest[start : start + _PART] for start in range(0, len(rest), _PART)]
    models = list(dict.fromkeys(row["model"] for row in rows))
    listed = [[model, model_file(model)] for model in models]
    methods = [[label, int(sanity)] for label, sanity in made.methods]
    yield "data/overview.js", script("calibenchOverview", [listed, methods, len(rows), len(parts)])
    for place, part in enumerate(parts):
        yield (
            f"data/overview-{place}.js",
            script("calibenchPart", [[*row.values()] for row in part]),
        )


def _how(core: Sequence[str], pairs: Sequence[Pair]) -> str:
    """The sentences over the table."""
    over = f"on {core[0]}" if len(core) == 1 else f"over {len(core):,} tasks"
    part = (
        " Cells marked * are means over only some of the tasks: compare them with no other."
        if any(not pair.whole for pair in pairs)
        else ""
    )
    return (
        f"The mean skill {over}, each in its default setting, with a 95 % interval; the models "
        f"with the best methods first. {SKILL_MEANS} The best of each model is bold. Blue cells "
        f"have an interval above 0, orange ones below.{part}"
    )


def _answer(best: Mapping[str, Pair]) -> str:
    """Which methods are the best of how many models."""
    counts = Counter(pair.label for pair in best.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if not ordered:
        return ""
    (first, count), *others = ordered[:_NAMED]
    if len(best) == 1:
        return f"Best method: {first}."
    most = f"{first} for {count:,} of {len(best):,} models"
    return (
        f"Best method: {', '.join([most, *(f'{label} for {more:,}' for label, more in others)])}."
    )


def _best(pairs: Sequence[Pair]) -> dict[str, Pair]:
    """The best pair of each model, of those that compete on all core tasks."""
    best: dict[str, Pair] = {}
    for pair in pairs:  # best first
        if pair.whole and not pair.sanity:
            best.setdefault(pair.model, pair)
    return best


def _sanity(pairs: Sequence[Pair]) -> set[str]:
    return {pair.label for pair in pairs if pair.sanity}


def _labels(pairs: Sequence[Pair]) -> list[str]:
    """The methods: those there to be beaten last, before them those of few models or tasks.

    Methods that are as common are in the order of their mean over the models.
    """
    values: dict[str, list[float]] = {}
    for pair in pairs:
        values.setdefault(pair.label, []).append(pair.value)
    whole = Counter(pair.label for pair in pairs if pair.whole)
    sanity = _sanity(pairs)

    def place(label: str) -> tuple[bool, bool, float, str]:
        found = values[label]
        return label in sanity, not whole[label], -sum(found) / len(found), label

    return sorted(values, key=place)


def _rows(
    pairs: Sequence[Pair], labels: Sequence[str], best: Mapping[str, Pair], pages: Mapping[str, str]
) -> list[dict[str, Any]]:
    """A row for each model and adapter; adapters stand below their model."""
    places = {label: place for place, label in enumerate(labels)}
    cells: dict[tuple[str, str], list[list[Any] | None]] = {}
    models = dict.fromkeys([*best, *(pair.model for pair in pairs)])  # by their best pair
    for pair in pairs:
        row = cells.setdefault((pair.model, pair.adapter), [None] * len(labels))
        if row[places[pair.label]] is None:  # of several revisions, the best
            row[places[pair.label]] = _cell(pair, best.get(pair.model))
    order = {model: place for place, model in enumerate(models)}
    ordered = sorted(cells, key=lambda row: (order[row[0]], row[1]))
    return [
        {"model": model, "page": pages[model], "adapter": adapter, "cells": cells[model, adapter]}
        for model, adapter in ordered
    ]


def _cell(pair: Pair, best: Pair | None) -> list[Any]:
    marks = _BEST * (pair is best) + _PARTIAL * (not pair.whole)
    if pair.low is not None and pair.high is not None:
        marks += _ABOVE * (pair.low > 0) + _BELOW * (pair.high < 0)
    tasks = "" if pair.whole else counted(pair.tasks, "task")
    return [number(pair.value), span(pair.low, pair.high), tasks, marks]
