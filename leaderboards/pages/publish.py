"""Builds README, tables and site from a store; writes only what is new."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from calib_leaderboards.files import write_atomically
from calib_leaderboards.render import MARK

_HERE = Path(__file__).parent
_MADE = "site/build.json"  # what the last build read and wrote
_FORMAT = "calibench-site/1"


def build_store(store: Path, out: Path) -> Path:
    """Publish the entries of a store: README.md, leaderboard.csv, .parquet and .tex, and site/.

    The bytes of all files depend on the store and the version of this program alone. If neither has
    changed since the last build, nothing is written; else only files whose bytes are new, and files
    that the last build made and this one does not are removed. Returns the path of the README.

    Raises FileNotFoundError without a store or without entries, ValueError for a damaged entry, and
    FileExistsError if `out` holds a README.md of another origin.
    """
    store, out = Path(store), Path(out)
    page = out / "README.md"
    if page.is_file() and not page.read_text("utf-8", errors="replace").startswith(MARK):
        raise FileExistsError(
            f"'{page}' was not made by `calibench leaderboard build` and would be overwritten; "
            "choose another output folder."
        )
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

    sizes: dict[str, int] = {}
    for name, content in files(store, link):
        sizes[name] = len(content)
        _write(out / name, content)
    for name in before.get("files", {}).keys() - sizes.keys():
        _remove(out, name)
    made = {"format": _FORMAT, "inputs": digest, "files": dict(sorted(sizes.items()))}
    _write(out / _MADE, (json.dumps(made, indent=0) + "\n").encode())
    return page


def _link(store: Path, out: Path) -> str | None:
    """The store as the README links to it; None where it lies elsewhere."""
    try:
        return store.resolve().relative_to(out.resolve()).as_posix()
    except ValueError:
        return None


def _digest(store: Path, link: str | None) -> str:
    """sha256 over all that a build reads: the store's files, this program, and its libraries."""
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


def _last_build(out: Path) -> dict:
    """What the last build wrote down; empty if there was none or its note is damaged."""
    try:
        made = json.loads((out / _MADE).read_text("utf-8"))
        known = made["format"] == _FORMAT and isinstance(made["files"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return made if known else {}


def _unchanged(out: Path, files: dict[str, int]) -> bool:
    try:
        return all(os.stat(f"{out}/{name}").st_size == size for name, size in files.items())
    except OSError:
        return False


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and leave it alone if it has these bytes already."""
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
        pass  # not empty

