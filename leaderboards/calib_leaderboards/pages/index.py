"""What lies in a store, and what of it is as the last build found it."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import calib_metrics
import harness_tasks
from calib_leaderboards.pages.outputs import stamp
from calib_leaderboards.store.paths import SAMPLES, refuse_special

ENTRY = ".json"
_KNOWN = ENTRY, SAMPLES
_LIBRARIES = ("jinja2", "numpy", "pyarrow", "pydantic", "scipy")
_HERE = Path(__file__).parent
_PROGRAM = (
    (_HERE.parent, (".py",)),
    (_HERE, (".html", ".css", ".js")),
    (Path(calib_metrics.__file__).parent, (".py",)),
    (Path(harness_tasks.__file__).parent, (".py", ".yaml")),
)


class Folder(NamedTuple):
    """What was seen of the entries and their samples in a folder of the store.

    digest: of their names and stamps. newest: the last of their changes, in nanoseconds.
    """

    digest: str
    newest: int


def files_seen(store: Path) -> tuple[dict[str, Folder], list[str]]:
    """What was seen of each folder by its path in the store, and the paths of all entries.

    Hidden files and folders are passed over. Raises ValueError for links, pipes and devices.
    """
    folders: dict[str, Folder] = {}
    entries: list[str] = []
    waiting = [""]
    while waiting:
        below = waiting.pop()
        found: list[str] = []
        times: list[int] = []
        with os.scandir(f"{store}/{below}") as inside:
            for each in inside:
                name = each.name
                if name.startswith("."):
                    continue
                if not each.is_file(follow_symlinks=False):
                    if each.is_dir(follow_symlinks=False):
                        waiting.append(f"{below}{name}/")
                    else:
                        refuse_special(store, Path(below, name))
                elif name.endswith(_KNOWN):
                    state = each.stat(follow_symlinks=False)
                    found.append(f"{name}/{stamp(state)}")  # no name has a slash
                    times += state.st_mtime_ns, state.st_ctime_ns
                    if name.endswith(ENTRY):
                        entries.append(f"{below}{name}")
        if found:
            text = "/".join(sorted(found)).encode("utf-8", "surrogatepass")
            folders[below] = Folder(hashlib.sha256(text).hexdigest(), max(times))
    return folders, entries


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
