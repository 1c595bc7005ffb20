"""What a build keeps beside its output, so that the next makes only what has changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from calib_leaderboards.pages.outputs import Seen, seen
from calib_leaderboards.pages.survey import Facts, Item
from calib_leaderboards.tables.overview import Skill
from calib_leaderboards.tables.row import Group
from calib_metrics.outputs import write_atomically

FOLDER = ".build"
_STATE = "state.json"
_PAGES = "site/", "figures/"
_FORMAT = "calibench-build/1"


class Unit(NamedTuple):
    """Files that are made together. key: of what they are made of."""

    key: str
    files: dict[str, Seen]


@dataclass
class Kept:
    """The last build.

    Attributes:
        program: of which version of the program, and with which link to the store.
        began: when, in nanoseconds.
        entries: of each path: what was seen of the entry's file and of its samples, and the entry.
        groups: of each group of rows: what the survey said.
        models: the unit of each model, and that of its ranks.
        pairs: of each row of the overview: the key of its interval, and the interval.
        shared: files of no task and no model alone.
        own: the files in the folder of this one, and what was seen of them.
    """

    format: str = _FORMAT
    program: str = ""
    began: int = 0
    entries: dict[str, tuple[Seen, Seen | None, Item]] = field(default_factory=dict)
    groups: list[tuple[Group, Facts]] = field(default_factory=list)
    tasks: list[tuple[Group, Unit]] = field(default_factory=list)
    models: dict[str, tuple[Unit, Unit]] = field(default_factory=dict)
    pairs: dict[str, tuple[str, float | None, float | None]] = field(default_factory=dict)
    shared: dict[str, Seen] = field(default_factory=dict)
    own: dict[str, Seen] = field(default_factory=dict)

    def files(self) -> dict[str, Seen]:
        """All files that it wrote."""
        found = dict(self.shared)
        for _, task in self.tasks:
            found |= task.files
        for units in self.models.values():
            for unit in units:
                found |= unit.files
        return found


def load_kept(folder: Path, program: str) -> tuple[Kept, dict[str, Seen]]:
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
    kept, files = Kept(), dict[str, Seen]()
    try:
        read = _read((folder / _STATE).read_bytes())
        files = read.files()
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass  # there is none, or it is damaged
    else:
        if not read.own or read.own != _own(folder):
            files = {name: state for name, state in files.items() if name.startswith(_PAGES)}
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
    kept.entries = {
        path: (state, packed, Item(sha, samples, model, parameters, _group(group)))
        for path, (state, packed, item) in data["entries"].items()
        for sha, samples, model, parameters, group in [item]
    }
    kept.groups = [
        (_group(group), Facts(rows, confidences, shown, [Skill(*skill) for skill in skills]))
        for group, (rows, confidences, shown, skills) in data["groups"]
    ]
    kept.tasks = [(_group(group), Unit(*unit)) for group, unit in data["tasks"]]
    kept.models = {
        name: (Unit(*one), Unit(*ranks)) for name, (one, ranks) in data["models"].items()
    }
    kept.pairs = {who: (mark, low, high) for who, (mark, low, high) in data["pairs"].items()}
    return kept


def _group(parts: list[str]) -> Group:
    task, version, questions = parts
    return task, version, questions


def _own(folder: Path) -> dict[str, Seen]:
    files = (path for path in folder.glob("*/*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): seen(path.lstat()) for path in sorted(files)}
