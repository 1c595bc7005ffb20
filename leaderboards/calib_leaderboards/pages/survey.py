"""First step of a build: read the entries of a task that changed, and say what the task holds.

What tables show of an entry is kept beside the output, a line for each: a build that follows reads
those of unchanged entries, instead of the entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from calib_leaderboards.pages.index import ENTRY, SAMPLES
from calib_leaderboards.store.entry import Entry
from calib_leaderboards.store.paths import slug
from calib_leaderboards.store.read import checked_entry, read_small
from calib_leaderboards.store.samples import check_hash
from calib_leaderboards.tables.overview import Skill, skills_of
from calib_leaderboards.tables.row import Group, TableRow
from calib_leaderboards.tables.rows import preview, unranked_rows
from calib_metrics.outputs import write_atomically


class Item(NamedTuple):
    """An entry: sha256 of its file and of its packed samples, its model and its group."""

    sha: str
    samples: str | None
    model: str
    parameters: int | None
    group: Group


class Facts(NamedTuple):
    """What the rest of a build has to know of a group: rows, whether with ECE, preview, skills."""

    rows: int
    confidences: bool
    preview: str
    skills: list[Skill]


def task_of(path: str) -> str:
    """The name of a task in the paths of its entries."""
    return path.rpartition("/")[2].partition("--")[0]


def survey(
    store: Path, kept: Path, paths: Sequence[str], changed: Collection[str]
) -> tuple[dict[str, Item], dict[Group, Facts]]:
    """Read the changed entries of a task; return them, and the facts of all its groups.

    paths: of all entries of the task. kept: the folder of what is kept between builds; the task's
    lines there are written anew. Raises as `read_entries`,
    ValueError or FileNotFoundError where an entry's samples are not those that it was made with.
    """
    file = lines_file(kept, task_of(paths[0]))
    known = _lines(file)
    lines = {path: known[path] for path in paths if path in known}
    items, read = {}, dict[str, Entry]()
    for path in paths:
        if path in lines and path not in changed:
            continue
        content = read_small(store / path)
        sha = hashlib.sha256(content).hexdigest()
        if path not in lines or lines[path][0] != sha.encode():
            entry = checked_entry(store, PurePosixPath(path), content)
            read[path] = slim = _slim(entry)
            lines[path] = sha.encode(), slim.model_dump_json().encode("utf-8")
        else:
            entry = read[path] = Entry.model_validate_json(lines[path][1])
        packed_samples(store, path, entry.samples.sha256)
        items[path] = Item(
            sha, entry.samples.sha256, entry.model.name, entry.model.parameters, group_of(entry)
        )
    texts = (b"%s\t%s\t%s\n" % (path.encode(), *lines[path]) for path in paths)
    write_atomically(file, b"".join(texts))
    return items, _facts(
        [
            read[path] if path in read else Entry.model_validate_json(line)
            for path, (_, line) in lines.items()
        ]
    )


def packed_samples(store: Path, path: str, sha256: str | None) -> bytes | None:
    """The packed samples of an entry, or None without; raises if they are not the entry's."""
    if sha256 is None:
        return None
    file = f"{store}/{path.removesuffix(ENTRY)}{SAMPLES}"
    with open(file, "rb") as packed:
        content = packed.read()
    check_hash(content, sha256, f"'{file}'")
    return content


def kept_entries(kept: Path, group: Group) -> list[Entry]:
    """What tables show of the entries of a group, as the survey kept it."""
    lines = _lines(lines_file(kept, slug(group[0])))
    entries = (Entry.model_validate_json(line) for _, line in lines.values())
    return [entry for entry in entries if group_of(entry) == group]


def group_of(entry: Entry) -> Group:
    """The group of all rows of an entry."""
    return TableRow(entry, entry.scores[0], "").group


def _facts(entries: Sequence[Entry]) -> dict[Group, Facts]:
    of_group: dict[Group, list[TableRow]] = {}
    for row in unranked_rows(entries):
        of_group.setdefault(row.group, []).append(row)
    return {
        group: Facts(
            len(rows),
            any("ece" in row.score.metrics for row in rows),
            preview(rows),
            skills_of(rows),
        )
        for group, rows in of_group.items()
    }


def _slim(entry: Entry) -> Entry:
    """Without what the page of the model shows alone."""
    scores = [
        score.model_copy(update={"risk_coverage": None, "cost": None}) for score in entry.scores
    ]
    nothing: dict[str, Any] = {
        "command": "",
        **{name: {} for name in ("model_args", "seeds", "versions", "hardware")},
    }
    origin = entry.provenance.model_copy(update=nothing)
    return entry.model_copy(update={"scores": scores, "provenance": origin})


def lines_file(kept: Path, task: str) -> Path:
    """Where what tables show of the entries of a task is kept."""
    return kept / "entries" / f"{task}.jsonl"


def _lines(file: Path) -> dict[str, tuple[bytes, bytes]]:
    """Path of each entry: sha256 of its file, and what was kept of it."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return {}
    found = {}
    for line in content.splitlines():
        path, sha, entry = line.split(b"\t", 2)
        found[path.decode()] = sha, entry
    return found
