"""An append-only JSON Lines file that survives a killed process.

Each entry is one line, ``[key, [value, ...]]``, written at once. When the file is opened again, an
incomplete last line, left by a kill or a full disk, is cut off, and lines that are no entries are
skipped. Unlike a pickle, the file executes nothing when it is read.

Only one process can have a journal open; `Journal` raises `Busy` in any other.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

DAYS = 14  # after which nobody is expected to come back
SUFFIX = ".jsonl"


class Busy(Exception):
    """Another process has the journal open."""


class Journal:
    """The journal in the file `path`, created if missing.

    Attributes:
        entries: the entries found on opening; the last one of each key.
        size: number of entries, including those added since.

    Raises:
        Busy: another process has it open.
        OSError: it cannot be read or written.
    """

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = FileLock(_lock_of(path))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise Busy(str(path)) from None
        except NotImplementedError as error:  # on file systems without locks
            raise OSError(str(error)) from error
        try:
            # Answers can be confidential, so the file is its owner's alone.
            self._file = open(path, "a+b", buffering=0, opener=_for_the_owner)
            self.entries = dict(_whole(self._file))
            self.size = len(self.entries)
        except BaseException:
            self._lock.release()
            raise

    def add(self, entries: Mapping[str, list]) -> None:
        """Append entries at once: a kill leaves all of them or none.

        Raises:
            OSError: they could not be written.
            TypeError, ValueError: JSON cannot express the values.
        """
        lines = b"".join(json.dumps(entry).encode("ascii") + b"\n" for entry in entries.items())
        if self._file.write(lines) != len(lines):
            raise OSError("the disk is full")
        self.size += len(entries)

    def close(self) -> None:
        """Close the file, so that another process can open it."""
        self._file.close()
        self._lock.release()

    def remove(self) -> None:
        """Close the file and delete it."""
        self._file.close()
        remove(self.path)
        self._lock.release()


def remove(path: Path) -> None:
    """Delete a journal and its lock; ignore files that cannot be deleted."""
    for each in (path, _lock_of(path)):
        with suppress(OSError):
            each.unlink()


def remove_stale(folder: Path) -> None:
    """Delete the journals in `folder` to which nothing was added for `DAYS` days."""
    oldest = time.time() - DAYS * 86_400
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(OSError, Timeout, NotImplementedError):
            if path.stat().st_mtime < oldest:
                with FileLock(_lock_of(path), timeout=0):
                    remove(path)


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _whole(file: BinaryIO) -> Iterator[tuple[str, list]]:
    """Read the entries of `file`, and cut off what follows its last complete line."""
    file.seek(0)
    content = file.read()
    *lines, torn = content.split(b"\n")
    for line in lines:
        with suppress(ValueError):
            match json.loads(line):
                case [str(key), list(values)]:
                    yield key, values
    file.truncate(len(content) - len(torn))
