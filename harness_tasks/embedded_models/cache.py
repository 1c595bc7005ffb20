"""The user's cache of models: made once, atomically, and used only if complete.

A model is made in a temporary folder beside the target, which is renamed at the end. A folder is
trusted only if its manifest, written last, agrees with its files: with their sizes, and with their
hashes if they were touched since the last check.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness_tasks.embedded_models.catalogue import DEFAULT, MODELS, Model, find
from harness_tasks.embedded_models.convert import WEIGHTS, convert
from harness_tasks.embedded_models.fetch import fetch, sha256

MANIFEST = "manifest.json"


def ensure_model(
    name: str = DEFAULT, cache_dir: Path | None = None, accept_license: bool = False
) -> Path:
    """Return the folder of a model of the catalogue; made on the first call and reused.

    Args:
        name: one of `MODELS`.
        cache_dir: folder to keep it in; by default ``$CALIBENCH_CACHE``, else ``calibench`` in
            ``$XDG_CACHE_HOME`` or ``~/.cache``.
        accept_license: whether the user agrees to the model's terms, if it has any.

    Raises:
        PermissionError: the model has terms that were not accepted.
        RuntimeError: the download failed or is not the expected file.
        OSError: the cache cannot be written, or has no room.
        ValueError: there is no such model.
    """
    model = find(name)
    root = cache_dir or default_cache()
    target = root / model.folder
    if is_complete(target):
        return target
    check_terms(model, accept_license)

    from filelock import FileLock  # imported after the early return, which must stay instant

    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{target.name}.lock"):
            if not is_complete(target):  # another process may have been faster
                make(model, target)
    except OSError as error:
        raise OSError(
            f"{model.name} cannot be stored in {root} ({error.strerror or error}). Free "
            f"{model.room / 1e6:.0f} MB there, or name another folder in the environment "
            "variable CALIBENCH_CACHE."
        ) from error
    return target


def listing(cache_dir: Path | None = None) -> list[tuple[Model, bool]]:
    """All models, and whether each is complete in the cache."""
    root = cache_dir or default_cache()
    return [(model, is_complete(root / model.folder)) for model in MODELS.values()]


def check_terms(model: Model, accepted: bool) -> None:
    """Raise PermissionError unless the model's terms, if it has any, were accepted."""
    if model.terms and not accepted:
        raise PermissionError(
            f"{model.name} is only for those who accept its terms, {model.terms.address}. "
            f"{model.terms.notice} If you accept them, run `calibench model {model.name} "
            f"--accept-license`; nothing has been downloaded."
        )


def check_room(model: Model, folder: Path) -> None:
    """Raise the OSError of a full disk, before the download, if `folder` has too little space."""
    if (free := shutil.disk_usage(folder).free) < model.room:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {free / 1e6:.0f} MB are free")


def make(model: Model, target: Path) -> None:
    """Download, check and convert `model`; `target` appears in one step, at the end.

    The caller holds the lock, so temporary folders found here are those of runs that were killed.
    """
    if target.exists():
        print(f"{target} is damaged and will be made again.", file=sys.stderr)
        if shutil.disk_usage(target.parent).free < model.room:
            shutil.rmtree(target)  # it is useless, and may be what fills the disk
    prefix = f".{target.name}."
    for leftover in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover)
    check_room(model, target.parent)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as folder:
        made, sources = Path(folder, "model"), Path(folder, "sources")
        convert(model, fetch(model, sources), made)
        shutil.rmtree(sources)
        write_manifest(made)
        if target.exists():
            shutil.rmtree(target)
        os.replace(made, target)


def default_cache() -> Path:
    """The default folder for models.

    Raises:
        OSError: the user's home folder is unknown.
    """
    if chosen := os.environ.get("CALIBENCH_CACHE"):
        return Path(chosen)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calibench"
    except RuntimeError as error:
        raise OSError(
            "there is no home folder to keep the model in; name a folder in the environment "
            "variable CALIBENCH_CACHE."
        ) from error


def is_complete(folder: Path) -> bool:
    """Whether every file of the manifest is there and complete; cheap, as every call needs it.

    A file is read only if its modification time has changed since the last check.
    """
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        found = {name: (folder / name).stat() for name in files}
        touched = [name for name in files if files[name].get("mtime_ns") != found[name].st_mtime_ns]
        if WEIGHTS not in files or any(
            found[name].st_size != record["bytes"] for name, record in files.items()
        ):
            return False
        if any(sha256(folder / name) != files[name]["sha256"] for name in touched):
            return False
    except (OSError, ValueError, TypeError, AttributeError, LookupError):
        return False
    if touched:
        for name in touched:
            files[name]["mtime_ns"] = found[name].st_mtime_ns
        with suppress(OSError):  # somebody else's cache: the file is read again next time
            _write_manifest(folder, files)
    return True


def write_manifest(folder: Path) -> None:
    """Record size, sha256 and time of all files of `folder`."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256(path),
                    "mtime_ns": path.stat().st_mtime_ns}
        for path in sorted(folder.iterdir())
    }  # fmt: skip
    _write_manifest(folder, files)


def _write_manifest(folder: Path, files: dict[str, dict[str, Any]]) -> None:
    part = folder / f".{MANIFEST}.{os.getpid()}"
    try:
        part.write_text(json.dumps(files, indent=1) + "\n", encoding="utf-8")
        os.replace(part, folder / MANIFEST)
    finally:
        part.unlink(missing_ok=True)
