"""Write files that appear whole, and what else a user may want to write to."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield where to write what shall stand at `path`, which gets it at the end, at once.

    Makes the folder if there is none. After an error `path` is as it was. What a killed process of
    this machine left in the folder is removed.
    """
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
    _remove_parts(os.path.abspath(folder))
    part = Path(folder, f".{_machine()}-{os.getpid()}-{secrets.token_hex(8)}.part")
    try:
        with naming(path):
            yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@cache
def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


@cache  # once for each folder, which may get thousands of files
def _remove_parts(folder: str) -> None:
    if os.name == "nt":
        return  # where asking for a process would end it
    for part in Path(folder).glob(f".{_machine()}-*.part"):
        owner = re.fullmatch(r"\.[0-9a-f]{8}-(\d+)-[0-9a-f]{16}\.part", part.name)
        if owner and _is_gone(int(owner[1])):
            part.unlink(missing_ok=True)


def _is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # somebody else's, or no number of a process
        return False
    return False


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the name of the file into errors of the system that lack one, such as of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_atomically(path: Path, content: bytes | Iterable[bytes | memoryview]) -> Path:
    """Replace the file at once: a reader sees the old content or the new, never part of it.

    content: whole, or in parts. Makes the folder if there is none, and returns `path`.
    """
    with whole_file(path) as part, open(part, "xb") as file:
        file.writelines([content] if isinstance(content, bytes) else content)
    return path


def real_path(path: Path) -> Path:
    """Return where the links at `path` lead. Raises OSError if they lead nowhere, in a circle."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def write_output(path: Path, content: bytes) -> None:
    """Write output to `path` as `write_through`; "-" is standard output."""
    if str(path) == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
    else:
        write_through(path, content)


def write_through(path: Path, content: bytes) -> None:
    """Replace a regular file at once, a link's target too; write to a pipe or a device in place."""
    target = real_path(path)
    if target.exists() and not target.is_file():
        with naming(path):
            target.write_bytes(content)
    else:
        write_atomically(target, content)
