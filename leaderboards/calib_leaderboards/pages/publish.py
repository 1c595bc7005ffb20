"""Build README, tables and site from a store or from runs; write only files that changed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calib_leaderboards.markdown import MARK
from calib_metrics.outputs import write_atomically

if TYPE_CHECKING:
    from calib_leaderboards.store.entry import Entry

_HERE = Path(__file__).parent
_MADE = "site/build.json"  # the record of what the last build read and wrote
_FORMAT = "calibench-site/1"


def build_store(store: Path, out: Path) -> Path:
    """Publish the entries of a store: README.md, leaderboard.csv, .parquet and .tex, and site/.

    The bytes of all files depend only on the store and the version of this program. If neither has
    changed since the last build, nothing is written. Otherwise only changed files are written, and
    files that the last build made and this one does not are removed. Returns the path of the
    README.

    Raises FileNotFoundError without a store or without entries, ValueError for a damaged entry, and
    FileExistsError if `out` holds a README.md of another origin.
    """
    store, out = Path(store), Path(out)
    page = _page(out)
    if not store.is_dir():
        raise FileNotFoundError(
            f"There is no store '{store}'; make it with `calibench leaderboard add`, or give "
            "another with --store."
        )
    link = _link(store, out)
    digest, before = _digest(store, link), _last_build(out)
    if before.get("inputs") == digest and _unchanged(out, before["files"]):
        return page
    from calib_leaderboards.pages.site import files
    from calib_leaderboards.store.paths import entry_path, samples_path
    from calib_leaderboards.store.read import read_entries

    entries = read_entries(store)
    if not entries:
        raise FileNotFoundError(
            f"'{store}' has no entries; add runs with `calibench leaderboard add`."
        )

    def packed(entry: Entry) -> bytes:
        return (store / samples_path(entry_path(entry))).read_bytes()

    _publish(out, files(entries, packed, link), digest, before)
    return page


def build_runs(
    results: Sequence[Path],
    out: Path,
    *,
    train_accuracy: float | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Path:
    """Publish the lm-eval runs below `results` as `build_store` does a store, for a preview.

    Runs of a part of the questions are accepted, and marked on every page.

    Also draws figures/TASK_bars.png and .svg, ECE and AUROC of the methods of each task.
    train_accuracy: in [0, 1]; each task gets a sanity row of a model that always states this.
    resamples, seed: of the bootstrap behind the intervals.

    The bytes of all files depend only on the runs and the version of this program and its
    libraries. Returns the path of the README.

    Raises ValueError, FileNotFoundError or FileExistsError as `build_store` and `make_all` do,
    before anything is written.
    """
    out = Path(out)
    page = _page(out)
    if train_accuracy is not None and not 0 <= train_accuracy <= 1:
        raise ValueError(f"train_accuracy is {train_accuracy}; it must be in the range [0, 1].")
    from calib_leaderboards.pages.figure import bar_figures
    from calib_leaderboards.pages.site import files
    from calib_leaderboards.runs import find_runs
    from calib_leaderboards.store.make import make_all
    from calib_leaderboards.store.paths import entry_path

    made = make_all(
        find_runs(results), constant=train_accuracy, preview=True, resamples=resamples, seed=seed
    )
    entries = [entry for entry, _ in made.values()]
    pages = files(entries, lambda entry: made[entry_path(entry)][1])
    _publish(out, chain(bar_figures(entries), pages), "", _last_build(out))
    return page


def _page(out: Path) -> Path:
    """Return the path of the README; raise FileExistsError if the one there is not ours."""
    page = out / "README.md"
    if page.is_file() and not page.read_text("utf-8", errors="replace").startswith(MARK):
        raise FileExistsError(
            f"'{page}' was not made by `calibench leaderboard build` and would be overwritten; "
            "choose another output folder."
        )
    return page


def _publish(
    out: Path, files: Iterable[tuple[str, bytes]], inputs: str, before: dict[str, Any]
) -> None:
    """Write the files, remove those that only the last build made, and record both."""
    hashes: dict[str, str] = {}
    for name, content in files:
        hashes[name] = hashlib.sha256(content).hexdigest()
        _write(out / name, content)
    for name in before.get("files", {}).keys() - hashes.keys():
        _remove(out, name)
    made = {"format": _FORMAT, "inputs": inputs, "files": dict(sorted(hashes.items()))}
    _write(out / _MADE, (json.dumps(made, indent=0) + "\n").encode())


def _link(store: Path, out: Path) -> str | None:
    """The README's link to the store; None if the store is not below the output folder."""
    try:
        return store.resolve().relative_to(out.resolve()).as_posix()
    except ValueError:
        return None


def _digest(store: Path, link: str | None) -> str:
    """sha256 over everything that a build reads: the store's files, this program, its libraries."""
    total = hashlib.sha256(f"{link}\n".encode())
    for name in ("jinja2", "pyarrow", "numpy"):
        total.update(f"{name} {metadata.version(name)}\n".encode())
    for folder, pattern in ((_HERE.parent, ".py"), (_HERE, "")):
        for path in _walk(folder, pattern):
            total.update(Path(path).name.encode() + hashlib.sha256(_read(path)).digest())
    base = len(str(store)) + 1
    for path in _walk(store, ""):
        total.update(path[base:].encode("utf-8", "surrogateescape"))
        total.update(hashlib.sha256(_read(path)).digest())
    return total.hexdigest()


def _walk(folder: Path, suffix: str) -> Iterator[str]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(names):
            if not name.startswith(".") and name.endswith(suffix):
                yield f"{here}/{name}"


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _last_build(out: Path) -> dict[str, Any]:
    """Return the record of the last build; empty if there is none or it is damaged."""
    try:
        made = json.loads((out / _MADE).read_text("utf-8"))
        known = made["format"] == _FORMAT and isinstance(made["files"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return made if known else {}


def _unchanged(out: Path, files: dict[str, str]) -> bool:
    """Whether every file still holds what the last build wrote: an edited number is replaced."""
    try:
        return all(
            hashlib.sha256(_read(f"{out}/{name}")).hexdigest() == digest
            for name, digest in files.items()
        )
    except OSError:
        return False


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically, and leave it alone if it already has these bytes."""
    if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return
    write_atomically(path, content)


def _remove(out: Path, name: str) -> None:
    """Remove a file of the last build, and its folder if that is empty; never one outside `out`."""
    path = out / name
    if ".." in Path(name).parts or not path.resolve().is_relative_to(out.resolve()):
        return
    path.unlink(missing_ok=True)
    try:
        path.parent.rmdir()
    except OSError:
        pass  # the folder is not empty
