"""What a build keeps beside its output, so that the next makes only what has changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from calib_leaderboards.pages.index import Folder
from calib_leaderboards.pages.outputs import Unit, stamp
from calib_leaderboards.tables.row import Group, group_from
from calib_metrics.outputs import write_atomically

FOLDER = ".build"
_STATE = "state.json"
_PAGES = "site/", "figures/"
_FORMAT = "calibench-build/2"


@dataclass
class Kept:
    """The last build. What it read of the entries is in files of its own, see `survey`.

    Attributes:
        program: of which version of the program, and with which link to the store.
        began: when, in nanoseconds.
        folders: those of the store, and what was seen of their files.
        tasks: the unit of each group of rows.
        models: the unit of each model, and that of its ranks.
        pairs: of each row of the overview: the key of its interval, and the interval.
        large: the tables of all tasks.
        shared: other files of no task and no model alone.
        own: the files in the folder of this one, and their stamps.
    """

    format: str = _FORMAT
    program: str = ""
    began: int = 0
    folders: dict[str, Folder] = field(default_factory=dict)
    tasks: list[tuple[Group, Unit]] = field(default_factory=list)
    models: dict[str, tuple[Unit, Unit]] = field(default_factory=dict)
    pairs: dict[str, tuple[str, float | None, float | None]] = field(default_factory=dict)
    large: Unit = Unit("", [], "")
    shared: Unit = Unit("", [], "")
    own: dict[str, str] = field(default_factory=dict)

    def units(self) -> Iterator[Unit]:
        """All that it wrote."""
        yield self.large
        yield self.shared
        for _, task in self.tasks:
            yield task
        for units in self.models.values():
            yield from units

    def files(self) -> set[str]:
        """The names of all files that it wrote."""
        return {name for unit in self.units() for name in unit.files}


def load_kept(folder: Path, program: str) -> tuple[Kept, set[str]]:
    """The last build, empty if there is none of this program, and all files that it wrote.

    What lies in the folder is believed only if a build on this machine wrote it and ended: numbers
    that came with a clone, or that were edited, would reach the tables unchecked. Else nothing is
    kept, and of the files only figures and pages are named, since files with these names may be
    removed. Raises ValueError for symbolic links.
    """
    for path in (folder, *folder.glob("*")):
        if path.is_symlink():
            raise ValueError(
                f"'{path}' is a symbolic link, and files in it would be removed; remove the link."
            )
    kept, files = Kept(), set[str]()
    try:
        read = _read((folder / _STATE).read_bytes())
        files = read.files()
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass  # there is none, or it is damaged
    else:
        if not read.own or read.own != _own(folder):
            files = {n for n in files if isinstance(n, str) and n.startswith(_PAGES)}
        elif read.program == program:
            kept = read
    for name in _own(folder).keys() - kept.own.keys():
        (folder / name).unlink()
    kept.program = program
    return kept, files


def save_kept(folder: Path, kept: Kept) -> None:
    """Keep a build for the next. The folder tells git to pass it over."""
    if not (folder / ".gitignore").is_file():
        write_atomically(folder / ".gitignore", b"*\n")
    kept.own = _own(folder)
    write_atomically(folder / _STATE, to_json(kept))


def _read(content: bytes) -> Kept:
    """By hand: of 50,000 entries in a third of the time that a check of every value takes."""
    data: dict[str, Any] = from_json(content)
    if data["format"] != _FORMAT:
        raise ValueError("The format is another.")
    kept = Kept(**data)
    kept.folders = {path: Folder(*found) for path, found in kept.folders.items()}
    kept.tasks = [(group_from(group), Unit(*unit)) for group, unit in data["tasks"]]
    kept.models = {
        name: (Unit(*one), Unit(*ranks)) for name, (one, ranks) in data["models"].items()
    }
    kept.pairs = {who: (mark, low, high) for who, (mark, low, high) in data["pairs"].items()}
    kept.large, kept.shared = Unit(*data["large"]), Unit(*data["shared"])
    return kept


def _own(folder: Path) -> dict[str, str]:
    files = (path for path in folder.glob("*/*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): stamp(path.lstat()) for path in sorted(files)}
