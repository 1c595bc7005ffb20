"""Paths of entries in the store, made of letters, digits, dots, dashes and underscores."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path, PurePosixPath

from calib_leaderboards.store.entry import Entry

SAMPLES = ".samples.jsonl.gz"  # in place of ".json"
_LONGEST = 80
_DEFAULT_REVISION = "main"


@lru_cache(maxsize=2**14)
def slug(text: str) -> str:
    """Return `text` as one part of a path that is neither hidden nor "..".

    Other characters become dashes. Where any did, or where the text is longer than 80 characters,
    8 digits of its sha256 follow, so that two texts never share a slug.

    >>> slug("HuggingFaceTB/SmolLM2-135M-Instruct")
    'HuggingFaceTB__SmolLM2-135M-Instruct'
    >>> slug("../../x")
    'x-9cdf6a50'
    """
    whole = re.fullmatch(r"([A-Za-z0-9._-]+/)?[A-Za-z0-9._-]+", text) and "__" not in text
    name = text.replace("/", "__") if whole else re.sub(r"[^A-Za-z0-9._-]+", "-", text)
    name = re.sub(r"-{2,}", "-", name.strip(".-"))[:_LONGEST].rstrip(".-")
    if name and name == text.replace("/", "__") and whole:
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name or 'unnamed'}-{digest}"


def entry_path(entry: Entry) -> PurePosixPath:
    """The entry's file, relative to the store: model / adapter or revision / task--setting.json."""
    return PurePosixPath(f"{entry_key(entry)}.json")


def entry_key(entry: Entry) -> str:
    """The path of the entry's file without its ending."""
    model = entry.model
    revision = model.revision if model.revision not in (None, _DEFAULT_REVISION) else None
    adapter = model.adapter
    if adapter is None:
        variant = slug(revision or _DEFAULT_REVISION)
    else:
        name = adapter.name if adapter.revision is None else f"{adapter.name}@{adapter.revision}"
        variant = slug(name) if revision is None else f"{slug(name)}--{slug(revision)}"
    task = slug(entry.task.name)
    return f"{slug(model.name)}/{variant}/{task}--{entry.setting.slug}"


def samples_path(entry_file: PurePosixPath | Path) -> PurePosixPath | Path:
    """The compact samples of an entry, which lie beside it."""
    return entry_file.with_name(entry_file.name.removesuffix(".json") + SAMPLES)


def refuse_special(store: Path, relative: PurePosixPath | Path) -> None:
    """Raise ValueError if any part of `relative` is a symbolic link, a pipe or a device.

    Everything that is read or written is in the store itself. The store as a whole may be a link.
    """
    path = store
    for part in relative.parts:
        path = path / part
        if path.is_symlink():
            raise ValueError(
                f"'{path}' is a symbolic link, which a store may not hold: it could lead out of "
                f"'{store}'. Replace it by the file or folder itself."
            )
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ValueError(f"'{path}' is neither a file nor a folder; remove it from the store.")
