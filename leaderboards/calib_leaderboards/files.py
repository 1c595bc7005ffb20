"""Write files atomically."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> Path:
    """Replace the file at once: a reader sees the old content or the new, never part of it.

    Makes the folder if there is none, and returns `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def write_output(path: Path, content: bytes) -> None:
    """Write output to `path`; "-" is standard output.

    A regular file is replaced at once, a link's target too. Anything else, such as a pipe or a
    device, is written to directly.
    """
    if str(path) == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return
    target = path.resolve()
    if target.exists() and not target.is_file():
        target.write_bytes(content)
    else:
        write_atomically(target, content)
