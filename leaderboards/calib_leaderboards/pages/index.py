"""What lies in a store, and what of it is as the last build found it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import calib_metrics
import harness_tasks
from calib_leaderboards.pages.outputs import Seen, seen
from calib_leaderboards.store.paths import refuse_special

ENTRY, SAMPLES = ".json", ".samples.jsonl.gz"
_LIBRARIES = ("jinja2", "numpy", "pyarrow", "pydantic", "scipy")
_HERE = Path(__file__).parent
_PROGRAM = (
    (_HERE.parent, (".py",)),
    (_HERE, (".html", ".css", ".js")),
    (Path(calib_metrics.__file__).parent, (".py",)),
    (Path(harness_tasks.__file__).parent, (".py", ".yaml")),
)


def files_seen(store: Path) -> dict[str, tuple[Seen, Seen | None]]:
    """Of each entry by its path in the store: what `stat` says of its file and of its samples.

    Hidden files and folders are passed over. Raises ValueError for links, pipes and devices.
    """
    found = dict(_files(store, ""))
    return {
        path: (state, found.get(path.removesuffix(ENTRY) + SAMPLES))
        for path, state in sorted(found.items())
        if path.endswith(ENTRY)
    }


def _files(store: Path, below: str) -> Iterator[tuple[str, Seen]]:
    with os.scandir(f"{store}/{below}") as found:
        for each in found:
            name = each.name
            if name.startswith("."):
                continue
            path = f"{below}{name}"
            if each.is_dir(follow_symlinks=False):
                yield from _files(store, f"{path}/")
                continue
            if not each.is_file(follow_symlinks=False):
                refuse_special(store, Path(path))
            if name.endswith((ENTRY, SAMPLES)):
                yield path, seen(each.stat(follow_symlinks=False))


@cache
def program_digest() -> str:
    """sha256 over this program and the versions of the libraries that decide its bytes."""
    total = hashlib.sha256()
    for name in _LIBRARIES:
        total.update(f"{name} {metadata.version(name)}\n".encode())
    for folder, endings in _PROGRAM:
        for here, folders, names in os.walk(folder):
            folders[:] = sorted(each for each in folders if not each.startswith((".", "__")))
            for name in sorted(names):
                if name.endswith(endings):
                    total.update(name.encode() + hashlib.sha256(_read(f"{here}/{name}")).digest())
    return total.hexdigest()


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
