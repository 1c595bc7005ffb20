"""Second step of a build: the ranks of a task, and everything that is made of its rows alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_json

from calib_leaderboards.pages.data import task_file, task_script
from calib_leaderboards.pages.index import ENTRY
from calib_leaderboards.pages.models import bar_charts
from calib_leaderboards.pages.outputs import Outputs, Seen
from calib_leaderboards.pages.readme import MOST_ROWS, task_section
from calib_leaderboards.pages.survey import kept_entries, lines_file, packed_samples
from calib_leaderboards.store.entry import Entry
from calib_leaderboards.store.paths import slug
from calib_leaderboards.store.samples import Samples, samples_from_bytes
from calib_leaderboards.tables.formats import csv_lines, flat, latex_table, to_arrow
from calib_leaderboards.tables.overview import RESAMPLES, Skill, skill_draws
from calib_leaderboards.tables.row import Group
from calib_leaderboards.tables.rows import rank, unranked_rows
from calib_leaderboards.tables.table import tables_of
from calib_metrics.outputs import write_atomically


class Row(NamedTuple):
    """Whether a method of an entry is in the main table, and its rank."""

    key: str
    method: str
    main: bool
    rank: int | None


class TaskPart(BaseModel):
    """What a task gives to the files that show several tasks.

    files: those of the task alone, and what was seen of them.
    """

    readme: str
    latex: str
    rows: list[Row]
    files: dict[str, Seen]


class TaskJob(NamedTuple):
    """A task to publish, and rows of the overview whose resamples are wanted.

    publish: whether the task is to be published, or only those rows are wanted. pages: of the
    models. draws: the file to write the resamples to.
    """

    group: Group
    publish: bool
    title: str
    pages: Mapping[str, str]
    skills: Sequence[Skill]
    draws: Path


Read = Callable[[str, str | None], Samples | None]


def task_part(store: Path, out: Path, kept: Path, job: TaskJob) -> None:
    """Publish a task: its figures, its script, and its lines of the large tables.

    kept: the folder of what is kept between builds; the part is written there.
    """
    read = reader(store)
    if job.publish:
        _publish(out, kept, job, read)
    if job.skills:
        _draw(job, read)


def part_file(kept: Path, group: Group, ending: str) -> Path:
    """Where something about a task is kept between builds."""
    digest = hashlib.sha256("\n".join(group).encode("utf-8", "surrogatepass")).hexdigest()
    return kept / "tasks" / f"{digest[:32]}{ending}"


def kept_part(kept: Path, group: Group) -> TaskPart:
    """The part of a task as it was last made."""
    return TaskPart.model_validate_json(part_file(kept, group, ".json").read_bytes())


def forget(kept: Path, groups: Collection[Group]) -> None:
    """Remove what is kept of tasks that are not among `groups`."""
    names = {part_file(kept, group, "").name for group in groups}
    tasks = {lines_file(kept, slug(group[0])) for group in groups}
    for file in (kept / "tasks").iterdir():
        if file.name.partition(".")[0] not in names:
            file.unlink()
    for file in (kept / "entries").iterdir():
        if file not in tasks:
            file.unlink()


def _publish(out: Path, kept: Path, job: TaskJob, read: Read) -> None:
    group, outputs = job.group, Outputs(out)
    rows = unranked_rows(kept_entries(kept, group))
    keys = {id(row.entry): row.key for row in rows}

    def samples(entry: Entry) -> Samples | None:
        return read(keys[id(entry)], entry.samples.sha256)

    tests = part_file(kept, group, ".tests.json")
    made = rank(rows, samples, _known(tests))
    write_atomically(tests, to_json(made))
    (table,) = tables_of(rows, {group: job.title})
    stem = f"figures/{slug('_'.join(filter(None, (group[0], group[2][:8]))))}"
    figures = []
    for name, chart in zip(("ece", "auroc"), bar_charts(rows, alone=True), strict=False):
        figures.append(f"{stem}_{name}.svg")  # there may be none
        outputs.write(figures[-1], chart.encode("utf-8"))
    outputs.write(f"site/{task_file(group)}", task_script(table, job.pages))
    lines = flat(rows)
    write_atomically(part_file(kept, group, ".csv"), csv_lines(lines))
    write_atomically(part_file(kept, group, ".arrow"), to_arrow(lines))
    part = TaskPart(
        readme=task_section(table, figures),
        latex=latex_table(table, MOST_ROWS),
        rows=[Row(row.key, row.score.method, row.main, row.rank) for row in rows],
        files=outputs.written,
    )
    write_atomically(part_file(kept, group, ".json"), part.model_dump_json().encode("utf-8"))


def _known(file: Path) -> dict[str, float]:
    try:
        return TypeAdapter(dict[str, float]).validate_json(file.read_bytes())
    except (OSError, ValueError):
        return {}


def _draw(job: TaskJob, read: Read) -> None:
    """Write the draws of the skills of rows to a file of NumPy's, a line for each row."""
    job.draws.parent.mkdir(parents=True, exist_ok=True)
    shape = (len(job.skills), RESAMPLES)
    made = np.lib.format.open_memmap(job.draws, mode="w+", dtype=np.float64, shape=shape)
    for place, drawn in skill_draws(job.group, job.skills, lambda row: read(row.key, row.samples)):
        made[place] = drawn
    made.flush()


def reader(store: Path) -> Read:
    """Reads samples of entries, each once; questions that many share are held once."""
    held: dict[str, Samples | None] = {}
    questions: dict[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]] = {}

    def read(key: str, sha256: str | None) -> Samples | None:
        if key not in held:
            packed = packed_samples(store, f"{key}{ENTRY}", sha256)
            if packed is None:
                held[key] = None
            else:
                made = samples_from_bytes(packed, f"the samples of '{key}{ENTRY}'")
                both = made.ids, made.questions
                ids, texts = questions.setdefault(both, both)
                held[key] = Samples(ids, texts, None, made.correct, made.confidence, made.values)
        return held[key]

    return read
