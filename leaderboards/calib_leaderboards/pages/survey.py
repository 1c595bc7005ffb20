"""First step of a build: read the entries of a task that changed, and say what the task holds.

What tables show of each entry is kept beside the output in the forms in which they show it: rows,
lines of CSV and of Arrow. A build that follows reads those of unchanged entries, not the entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from calib_leaderboards.pages.index import ENTRY
from calib_leaderboards.store.paths import SAMPLES, slug
from calib_leaderboards.store.read import checked_entry, read_small
from calib_leaderboards.store.samples import check_hash
from calib_leaderboards.tables.formats import csv_kept, row_lines
from calib_leaderboards.tables.of_entry import rows_of
from calib_leaderboards.tables.overview import Skill, skills_of
from calib_leaderboards.tables.parquet import read_table, spliced, to_table, write_table
from calib_leaderboards.tables.row import Cell, Group, TableRow, group_from
from calib_leaderboards.tables.rows import by_group, choose_main, preview
from calib_metrics.outputs import write_atomically

_VALUES = attrgetter(*(field.name for field in fields(TableRow)))


class Item(NamedTuple):
    """An entry: sha256 of its file and of its packed samples, its model and its group."""

    sha: str
    samples: str | None
    model: str
    parameters: int | None
    group: Group


class Facts(NamedTuple):
    """What the rest of a build has to know of a group.

    mark: a digest of its entries. rows: how many. confidences: whether a row has an ECE. skills: of
    its main rows.
    """

    mark: str
    rows: int
    confidences: bool
    preview: str
    skills: list[Skill]


class Surveyed(NamedTuple):
    """The entries of a task by their paths, and the facts of its groups."""

    items: dict[str, Item]
    facts: dict[Group, Facts]


class KeptRow(NamedTuple):
    """A row, and its lines as `csv_kept` keeps them: a view, since all together are large."""

    row: TableRow
    csv: memoryview


class _Read(NamedTuple):
    """A row of an entry that was read just now, and its lines."""

    kept: KeptRow
    lines: list[tuple[Any, ...]]


def task_of(path: str) -> str:
    """The name of a task in the paths of its entries."""
    return path.rpartition("/")[2].partition("--")[0]


def survey(
    store: Path, kept: Path, paths: Sequence[str], changed: Collection[str]
) -> tuple[str, Surveyed]:
    """Read the changed entries of a task; return its name, its entries and facts, and keep them.

    paths: of all entries of the task. kept: the folder of what is kept between builds. Raises as
    `read_entries`, ValueError or FileNotFoundError where an entry's samples are not those that it
    was made with.
    """
    task = task_of(paths[0])
    before, old = load_survey(kept, task), kept_rows(kept, task)
    items: dict[str, Item] = {}
    read: dict[str, list[_Read]] = {}
    for path in paths:
        if path in before.items and path not in changed:
            items[path] = before.items[path]
        else:
            items[path], read[path.removesuffix(ENTRY)] = _read(store, path)
    keys = {path.removesuffix(ENTRY) for path in paths}
    rows = [each for each in old if each.row.key in keys and each.row.key not in read]
    rows += [each.kept for found in read.values() for each in found]
    rows.sort(key=lambda each: (each.row.group, each.row.key))
    groups = by_group(each.row for each in rows)
    for group, members in groups.items():
        choose_main(members)
        _keep_table(
            kept, group, [each.row for each in old if each.row.group == group], members, read
        )
    facts = {group: _facts(members, items) for group, members in groups.items()}
    made = Surveyed(items, facts)
    number = {group: place for place, group in enumerate(facts)}
    told = [(path, *item[:-1], number[item.group]) for path, item in items.items()]
    content = to_json([told, list(facts.items())])
    write_atomically(_file(kept, "entries", task), content)
    values = [(*_VALUES(each.row), len(each.csv)) for each in rows]
    write_atomically(_file(kept, "rows", task), to_json(values))
    write_atomically(_file(kept, "lines", task), (each.csv for each in rows))
    return task, made


def packed_samples(store: Path, path: str, sha256: str | None) -> bytes | None:
    """The packed samples of an entry, or None without; raises if they are not the entry's."""
    if sha256 is None:
        return None
    file = f"{store}/{path.removesuffix(ENTRY)}{SAMPLES}"
    with open(file, "rb") as packed:
        content = packed.read()
    check_hash(content, sha256, f"'{file}'")
    return content


def load_survey(kept: Path, task: str) -> Surveyed:
    """What the last survey of a task returned; empty if there was none."""
    file = _file(kept, "entries", task)
    if not file.is_file():
        return Surveyed({}, {})
    items, facts = from_json(file.read_bytes())
    groups = [group_from(group) for group, _ in facts]
    return Surveyed(
        {
            path: Item(sha, samples, model, parameters, groups[number])
            for path, sha, samples, model, parameters, number in items
        },
        {
            group: Facts(mark, rows, ece, shown, [Skill(*skill) for skill in skills])
            for group, (_, (mark, rows, ece, shown, skills)) in zip(groups, facts, strict=True)
        },
    )


def kept_rows(kept: Path, task: str) -> list[KeptRow]:
    """The rows of a task as the last survey kept them; none if there was none."""
    file = _file(kept, "rows", task)
    if not file.is_file():
        return []
    lines, end = memoryview(_file(kept, "lines", task).read_bytes()), 0
    found = []
    for *values, length in from_json(file.read_bytes()):
        row = TableRow(*values)
        row.group = group_from(values[1])
        row.metrics = {name: Cell(*cell) for name, cell in row.metrics.items()}
        found.append(KeptRow(row, lines[end : end + length]))
        end += length
    return found


def part_file(kept: Path, group: Group, ending: str) -> Path:
    """Where something about a group is kept between builds."""
    digest = hashlib.sha256("\n".join(group).encode("utf-8", "surrogatepass")).hexdigest()
    return kept / "tasks" / f"{digest[:32]}{ending}"


def forget(kept: Path, groups: Collection[Group]) -> None:
    """Remove what is kept of groups that are not among these."""
    names = {part_file(kept, group, "").name for group in groups}
    for file in (kept / "tasks").iterdir():
        if file.name.partition(".")[0] not in names:
            file.unlink()
    tasks = {slug(group[0]) for group in groups}
    for folder in _FOLDERS:
        for file in (kept / folder).iterdir():
            if file.stem not in tasks:
                file.unlink()


def _read(store: Path, path: str) -> tuple[Item, list[_Read]]:
    content = read_small(f"{store}/{path}")
    entry = checked_entry(store, path, content)
    packed_samples(store, path, entry.samples.sha256)
    rows = rows_of(entry, path.removesuffix(ENTRY))
    sha = hashlib.sha256(content).hexdigest()
    model = entry.model
    item = Item(sha, entry.samples.sha256, model.name, model.parameters, rows[0].group)
    found = []
    for row in rows:
        lines = row_lines(row, "")
        found.append(_Read(KeptRow(row, memoryview(csv_kept(lines))), lines))
    return item, found


def _keep_table(
    kept: Path,
    group: Group,
    old: Sequence[TableRow],
    rows: Sequence[TableRow],
    read: Mapping[str, Sequence[_Read]],
) -> None:
    """Keep the lines of a group as Arrow: those that were read, and between them the old ones."""
    new = [each for found in read.values() for each in found if each.kept.row.group == group]
    if not new and len(old) == len(rows):
        return
    new.sort(key=lambda each: each.kept.row.key)
    tables = [to_table([line for each in new for line in each.lines])]
    file = part_file(kept, group, ".arrow")
    places: dict[tuple[str, str], tuple[int, int]] = {}  # table, and line
    for number, members in enumerate(([each.kept.row for each in new], old)):
        line = 0
        for row in members:
            places.setdefault((row.key, row.method), (number, line))
            line += len(row.metrics)
    if old:
        tables.append(read_table(file))
    runs: list[list[int]] = []  # table, first line, and the line after the last
    for row in rows:
        number, line = places[row.key, row.method]
        if not runs or runs[-1][::2] != [number, line]:
            runs.append([number, line, line])
        runs[-1][2] += len(row.metrics)
    pieces = [tables[number].slice(first, end - first) for number, first, end in runs]
    write_atomically(file, write_table(spliced(pieces) if old else tables[0]))


def _facts(rows: Sequence[TableRow], items: Mapping[str, Item]) -> Facts:
    confidences = any("ece" in row.metrics for row in rows)
    mark = hashlib.sha256()
    for row in rows:
        mark.update(f"{row.key} {items[row.key + ENTRY].sha}\n".encode())
    return Facts(mark.hexdigest(), len(rows), confidences, preview(rows), skills_of(rows))


def _file(kept: Path, folder: str, task: str) -> Path:
    return kept / folder / f"{task}{_FOLDERS[folder]}"


_FOLDERS = {"entries": ".json", "rows": ".json", "lines": ".csv"}
