"""The steps of a build, each for what has changed since the last."""

from __future__ import annotations

import gc
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from calib_leaderboards.pages.data import rank_file, rank_script
from calib_leaderboards.pages.index import ENTRY, files_seen, program_digest
from calib_leaderboards.pages.kept import FOLDER, Kept, Unit, load_kept, save_kept
from calib_leaderboards.pages.model_part import ModelJob, model_part
from calib_leaderboards.pages.names import anchor, model_pages
from calib_leaderboards.pages.outputs import Outputs, Seen, remove, seen_at
from calib_leaderboards.pages.readme import readme
from calib_leaderboards.pages.site import Listed, site_files
from calib_leaderboards.pages.survey import Facts, Item, packed_samples, survey, task_of
from calib_leaderboards.pages.task_part import (
    TaskJob,
    TaskPart,
    forget,
    kept_part,
    part_file,
    task_part,
)
from calib_leaderboards.store.paths import slug
from calib_leaderboards.tables.formats import csv_heading, to_latex, to_parquet
from calib_leaderboards.tables.overview import (
    RESAMPLES,
    Skill,
    compared,
    interval_of,
    overview_pairs,
)
from calib_leaderboards.tables.row import Group
from calib_leaderboards.tables.table import group_names

_RACE = 2 * 10**9  # ns: a file may change twice within what a file system's clock tells apart
_FEW = 400  # entries that are not worth the start of another process
_MODELS = 20  # of a job
Job = TypeVar("Job")
Made = TypeVar("Made")


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
    began, folder = time.time_ns(), out / FOLDER
    with _uncollected():
        before, old = load_kept(folder, f"{program_digest()} {link}")
        found = files_seen(store)
    if not found:
        raise FileNotFoundError(
            f"'{store}' has no entries; add runs with `calibench leaderboard add`."
        )
    lost = {name for name, state in old.items() if seen_at(f"{out}/{name}") != state}
    changed = {path for path, state in found.items() if not _known(store, path, state, before)}
    if before.began and not (changed or lost or before.entries.keys() - found.keys() or figures):
        return
    each = partial(_each, processes=processes if len(changed) > _FEW else 1)
    now = Kept(program=before.program, began=began)
    _survey(store, folder, found, changed, before, now, each)
    facts = dict(now.groups)
    order = sorted(
        sorted(facts), key=lambda group: (not facts[group].confidences, -facts[group].rows)
    )
    titles = group_names(order)
    of_model: dict[str, list[str]] = {}
    for path, (_, _, item) in now.entries.items():
        of_model.setdefault(item.model, []).append(path)
    pages = model_pages(of_model)
    core, used = compared({group: facts[group].skills for group in order if facts[group].skills})

    parts = _tasks(store, out, folder, titles, pages, used, before, now, lost, each)
    _models(store, out, of_model, pages, titles, parts, before, now, lost, each)

    pairs = overview_pairs(core, used, {who: found[1:] for who, found in now.pairs.items()})
    outputs = Outputs(out)
    for name, content in figures:
        outputs.write(name, content)
    cores = [titles[group] for group in core]
    sections = [parts[group].readme for group in order]
    outputs.write("README.md", readme(list(titles.values()), sections, cores, pairs, link))
    outputs.write("leaderboard.tex", to_latex(parts[group].latex for group in order))
    _large_tables(outputs, folder, sorted(facts), before, now, lost)
    listed = {
        name: Listed(
            pages[name],
            max(now.entries[path][2].parameters or 0 for path in paths),
            len({now.entries[path][2].group for path in paths}),
        )
        for name, paths in of_model.items()
    }
    tasks = [(titles[group], group, facts[group].rows) for group in order]
    preview = any(fact.preview for fact in facts.values())
    for name, content in site_files(tasks, listed, len(now.entries), cores, pairs, preview):
        outputs.write(name, content)
    now.shared = outputs.written
    for name in old.keys() - now.files().keys():
        remove(out, name)
    forget(folder, facts)
    save_kept(folder, now)


def _known(store: Path, path: str, state: tuple[Seen, Seen | None], before: Kept) -> bool:
    """Whether an entry and its samples are what the last build found.

    A file that changed just before that build may have changed again within one tick of the file
    system's clock, so that its content is asked.
    """
    if path not in before.entries:
        return False
    *last, item = before.entries[path]
    if list(state) != last:
        return False
    times = [time for seen in state if seen for time in seen[1:3]]
    if max(times) < before.began - _RACE:
        return True
    if hashlib.sha256((store / path).read_bytes()).hexdigest() != item.sha:
        return False
    try:
        packed_samples(store, path, item.samples)
    except (OSError, ValueError):
        return False
    return True


def _survey(
    store: Path,
    folder: Path,
    found: Mapping[str, tuple[Seen, Seen | None]],
    changed: set[str],
    before: Kept,
    now: Kept,
    each: Callable[..., Iterator[Any]],
) -> None:
    """Fill the entries and groups of `now`."""
    touched = {task_of(path) for path in changed | (before.entries.keys() - found.keys())}
    of_task: dict[str, list[str]] = {}
    for path in found:
        of_task.setdefault(task_of(path), []).append(path)
    jobs = [
        (of_task[task], changed.intersection(of_task[task]))
        for task in sorted(touched & of_task.keys())
    ]
    items: dict[str, Item] = {}
    facts = {group: fact for group, fact in before.groups if slug(group[0]) not in touched}
    for more, groups in each(partial(_survey_one, store, folder), jobs):
        items |= more
        facts |= groups
    now.groups = list(facts.items())
    now.entries = {
        path: (*state, items[path] if path in items else before.entries[path][2])
        for path, state in found.items()
    }


def _survey_one(
    store: Path, folder: Path, job: tuple[Sequence[str], set[str]]
) -> tuple[dict[str, Item], dict[Group, Facts]]:
    return survey(store, folder, *job)


def _tasks(
    store: Path,
    out: Path,
    folder: Path,
    titles: Mapping[Group, str],
    pages: Mapping[str, str],
    used: Mapping[str, Mapping[Group, Skill]],
    before: Kept,
    now: Kept,
    lost: set[str],
    each: Callable[..., Iterator[Any]],
) -> dict[Group, TaskPart]:
    """Make the parts of tasks that are not as they were, and the intervals of the overview."""
    members: dict[Group, list[tuple[str, Item]]] = {}
    for path, (_, _, item) in now.entries.items():
        members.setdefault(item.group, []).append((path, item))
    odd = {name: page for name, page in pages.items() if page != f"model/{slug(name)}.html"}
    parts: dict[Group, TaskPart] = {}
    jobs, keys = [], {}
    old = dict(before.tasks)
    marks = {who: _mark(rows) for who, rows in used.items()}
    known = {who: found for who, found in before.pairs.items() if found[0] == marks.get(who)}
    stale = [who for who in used if who not in known]
    for number, group in enumerate(sorted(titles)):
        whose = {item.model for _, item in members[group]}
        told = [(path, *item) for path, item in members[group]]
        of = [titles[group], told, [odd[name] for name in sorted(whose & odd.keys())]]
        key = keys[group] = _digest(of)
        unit = old.get(group)
        same = unit is not None and unit.key == key and lost.isdisjoint(unit.files)
        if same:
            parts[group] = kept_part(folder, group)
        rows = [used[who][group] for who in stale if group in used[who]]
        if rows or not same:
            draws = folder / "draws" / f"{number}.npy"
            of_task = {name: pages[name] for name in whose}
            jobs.append(TaskJob(group, not same, titles[group], of_task, rows, draws))
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
    now.tasks = [(group, Unit(key=key, files=parts[group].files)) for group, key in keys.items()]
    return parts


def _models(
    store: Path,
    out: Path,
    of_model: Mapping[str, Sequence[str]],
    pages: Mapping[str, str],
    titles: Mapping[Group, str],
    parts: Mapping[Group, TaskPart],
    before: Kept,
    now: Kept,
    lost: set[str],
    each: Callable[..., Iterator[Any]],
) -> None:
    """Make the pages of models that are not as they were, and their ranks."""
    main: dict[str, list[str]] = {}
    ranks: dict[str, dict[str, int]] = {}
    for part in parts.values():
        for row in part.rows:
            if row.main:
                main.setdefault(row.key, []).append(row.method)
            if row.rank is not None:
                ranks.setdefault(row.key, {})[anchor(row.key, row.method)] = row.rank
    preview = any(fact.preview for _, fact in now.groups)
    jobs, outputs, keys, rank_units = [], Outputs(out), {}, {}
    units: dict[str, Unit] = {}
    for name, paths in of_model.items():
        items = [(path, now.entries[path][2]) for path in paths]
        bases = [path.removesuffix(ENTRY) for path in paths]
        told = [(path, item[:2], titles[item.group]) for path, item in items]
        key = keys[name] = _digest([pages[name], preview, told, [main.get(base) for base in bases]])
        script = rank_script({k: v for base in bases for k, v in ranks.get(base, {}).items()})
        last, last_ranks = before.models.get(name, (None, None))
        digest = hashlib.sha256(script).hexdigest()
        if last_ranks and last_ranks.key == digest and lost.isdisjoint(last_ranks.files):
            rank_units[name] = last_ranks
        else:
            file = f"site/{rank_file(name)}"
            outputs.write(file, script)
            rank_units[name] = Unit(key=digest, files={file: outputs.written[file]})
        if last and last.key == key and lost.isdisjoint(last.files):
            units[name] = last
            continue
        jobs.append(
            ModelJob(
                name=name,
                page=pages[name],
                entries=[(path, item.samples) for path, item in items],
                main=frozenset((base, method) for base in bases for method in main.get(base, ())),
                titles={item.group: titles[item.group] for _, item in items},
                preview=preview,
            )
        )
    chunks = [jobs[start : start + _MODELS] for start in range(0, len(jobs), _MODELS)]
    for made in each(partial(_models_of, store, out), chunks):
        units |= {name: Unit(key=keys[name], files=files) for name, files in made.items()}
    now.models = {name: (units[name], rank_units[name]) for name in of_model}


def _models_of(store: Path, out: Path, jobs: Sequence[ModelJob]) -> dict[str, dict[str, Seen]]:
    return {job.name: model_part(store, out, job) for job in jobs}


def _large_tables(
    outputs: Outputs, folder: Path, groups: Sequence[Group], before: Kept, now: Kept, lost: set[str]
) -> None:
    """leaderboard.csv and leaderboard.parquet: the lines of all tasks, one after the other."""
    names = "leaderboard.csv", "leaderboard.parquet"
    if before.tasks == now.tasks and lost.isdisjoint(names):
        for name in names:
            outputs.keep(name, before.shared[name])
        return
    csv = (part_file(folder, group, ".csv").read_bytes() for group in groups)
    outputs.write_parts(names[0], chain([csv_heading()], csv))
    arrow = (part_file(folder, group, ".arrow").read_bytes() for group in groups)
    outputs.write(names[1], to_parquet(arrow))


def _mark(rows: Mapping[Group, Skill]) -> str:
    """Tells whether the interval of a row of the overview is made of the same."""
    return _digest([(group, row[4], *row[7:]) for group, row in sorted(rows.items())])


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _each(function: Callable[[Job], Made], jobs: Sequence[Job], processes: int) -> Iterator[Made]:
    """The results of jobs in their order, made here or in other processes."""
    work = partial(_work, function)
    if processes < 2 or len(jobs) < 2:
        yield from map(work, jobs)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, jobs)


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
