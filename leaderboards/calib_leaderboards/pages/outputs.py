"""The files of a build: written only where they change, and known again by what `stat` says."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from calib_metrics.outputs import write_atomically

Seen = list[int]  # size, times of change of content and of the file in nanoseconds, and inode


def seen(found: os.stat_result) -> Seen:
    """What tells whether a file is the one that was read or written before."""
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def seen_at(path: str | Path) -> Seen | None:
    """The same of a path; None where nothing is."""
    try:
        return seen(os.stat(path, follow_symlinks=False))
    except OSError:
        return None


class Outputs:
    """Writes files below a folder, and notes what was seen of each afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: dict[str, Seen] = {}

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all, and leave it alone if it has these bytes already."""
        path = f"{self.folder}/{name}"
        found = seen_at(path)
        if found is None or found[0] != len(content) or Path(path).read_bytes() != content:
            write_atomically(Path(path), content)
            found = seen_at(path)
        self.keep(name, found)

    def write_parts(self, name: str, parts: Iterable[bytes]) -> None:
        """Write a file that is too large to hold, part by part."""
        self.keep(name, seen_at(write_atomically(self.folder / name, parts)))

    def keep(self, name: str, found: Seen | None) -> None:
        """Note a file as it is."""
        if found is None:
            raise FileNotFoundError(f"'{self.folder / name}' vanished while it was being written.")
        self.written[name] = found


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
