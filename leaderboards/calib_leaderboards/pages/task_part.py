"""Second step of a build: the ranks of a task, and everything that is made of its rows alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic_core import from_json, to_json

from calib_leaderboards.pages.data import task_file, task_script
from calib_leaderboards.pages.index import ENTRY
from calib_leaderboards.pages.models import bar_charts
from calib_leaderboards.pages.outputs import Outputs, Unit
from calib_leaderboards.pages.readme import MOST_ROWS, task_section
from calib_leaderboards.pages.survey import KeptRow, kept_rows, packed_samples, part_file
from calib_leaderboards.store.paths import slug
from calib_leaderboards.store.samples import Samples, samples_from_bytes
from calib_leaderboards.tables.formats import csv_filled, latex_table
from calib_leaderboards.tables.overview import RESAMPLES, Skill, skill_draws
from calib_leaderboards.tables.parquet import read_table, with_ranks, write_table
from calib_leaderboards.tables.row import Group
from calib_leaderboards.tables.rows import rank
from calib_leaderboards.tables.table import tables_of
from calib_metrics.outputs import write_atomically


class TaskPart(NamedTuple):
    """What a task gives to the files that show several tasks, and its own files.

    rows: key and method of each, whether it is in the main table, and its rank.
    """

    readme: str
    latex: str
    rows: list[tuple[str, str, bool, int | None]]
    unit: Unit


class TaskJob(NamedTuple):
    """A task to publish, and rows of the overview whose resamples are wanted.

    key: of its unit. publish: whether the task is to be published, or only those rows are wanted.
    pages: of the models. draws: the file to write the resamples to.
    """

    group: Group
    key: str
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


def kept_part(kept: Path, group: Group) -> TaskPart:
    """The part of a task as it was last made."""
    content = part_file(kept, group, ".json").read_bytes()
    readme, latex, rows, unit = from_json(content)
    return TaskPart(readme, latex, rows, Unit(*unit))


def _publish(out: Path, kept: Path, job: TaskJob, read: Read) -> None:
    group, outputs = job.group, Outputs(out)
    found = [each for each in kept_rows(kept, slug(group[0])) if each.row.group == group]
    rows = [each.row for each in found]
    tests = part_file(kept, group, ".tests.json")
    made = rank(rows, lambda row: read(row.key, row.samples), _known(tests))
    write_atomically(tests, to_json(made))
    (table,) = tables_of(rows, {group: job.title})
    stem = f"figures/{slug('_'.join(filter(None, (group[0], group[2][:8]))))}"
    figures = []
    for name, chart in zip(("ece", "auroc"), bar_charts(rows, alone=True), strict=False):
        figures.append(f"{stem}_{name}.svg")  # there may be none
        outputs.write(figures[-1], chart.encode("utf-8"))
    outputs.write(f"site/{task_file(group)}", task_script(table, job.pages))
    _keep_lines(kept, group, found, table.main_metric)
    part = TaskPart(
        readme=task_section(table, figures),
        latex=latex_table(table, MOST_ROWS),
        rows=[(row.key, row.method, row.main, row.rank) for row in rows],
        unit=outputs.unit(job.key),
    )
    write_atomically(part_file(kept, group, ".json"), to_json(list(part)))


def _keep_lines(kept: Path, group: Group, found: Sequence[KeptRow], ranked_by: str) -> None:
    """Keep the lines of the large tables with what the rows gained beside each other."""
    main, ranks = list[bool](), list[int | None]()

    def csv() -> Iterator[bytes]:
        for row, lines in found:
            names = list(row.metrics)
            place = names.index(ranked_by) if ranked_by in row.metrics else 0
            yield csv_filled(lines, row.main, row.rank, place)
            main.extend([row.main] * len(names))
            ranks.extend(row.rank if name == ranked_by else None for name in names)

    write_atomically(part_file(kept, group, ".csv"), csv())
    file = part_file(kept, group, ".arrow")
    write_atomically(file, write_table(with_ranks(read_table(file), main, ranks)))


def _known(file: Path) -> dict[str, float]:
    try:
        return dict(from_json(file.read_bytes()))
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
