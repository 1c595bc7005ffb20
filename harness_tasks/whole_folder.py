"""Create output folders atomically."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `out` that becomes `out` if the block ends without an error.

    After an error, it is removed; after a kill, by the next call for the same `out`.

    Raises:
        ValueError: another process is making `out`.
        OSError: nothing can be written there, or `out` exists and is not empty.
    """
    out = Path(os.path.abspath(out))  # "x/.." has no name of its own
    out.parent.mkdir(parents=True, exist_ok=True)
    work, lock = (out.with_name(f".{out.name}.{end}") for end in ("part", "lock"))
    try:
        with FileLock(lock, timeout=0):
            try:
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir()
                yield work
                if out.exists():
                    out.rmdir()
                os.replace(work, out)
            finally:
                shutil.rmtree(work, ignore_errors=True)
                lock.unlink(missing_ok=True)
    except Timeout:
        raise ValueError(
            f"another run is writing {out}; wait for it, or choose another folder."
        ) from None
