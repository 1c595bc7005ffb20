"""Third step of a build: the pages and scripts that show more than one task or model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from calib_leaderboards.pages.data import board_script
from calib_leaderboards.pages.names import counted, size_text
from calib_leaderboards.pages.overview import overview, overview_page, overview_scripts
from calib_leaderboards.pages.render import render
from calib_leaderboards.tables.overview import Pair
from calib_leaderboards.tables.row import Group

_HERE = Path(__file__).parent


class Listed(NamedTuple):
    """What the list of models shows of one."""

    page: str
    parameters: int | None
    tasks: int


def site_files(
    tasks: Sequence[tuple[str, Group, int]],
    models: Mapping[str, Listed],
    entries: int,
    core: Sequence[str],
    pairs: Sequence[Pair],
    preview: bool,
) -> Iterator[tuple[str, bytes]]:
    """All files of the site that are of no model and no task alone, as (path, content).

    tasks: title, group and number of rows of each. core: titles of the overview's tasks.
    """

    def page(template: str, here: str, **values: object) -> tuple[str, bytes]:
        made = render(template, root="", here=here, preview=preview, **values)
        return f"site/{template}", made

    yield "site/.nojekyll", b""
    for path in sorted((_HERE / "assets").iterdir()):
        yield f"site/assets/{path.name}", path.read_bytes()
    yield "site/data/board.js", board_script(tasks)
    counts = [
        counted(entries, "entry", "entries"),
        counted(len(models), "model"),
        counted(len(tasks), "task"),
    ]
    pages = {name: model.page for name, model in models.items()}
    made = overview(core, pairs, pages)
    if pairs:
        for name, content in overview_scripts(made):
            yield f"site/{name}", content
    yield page("index.html", "Overview", counts=counts, overview=overview_page(made))
    yield page("tasks.html", "Tasks", counts=counts)
    yield page("compare.html", "Compare two")
    listed = [
        {
            "name": name,
            "page": model.page,
            "facts": [
                *filter(None, [size_text(model.parameters or None)]),
                counted(model.tasks, "task"),
            ],
        }
        for name, model in sorted(models.items(), key=lambda item: item[0].lower())
    ]
    yield page("models.html", "Models", models=listed)
