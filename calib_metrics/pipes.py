"""Read files that are not regular: pipes with a writer, but no devices, which may never end."""

from __future__ import annotations

import os
import select
import stat
from pathlib import Path

PATIENCE = 30.0  # seconds that a pipe may wait for somebody to write to it


def read_source(file: Path) -> Path | bytes:
    """Return a regular file or a folder as it is, and the content of a pipe.

    Raises:
        ValueError: nobody writes to the pipe within `PATIENCE`, or `file` is a device.
    """
    mode = file.stat().st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return file
    if not stat.S_ISFIFO(mode):
        raise ValueError(f"{file} is a device or a socket: give a file, a folder or a pipe.")
    # Without O_NONBLOCK, opening would wait forever for a writer.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as pipe:
        if not select.select([pipe], [], [], PATIENCE)[0]:
            raise ValueError(f"{file} is a pipe that nobody writes to; start the writer first.")
        os.set_blocking(descriptor, True)
        return pipe.read()
