"""The files of a build: written only where they change, and known again by what `stat` says."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from calib_metrics.outputs import write_atomically


class Unit(NamedTuple):
    """Files that are made together.

    Attributes:
        key: of what they are made of.
        files: their names.
        seen: what was seen of them when they were written, see `stamps`.
    """

    key: str
    files: list[str]
    seen: str


def stamp(found: os.stat_result) -> str:
    """What tells whether a file is the one that was read or written before.

    Its size, the times of change of its content and of the file in nanoseconds, and its inode.
    """
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def stamps(folder: Path, names: Iterable[str]) -> str:
    """The stamps of files below a folder as one text; of what is not there, ""."""
    found = []
    for name in names:
        try:
            found.append(stamp(os.lstat(f"{folder}/{name}")))
        except OSError:
            found.append("")
    return "/".join(found)


def lost_files(folder: Path, units: Iterable[Unit]) -> Iterator[str]:
    """The files of all units of which one is not as it was written."""
    for unit in units:
        if stamps(folder, unit.files) != unit.seen:
            yield from unit.files


class Outputs:
    """Writes files below a folder, and notes what was seen of each afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: dict[str, str] = {}

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all, and leave it alone if it has these bytes already."""
        path = f"{self.folder}/{name}"
        found = _stat(path)
        if found is None or found.st_size != len(content) or _content(path) != content:
            write_atomically(Path(path), content)
            found = _stat(path)
        self._note(name, found)

    def write_parts(self, name: str, parts: Iterable[bytes]) -> None:
        """Write a file that is too large to hold, part by part."""
        self._note(name, _stat(write_atomically(self.folder / name, parts)))

    def unit(self, key: str = "") -> Unit:
        """The files written so far."""
        return Unit(key, list(self.written), "/".join(self.written.values()))

    def _note(self, name: str, found: os.stat_result | None) -> None:
        if found is None:
            raise FileNotFoundError(f"'{self.folder / name}' vanished while it was being written.")
        self.written[name] = stamp(found)


def content_of(file: Path) -> Iterator[bytes]:
    """The content of a large file in parts: memory that is new for each file takes more time."""
    with file.open("rb") as content:
        yield from iter(partial(content.read, 2**20), b"")


def remove(folder: Path, name: str) -> None:
    """Remove a file of the last build, and its folder if that is empty; never one outside."""
    path = folder / name
    if ".." in Path(name).parts or not path.resolve().is_relative_to(folder.resolve()):
        return
    path.unlink(missing_ok=True)
    try:
        path.parent.rmdir()
    except OSError:
        pass  # not empty


def _stat(path: str | Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
