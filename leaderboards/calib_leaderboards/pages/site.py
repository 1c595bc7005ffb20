"""All files of a build, one after the other, from entries and their samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from calib_leaderboards.pages.data import (
    board_script,
    model_file,
    model_script,
    samples_script,
    task_file,
    task_script,
)
from calib_leaderboards.pages.models import bar_charts, model_page
from calib_leaderboards.pages.names import breakable, counted, model_pages, size_text
from calib_leaderboards.pages.overview import overview_page, overview_script
from calib_leaderboards.pages.readme import MOST_ROWS, readme
from calib_leaderboards.store.entry import Entry
from calib_leaderboards.store.paths import entry_path, slug
from calib_leaderboards.store.samples import Samples, samples_from_bytes
from calib_leaderboards.tables.formats import flat, to_csv, to_latex, to_parquet
from calib_leaderboards.tables.overview import Pair, overview
from calib_leaderboards.tables.row import Group, TableRow
from calib_leaderboards.tables.rows import preview, rank, unranked_rows
from calib_leaderboards.tables.table import Table, tables_of

_HERE = Path(__file__).parent


def files(
    entries: Sequence[Entry], packed: Callable[[Entry], bytes], link: str | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield every file of a build as (path below the output folder, content).

    packed: reads the samples of an entry that has some. link: where the entries lie below the
    output folder; None if they are elsewhere. Raises ValueError for samples that are not those of
    their entry.
    """
    # The samples of one task at a time: those of all would not fit in memory.
    held: dict[str, Samples] = {}

    def samples(entry: Entry) -> Samples | None:
        if entry.samples.file is None:
            return None
        path = str(entry_path(entry))
        if path not in held:
            held[path] = samples_from_bytes(entry, packed(entry), f"the samples of '{path}'")
        return held[path]

    rows = unranked_rows(entries)
    tables = tables_of(rows)

    def ranked(table: Table) -> None:
        rank(table.rows, samples)
        held.clear()

    core, pairs = overview(tables, samples, ranked)
    lines = flat(rows)
    yield "leaderboard.csv", to_csv(lines)
    yield "leaderboard.parquet", to_parquet(lines)
    yield "leaderboard.tex", to_latex(tables, MOST_ROWS)
    figures: dict[Group, list[str]] = {}
    for table in tables:
        group = table.group
        stem = f"figures/{slug('_'.join(filter(None, (group[0], group[2][:8]))))}"
        charts = bar_charts(table.rows, alone=True)
        for name, chart in zip(("ece", "auroc"), charts, strict=False):  # a figure may be missing
            path = f"{stem}_{name}.svg"
            figures.setdefault(group, []).append(path)
            yield path, chart.encode("utf-8")
    yield "README.md", readme(tables, core, pairs, figures, link)
    yield from _site(rows, tables, core, pairs, packed)


def _site(
    rows: list[TableRow],
    tables: list[Table],
    core: list[Table],
    pairs: list[Pair],
    packed: Callable[[Entry], bytes],
) -> Iterator[tuple[str, bytes]]:
    # autoescape: names come from files that anyone may have written.
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.globals["preview"] = bool(preview(rows))
    templates.filters["breakable"] = breakable

    def page(template: str, **values: object) -> bytes:
        return templates.get_template(template).render(**values).encode("utf-8")

    of_model: dict[str, list[TableRow]] = {}
    for row in rows:
        of_model.setdefault(row.entry.model.name, []).append(row)
    pages = model_pages(of_model)
    entries = {row.key: row.entry for row in rows}
    yield "site/.nojekyll", b""
    for path in sorted((_HERE / "assets").iterdir()):
        yield f"site/assets/{path.name}", path.read_bytes()
    yield "site/data/board.js", board_script(tables)
    for table in tables:
        yield f"site/{task_file(table.group)}", task_script(table, pages)
    titles = {table.group: table.title for table in tables}
    of_pages = {name: tables_of(members, titles) for name, members in of_model.items()}
    for name, members_tables in of_pages.items():
        yield f"site/{model_file(name)}", model_script(name, members_tables)
    counts = [
        counted(len(entries), "entry", "entries"),
        counted(len(of_model), "model"),
        counted(len(tables), "task"),
    ]
    shown = overview_page(core, pairs, pages)
    if pairs:
        yield "site/data/overview.js", overview_script(shown)
    yield (
        "site/index.html",
        page("index.html", root="", here="Overview", counts=counts, overview=shown),
    )
    yield "site/tasks.html", page("tasks.html", root="", here="Tasks", counts=counts)
    yield "site/compare.html", page("compare.html", root="", here="Compare two")
    listed = [
        {
            "name": name,
            "page": pages[name],
            "facts": [
                *filter(
                    None,
                    [size_text(max(row.entry.model.parameters or 0 for row in members) or None)],
                ),
                counted(len({row.group for row in members}), "task"),
            ],
        }
        for name, members in sorted(of_model.items(), key=lambda item: item[0].lower())
    ]
    yield "site/models.html", page("models.html", root="", here="Models", models=listed)
    for name, members_tables in of_pages.items():
        model = model_page(members_tables)
        yield f"site/{pages[name]}", page("model.html", root="../", here="", model=model)
    for key, entry in entries.items():
        if entry.samples.file is not None:
            yield f"site/samples/{key}.js", samples_script(key, packed(entry))
