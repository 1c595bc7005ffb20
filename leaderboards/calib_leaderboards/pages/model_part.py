"""Third step of a build: the page of a model, its pictures, and the samples of its entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from calib_leaderboards.pages.data import (
    model_file,
    model_script,
    samples_file,
    samples_script,
)
from calib_leaderboards.pages.index import ENTRY
from calib_leaderboards.pages.models import model_page
from calib_leaderboards.pages.outputs import Outputs, Unit
from calib_leaderboards.pages.render import render
from calib_leaderboards.pages.survey import packed_samples
from calib_leaderboards.store.entry import entry_from_json
from calib_leaderboards.store.read import read_small
from calib_leaderboards.tables.of_entry import rows_of
from calib_leaderboards.tables.row import EntryRow, Group
from calib_leaderboards.tables.table import tables_of


class ModelJob(NamedTuple):
    """A model to publish.

    key: of its unit. entries: their paths and sha256 of their samples. main: the rows (key, method)
    that stand in main tables. titles: of its groups. preview: whether a row of the board is of a
    part of a task.
    """

    name: str
    key: str
    page: str
    entries: Sequence[tuple[str, str | None]]
    main: frozenset[tuple[str, str]]
    titles: Mapping[Group, str]
    preview: bool


def model_part(store: Path, out: Path, job: ModelJob) -> Unit:
    """Write the page of a model and its scripts."""
    outputs = Outputs(out)
    rows: list[EntryRow] = []
    samples: dict[str, list[bytes]] = {}
    for path, sha256 in job.entries:
        file = f"{store}/{path}"
        entry = entry_from_json(read_small(file), f"'{file}'")
        key = path.removesuffix(ENTRY)
        for row in rows_of(entry, key):
            row.main = (key, row.method) in job.main
            rows.append(row)
        packed = packed_samples(store, path, sha256)
        if packed is not None:
            samples.setdefault(samples_file(key, entry.n), []).append(samples_script(key, packed))
    for name, scripts in samples.items():
        outputs.write(f"site/{name}", b"".join(scripts))
    rows.sort(key=lambda row: (row.group, row.key))
    tables = tables_of(rows, job.titles)
    outputs.write(f"site/{model_file(job.name)}", model_script(job.name, tables))
    page = render("model.html", root="../", here="", model=model_page(tables), preview=job.preview)
    outputs.write(f"site/{job.page}", page)
    return outputs.unit(job.key)
