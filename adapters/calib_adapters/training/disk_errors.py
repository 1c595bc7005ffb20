"""Explain in one sentence why nothing can be written to a disk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn what writers raise when a disk is full or not writable into an OSError that says so.

    safetensors and torch have errors of their own for that, with the system's error in their text
    or as their cause.

    Raises:
        OSError: the disk is full, or `folder` may not be written to.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        number = _number(error)
        if number in FULL:
            raise OSError(
                f"the disk of {folder} is full, or a file would exceed a limit. Nothing is lost: "
                "free some space and run the same command again; training continues from the "
                "last complete checkpoint."
            ) from error
        if number in FORBIDDEN:
            raise OSError(
                f"{getattr(error, 'filename', None) or folder} cannot be read or written; choose "
                "another output folder, or change its permissions."
            ) from error
        raise


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    text = str(error)
    for number in (*FULL, *FORBIDDEN):
        if f"os error {number}" in text:  # as safetensors writes it
            return number
    if "PytorchStreamWriter" in text or "inline_container" in text:
        return errno.ENOSPC  # torch's writer does not report the error number
    return None
