"""Models, tokenizers and adapters whose files are damaged, said in a sentence."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_LIBRARIES = {"transformers", "peft"}


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Context manager: turn what a library's `from_pretrained` fails with into one sentence.

    The libraries do not check what they parse, so that a damaged file can end in any kind of
    exception. Other exceptions, and those that are sentences already, pass.

    Raises:
        ValueError: a file of `what` cannot be used.
    """
    try:
        yield
    except (OSError, ValueError, ImportError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if not _while_loading(error):
            raise
        raise ValueError(
            f"{what} cannot be loaded: one of its files is damaged, or of a kind that is not read "
            f"here ({type(error).__name__}: {error}). Copy or download it again."
        ) from error


def _while_loading(error: Exception) -> bool:
    """Return whether `error` was raised below a library's `from_pretrained`."""
    return any(
        frame.name == "from_pretrained" and _LIBRARIES & set(Path(frame.filename).parts)
        for frame in traceback.extract_tb(error.__traceback__)
    )
