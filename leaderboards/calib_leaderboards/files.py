"""Write files atomically."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path


def write_atomically(path: Path, content: bytes | Iterable[bytes]) -> Path:
    """Replace the file at once: a reader sees the old content or the new, never a part.

    content: whole, or in parts. Makes the folder if there is none, and returns `path`.
    """
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        try:
            file = open(part, "xb")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(part, "xb")
        with file:
            file.writelines([content] if isinstance(content, bytes) else content)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
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
