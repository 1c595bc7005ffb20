"""The steps of a build, each for what has changed since the last."""

from __future__ import annotations

import gc
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from calib_leaderboards.pages.changes import changed_entries, unsure
from calib_leaderboards.pages.data import rank_file, rank_script
from calib_leaderboards.pages.index import ENTRY, files_seen, program_digest
from calib_leaderboards.pages.kept import FOLDER, Kept, load_kept, save_kept
from calib_leaderboards.pages.model_part import ModelJob, model_part
from calib_leaderboards.pages.names import anchor, model_pages
from calib_leaderboards.pages.outputs import Outputs, Unit, content_of, lost_files, remove
from calib_leaderboards.pages.readme import readme
from calib_leaderboards.pages.site import Listed, site_files
from calib_leaderboards.pages.survey import (
    Facts,
    Item,
    Surveyed,
    forget,
    load_survey,
    part_file,
    survey,
    task_of,
)
from calib_leaderboards.pages.task_part import TaskJob, TaskPart, kept_part, task_part
from calib_leaderboards.store.paths import slug
from calib_leaderboards.tables.formats import csv_heading, to_latex
from calib_leaderboards.tables.overview import (
    RESAMPLES,
    Skill,
    compared,
    interval_of,
    overview_pairs,
)
from calib_leaderboards.tables.parquet import read_table, to_parquet
from calib_leaderboards.tables.row import Group
from calib_leaderboards.tables.table import group_names

_FEW = 400  # entries that are not worth the start of another process
_MODELS = 20  # of a job
Job = TypeVar("Job")
Made = TypeVar("Made")
Each = Callable[[Callable[[Any], Made], Sequence[Any]], Iterator[Made]]


def build(
    store: Path,
    out: Path,
    link: str | None,
    processes: int = 1,
    figures: Iterable[tuple[str, bytes]] = (),
) -> None:
    """Publish a store. link: where it lies below `out`. figures: more files to publish.

    See `publish.build_store`.
    """
    with _uncollected(), ExitStack() as stack:
        _build(store, out, link, processes, figures, stack)


def _build(
    store: Path,
    out: Path,
    link: str | None,
    processes: int,
    figures: Iterable[tuple[str, bytes]],
    stack: ExitStack,
) -> None:
    began, folder = time.time_ns(), out / FOLDER
    before, old = load_kept(folder, f"{program_digest()} {link}")
    found, paths = files_seen(store)
    lost = set(lost_files(out, before.units()))
    doubtful = unsure(found, before.folders, before.began)
    if before.began and not (doubtful or lost or before.folders.keys() - found or figures):
        return
    paths.sort()
    last = {task: load_survey(folder, task) for task in {slug(t[0]) for t, _ in before.tasks}}
    items = {path: item for each in last.values() for path, item in each.items.items()}
    changed = changed_entries(store, paths, doubtful, items)
    if not paths:
        raise FileNotFoundError(
            f"'{store}' has no entries; add runs with `calibench leaderboard add`."
        )
    gone = items.keys() - set(paths)
    touched = {task_of(path) for path in changed | gone}
    if before.began and not (touched or lost or figures):
        if before.folders != found:  # files that were touched and have the same content
            before.folders, before.began = found, began
            save_kept(folder, before)
        return
    each = stack.enter_context(_workers(processes if len(changed) > _FEW else 1))
    now = Kept(program=before.program, began=began, folders=found)
    of_task = {task: set(last[task].items) - gone if task in last else set() for task in touched}
    for path in changed:
        of_task[task_of(path)].add(path)
    jobs = [(sorted(those), changed & those) for _, those in sorted(of_task.items()) if those]
    last = {task: each for task, each in last.items() if of_task.get(task, True)}
    last |= each(partial(_survey_one, store, folder), jobs)
    facts = {group: fact for survey in last.values() for group, fact in survey.facts.items()}
    items = {path: item for survey in last.values() for path, item in survey.items.items()}
    items = {path: items[path] for path in paths}
    order = sorted(
        sorted(facts), key=lambda group: (not facts[group].confidences, -facts[group].rows)
    )
    titles = group_names(order)
    of_model: dict[str, list[str]] = {}
    for path, item in items.items():
        of_model.setdefault(item.model, []).append(path)
    pages = model_pages(of_model)
    core, used = compared({group: facts[group].skills for group in order if facts[group].skills})

    parts = _tasks(store, out, folder, titles, pages, used, items, facts, before, now, lost, each)
    preview = any(fact.preview for fact in facts.values())
    same = before.tasks == now.tasks and lost.isdisjoint(before.large.files)
    with ThreadPoolExecutor(1) as aside:  # compression does not keep Python from other work
        parquet = None if same else aside.submit(_parquet, folder, sorted(facts))
        _models(store, out, of_model, pages, titles, parts, items, preview, before, now, lost, each)
        now.large = before.large
        if parquet is not None:
            now.large = _large_tables(out, folder, sorted(facts), parquet.result())

    pairs = overview_pairs(core, used, {who: found[1:] for who, found in now.pairs.items()})
    outputs = Outputs(out)
    for name, content in figures:
        outputs.write(name, content)
    cores = [titles[group] for group in core]
    sections = [parts[group].readme for group in order]
    outputs.write("README.md", readme(list(titles.values()), sections, cores, pairs, link))
    outputs.write("leaderboard.tex", to_latex(parts[group].latex for group in order))
    listed = {
        name: Listed(
            pages[name],
            max(items[path].parameters or 0 for path in its),
            len({items[path].group for path in its}),
        )
        for name, its in of_model.items()
    }
    tasks = [(titles[group], group, facts[group].rows) for group in order]
    for name, content in site_files(tasks, listed, len(paths), cores, pairs, preview):
        outputs.write(name, content)
    now.shared = outputs.unit()
    for name in old - now.files():
        remove(out, name)
    forget(folder, facts)
    save_kept(folder, now)


def _survey_one(
    store: Path, folder: Path, job: tuple[Sequence[str], set[str]]
) -> tuple[str, Surveyed]:
    return survey(store, folder, *job)


def _tasks(
    store: Path,
    out: Path,
    folder: Path,
    titles: Mapping[Group, str],
    pages: Mapping[str, str],
    used: Mapping[str, Mapping[Group, Skill]],
    items: Mapping[str, Item],
    facts: Mapping[Group, Facts],
    before: Kept,
    now: Kept,
    lost: set[str],
    each: Each[Any],
) -> dict[Group, TaskPart]:
    """Make the parts of tasks that are not as they were, and the intervals of the overview."""
    odd = {name: page for name, page in pages.items() if page != f"model/{slug(name)}.html"}
    parts: dict[Group, TaskPart] = {}
    jobs = []
    old = dict(before.tasks)
    marks = {who: _mark(rows.values()) for who, rows in used.items()}
    known = {who: found for who, found in before.pairs.items() if found[0] == marks.get(who)}
    stale = [who for who in used if who not in known]
    for number, group in enumerate(sorted(titles)):
        models = {item.model for item in items.values() if item.group == group} if odd else set()
        pages_of = sorted(odd[name] for name in odd.keys() & models)
        key = _digest([titles[group], facts[group].mark, pages_of])
        unit = old.get(group)
        same = unit is not None and unit.key == key and lost.isdisjoint(unit.files)
        if same:
            parts[group] = kept_part(folder, group)
        rows = [used[who][group] for who in stale if group in used[who]]
        if rows or not same:
            draws = folder / "draws" / f"{number}.npy"
            jobs.append(
                TaskJob(group, key, not same, titles[group], {} if same else pages, rows, draws)
            )
    sums = np.zeros((len(stale), RESAMPLES))
    places = {who: place for place, who in enumerate(stale)}
    for job, _ in zip(jobs, each(partial(task_part, store, out, folder), jobs), strict=True):
        if job.skills:
            sums[[places[row.who] for row in job.skills]] += np.load(job.draws, mmap_mode="r")
            job.draws.unlink()
        if job.publish:
            parts[job.group] = kept_part(folder, job.group)
    fresh = {who: (marks[who], *interval_of(sums[places[who]] / len(used[who]))) for who in stale}
    now.pairs = {who: known.get(who) or fresh[who] for who in used}
    now.tasks = [(group, parts[group].unit) for group in sorted(titles)]
    return parts


def _models(
    store: Path,
    out: Path,
    of_model: Mapping[str, Sequence[str]],
    pages: Mapping[str, str],
    titles: Mapping[Group, str],
    parts: Mapping[Group, TaskPart],
    items: Mapping[str, Item],
    preview: bool,
    before: Kept,
    now: Kept,
    lost: set[str],
    each: Each[Any],
) -> None:
    """Make the pages of models that are not as they were, and their ranks."""
    main: dict[str, list[str]] = {}
    ranks: dict[str, list[tuple[str, int]]] = {}
    for part in parts.values():
        for key, method, is_main, rank in part.rows:
            if is_main:
                main.setdefault(key, []).append(method)
            if rank is not None:
                ranks.setdefault(key, []).append((method, rank))
    jobs = []
    units: dict[str, Unit] = {}
    rank_units: dict[str, Unit] = {}
    moved: list[tuple[str, str, list[tuple[str, list[tuple[str, int]]]]]] = []
    for name, paths in of_model.items():
        bases = [path.removesuffix(ENTRY) for path in paths]
        last, last_ranks = before.models.get(name, (None, None))
        its = [items[path] for path in paths]
        placed = [(base, ranks[base]) for base in bases if base in ranks]
        key = _digest(placed)
        if last_ranks and last_ranks.key == key and lost.isdisjoint(last_ranks.files):
            rank_units[name] = last_ranks
        else:
            moved.append((name, key, placed))
        told = [
            (base, item.sha, titles[item.group], main.get(base))
            for base, item in zip(bases, its, strict=True)
        ]
        key = _digest([pages[name], preview, told])
        if last and last.key == key and lost.isdisjoint(last.files):
            units[name] = last
            continue
        jobs.append(
            ModelJob(
                name=name,
                key=key,
                page=pages[name],
                entries=[(path, item.samples) for path, item in zip(paths, its, strict=True)],
                main=frozenset((base, method) for base in bases for method in main.get(base, ())),
                titles={item.group: titles[item.group] for item in its},
                preview=preview,
            )
        )
    chunks = [jobs[start : start + _MODELS] for start in range(0, len(jobs), _MODELS)]
    pages_made = each(partial(_models_of, store, out), chunks)  # begins, if in other processes
    for name, key, placed in moved:
        outputs = Outputs(out)
        of_id = {anchor(base, method): n for base, found in placed for method, n in found}
        outputs.write(f"site/{rank_file(name)}", rank_script(of_id))
        rank_units[name] = outputs.unit(key)
    for made in pages_made:
        units |= made
    now.models = {name: (units[name], rank_units[name]) for name in of_model}


def _models_of(store: Path, out: Path, jobs: Sequence[ModelJob]) -> dict[str, Unit]:
    return {job.name: model_part(store, out, job) for job in jobs}


def _parquet(folder: Path, groups: Sequence[Group]) -> bytes:
    return to_parquet(read_table(part_file(folder, group, ".arrow")) for group in groups)


def _large_tables(out: Path, folder: Path, groups: Sequence[Group], parquet: bytes) -> Unit:
    """leaderboard.csv and leaderboard.parquet: the lines of all tasks, one after the other."""
    outputs = Outputs(out)
    csv = (content_of(part_file(folder, group, ".csv")) for group in groups)
    outputs.write_parts("leaderboard.csv", chain([csv_heading()], *csv))
    outputs.write("leaderboard.parquet", parquet)
    return outputs.unit()


def _mark(rows: Iterable[Skill]) -> str:
    """Tells whether the interval of a row of the overview is made of the same."""
    return _digest(sorted(row.mark for row in rows))


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]


@contextmanager
def _workers(processes: int) -> Iterator[Each]:
    """Yield what maps a function over jobs, here or in other processes, which start once."""
    if processes < 2:
        yield lambda function, jobs: map(partial(_work, function), jobs)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield lambda function, jobs: pool.map(partial(_work, function), jobs)


def _work(function: Callable[[Job], Made], job: Job) -> Made:
    with _uncollected():
        return function(job)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles, which millions of new numbers would set off in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
