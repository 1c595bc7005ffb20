"""Add runs to a store: all of them or none, one add at a time."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from calib_leaderboards.runs import find_runs
from calib_leaderboards.runs.run import last_part
from calib_leaderboards.store.entry import Entry, entry_from_json, entry_to_json
from calib_leaderboards.store.make import Made, make_all
from calib_leaderboards.store.paths import refuse_special, samples_path, slug
from calib_leaderboards.store.read import read_entry

LOCK = ".lock"
_PATIENCE = 120.0  # seconds that an add waits while no other one gets anything done
_PART = re.compile(r"\.[0-9a-f]{16}\.part")  # what `_stage` writes before it is renamed


def add(
    results: Sequence[Path],
    store: Path,
    replace: bool = False,
    *,
    adapters: Sequence[Path] = (),
    note: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Path]:
    """Add every task of the lm-eval runs below `results` to the store; return the entries' files.

    replace: let the new entry replace one of the same model, task and setting.
    adapters: folders of adapters that the runs used; the sha256 of their weights is recorded.
    note: what readers of the scores need to know about the runs, at most 300 characters.
    resamples, seed: of the bootstrap behind the intervals.

    What is left out (see `make_all`) is logged as a warning. Everything is computed and checked
    before the first file is written, so that an error leaves the store as it was.

    Raises ValueError for a run that cannot be published (`make_all`), a duplicate, another
    version of a task or other questions than the store has, or a store with symbolic links;
    FileNotFoundError for missing results, logs or adapters; RuntimeError if another add does not
    finish.
    """
    store = Path(store)
    runs = find_runs(results)
    used = {adapter.name for run in runs for adapter in run.adapters}
    folders = _by_name(adapters, used)
    made = make_all(runs, adapters=folders, note=note, resamples=resamples, seed=seed)
    with locked(store):
        _remove_parts(store)
        _check(store, made, replace)
        _write(store, made)
    return [store / path for path in made]


def _by_name(adapters: Sequence[Path], used: set[str]) -> Mapping[str, Path]:
    folders: dict[str, Path] = {}
    for folder in adapters:
        name = last_part(str(folder.resolve()))
        if name not in used:
            known = ", ".join(sorted(used)) or "none"
            raise ValueError(
                f"No run used an adapter with the name of '{folder}'; the runs used: {known}."
            )
        if name in folders:
            raise ValueError(
                f"'{folders[name]}' and '{folder}' have the same name; add them one after the "
                "other."
            )
        folders[name] = folder
    return folders


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Lock the store, which is created if it does not exist."""
    store.mkdir(parents=True, exist_ok=True)
    refuse_special(store, PurePosixPath(LOCK))
    lock = FileLock(store / LOCK, timeout=_PATIENCE)
    while not lock.is_locked:
        before = _last_change(store)
        try:
            lock.acquire()
        except Timeout:
            if _last_change(store) == before:  # else there are many, and each may be the last
                raise RuntimeError(
                    f"Another add has held '{store / LOCK}' for {_PATIENCE:.0f} seconds; wait for "
                    "it, or stop it."
                ) from None
    try:
        yield
    finally:
        lock.release()


def _last_change(store: Path) -> int:
    """When an entry was last written, in nanoseconds: that changes its folder's time."""
    return max(folder.stat().st_mtime_ns for folder in (store, *store.glob("*/*/")))


def _remove_parts(store: Path) -> None:
    """Remove what killed adds left behind. Only the holder of the lock writes here."""
    for part in store.glob("*/*/.*.part"):
        if _PART.fullmatch(part.name) and part.is_file() and not part.is_symlink():
            part.unlink(missing_ok=True)


def _check(store: Path, made: Made, replace: bool) -> None:
    """Raise ValueError if an entry may not be written.

    Entries that a killed add of the same runs has written are not duplicates while others are
    missing.
    """
    unfinished = any(not (store / path).exists() for path in made)
    for path, (entry, packed) in made.items():
        for file in (path, samples_path(path)):
            refuse_special(store, file)
        if (store / path).exists():
            if unfinished and (store / path).read_bytes() == entry_to_json(entry):
                continue
            _check_duplicate(store / path, path, entry, replace)
        else:
            _check_leftover(store / samples_path(path), packed)
    for task in {entry.task.name for entry, _ in made.values()}:
        known = [(path, entry) for path, (entry, _) in made.items() if entry.task.name == task]
        for file in sorted(store.glob(f"*/*/{slug(task)}--*.json")):
            path = PurePosixPath(file.relative_to(store).as_posix())
            if path not in made:
                known.insert(0, (path, read_entry(store, path)))
        _check_same_task(task, known)


def _check_duplicate(file: Path, path: PurePosixPath, entry: Entry, replace: bool) -> None:
    if not replace:
        raise ValueError(
            f"'{file}' is already in the store; pass --replace to put "
            f"{entry.provenance.results.file} in its place."
        )
    try:
        old = entry_from_json(file.read_bytes(), f"'{file}'")
    except ValueError:
        return  # damaged: that is what --replace is for
    if (old.model.name, old.task.name) != (entry.model.name, entry.task.name):
        raise ValueError(
            f"'{file}' is an entry of {old.model.name} on {old.task.name}; {path} cannot take its "
            "place."
        )


def _check_leftover(samples: Path, packed: bytes | None) -> None:
    """Refuse to replace samples without an entry, unless an add of this run left them."""
    if samples.exists() and samples.read_bytes() != packed:
        raise ValueError(
            f"'{samples}' exists without an entry and holds something else; remove it and add the "
            "run again."
        )


def _check_same_task(task: str, known: Sequence[tuple[PurePosixPath, Entry]]) -> None:
    """Check that all entries of a task have the same version and, for confidence tasks, questions.

    The questions of other tasks have no ids, and some tasks shuffle their options: their
    fingerprints may differ for no reason.
    """
    (first_path, first), *others = known
    for path, entry in others:
        if entry.task.version != first.task.version:
            raise ValueError(
                f"{task} has version {entry.task.version} in '{path}', and version "
                f"{first.task.version} in '{first_path}': their scores cannot be compared. "
                "Evaluate with the same version, or keep the versions in two stores."
            )
    of_data: dict[str | None, tuple[PurePosixPath, str]] = {}
    for path, entry in known:
        if entry.task.source == "calibench":
            data = entry.provenance.data_fingerprint
            other, expected = of_data.setdefault(entry.task.split, (path, data))
            if data != expected:
                raise ValueError(
                    f"{task}: '{path}' and '{other}' are about different questions or targets "
                    f"(split {entry.task.split}): their scores cannot be compared. Evaluate on the "
                    "same data, or keep them in two stores."
                )


def _write(store: Path, made: Made) -> None:
    """Write all parts first, then move them into place: an interruption leaves no partial file."""
    parts: list[tuple[Path, Path]] = []
    stale: list[Path] = []
    try:
        for path, (entry, packed) in made.items():
            file = store / path
            _make_folder(file.parent)
            if packed is None:
                stale.append(samples_path(file))
            else:
                _stage(samples_path(file), packed, parts)
            _stage(file, entry_to_json(entry), parts)
        for part, file in parts:
            os.replace(part, file)
        for file in stale:
            file.unlink(missing_ok=True)
    finally:
        for part, _ in parts:
            part.unlink(missing_ok=True)


def replace_entries(store: Path, entries: Mapping[PurePosixPath, Entry]) -> None:
    """Write entries over those of the same paths, all staged before the first is moved."""
    parts: list[tuple[Path, Path]] = []
    try:
        for path, entry in entries.items():
            _stage(store / path, entry_to_json(entry), parts)
        for part, file in parts:
            os.replace(part, file)
    finally:
        for part, _ in parts:
            part.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(
            f"'{folder}' cannot be created, because a file has the name of one of its folders; "
            "remove that file."
        ) from error


def _stage(file: Path, content: bytes, parts: list[tuple[Path, Path]]) -> None:
    part = file.with_name(f".{secrets.token_hex(8)}.part")
    parts.append((part, file))
    with part.open("xb") as out:  # "x": never through a link, never over a file
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
