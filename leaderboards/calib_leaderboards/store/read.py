"""Read a store, and check every entry against its schema and its path."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from calib_leaderboards.store.entry import Entry, entry_from_json
from calib_leaderboards.store.paths import (
    SAMPLES,
    entry_key,
    entry_path,
    refuse_special,
    samples_path,
)
from calib_leaderboards.store.samples import Samples, unpack_samples

LARGEST_ENTRY = 16 * 2**20  # bytes


def read_entries(folder: Path) -> list[Entry]:
    """Return all entries of a store by their paths, in the order of the paths.

    Hidden files and folders are skipped. Raises FileNotFoundError if there is no such folder, or if
    samples that an entry names are not beside it; ValueError, naming the file, for a JSON file that
    is not an entry or is not where its content says, and for links, pipes and devices.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no store '{folder}'; make it with `calibench leaderboard add`."
        )
    return [read_entry(folder, path) for path in _files(folder)]


def read_entry(folder: Path, relative: Path | PurePosixPath) -> Entry:
    """Return one entry of a store by its path; raises as `read_entries`."""
    refuse_special(folder, relative)
    return checked_entry(folder, relative.as_posix(), read_small(folder / relative))


def read_small(file: str | Path) -> bytes:
    """Return a file of a store; ValueError if it is too large for an entry."""
    with open(file, "rb") as content:
        if (size := os.fstat(content.fileno()).st_size) > LARGEST_ENTRY:
            raise ValueError(f"'{file}' has {size:,} bytes, too many for an entry; remove it.")
        return content.read()


def checked_entry(folder: Path, relative: str, content: bytes) -> Entry:
    """Return the entry that a file of a store holds; raises as `read_entries`."""
    file = f"{folder}/{relative}"
    entry = entry_from_json(content, f"'{file}'")
    if f"{entry_key(entry)}.json" != relative:
        raise ValueError(
            f"'{file}' holds the entry of '{entry_path(entry)}'; it was moved or edited. Remove it "
            "and add the run again."
        )
    samples = f"{file.removesuffix('.json')}{SAMPLES}"
    name = samples.rpartition("/")[2]
    if entry.samples.file not in (None, name):
        raise ValueError(
            f"'{file}' names other samples than its own ('{entry.samples.file}'); it was edited. "
            "Add the run again with --replace."
        )
    if entry.samples.file is not None and not os.path.isfile(samples):
        raise FileNotFoundError(
            f"'{file}' names samples that are not beside it ('{name}'); add the run again with "
            "--replace."
        )
    return entry


def read_kept_samples(entry_file: Path) -> Samples:
    """The compact samples beside an entry's file, as arrays.

    Raises FileNotFoundError if there are none, ValueError if the file is not the entry's.
    """
    entry = entry_from_json(entry_file.read_bytes(), f"'{entry_file}'")
    return unpack_samples(entry, samples_path(entry_file))


def _files(folder: Path) -> list[Path]:
    found = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if any(part.startswith(".") for part in relative.parts):
            continue
        kept = path.is_file()
        if path.is_symlink() or not (kept or path.is_dir()):
            refuse_special(folder, relative)
        if path.suffix == ".json" and kept:
            found.append(relative)
    return found
