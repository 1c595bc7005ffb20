"""Which entries of a store are not what the last build read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from calib_leaderboards.pages.index import Folder
from calib_leaderboards.pages.survey import Item, packed_samples

_RACE = 2 * 10**9  # ns: a file may change twice within what a file system's clock tells apart


def unsure(found: Mapping[str, Folder], before: Mapping[str, Folder], began: int) -> set[str]:
    """The folders whose entries may be others than those that the last build read.

    A file that changed just before that build began may have changed again within one tick of the
    file system's clock, so that its content is asked.
    """
    return {
        path
        for path, folder in found.items()
        if before.get(path) != folder or folder.newest >= began - _RACE
    }


def changed_entries(
    store: Path, paths: Iterable[str], folders: set[str], items: Mapping[str, Item]
) -> set[str]:
    """Of the entries in these folders, those that are new or have another content."""
    return {
        path
        for path in paths
        if path[: path.rfind("/") + 1] in folders and not _same(store, path, items.get(path))
    }


def _same(store: Path, path: str, item: Item | None) -> bool:
    if item is None:
        return False
    try:
        if hashlib.sha256((store / path).read_bytes()).hexdigest() != item.sha:
            return False
        packed_samples(store, path, item.samples)
    except (OSError, ValueError):
        return False
    return True
