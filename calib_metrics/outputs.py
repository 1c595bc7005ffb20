"""Write files that appear whole, and what else a user may want to write to."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield where to write what shall stand at `path`, which gets it at the end, at once.

    Makes the folder if there is none. After an error `path` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: bytes | Iterable[bytes]) -> Path:
    """Replace the file at once: a reader sees the old content or the new, never part of it.

    content: whole, or in parts. Makes the folder if there is none, and returns `path`.
    """
    with whole_file(path) as part, open(part, "xb") as file:
        file.writelines([content] if isinstance(content, bytes) else content)
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
