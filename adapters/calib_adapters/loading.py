"""Models, tokenizers and adapters whose files are damaged, said in a sentence."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_LIBRARIES = {"transformers", "peft"}
_NAMED = ("pretrained_model_name_or_path", "model_id")  # by the functions that load


@contextmanager
def readable() -> Iterator[None]:
    """Context manager: turn what a library's `from_pretrained` fails with into one sentence.

    The libraries do not check what they parse, so that a damaged file can end in any kind of
    exception. Other exceptions, and those that are sentences already, pass.

    Raises:
        ValueError: a file of a model, tokenizer or adapter cannot be used; names it.
    """
    try:
        yield
    except (OSError, ValueError, ImportError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if (name := _being_loaded(error)) is None:
            raise
        raise ValueError(
            f"{name} cannot be loaded: one of its files is damaged, or of a kind that is not read "
            f"here ({type(error).__name__}: {error}). Copy or download it again."
        ) from error


def _being_loaded(error: Exception) -> str | None:
    """Return what a library's `from_pretrained` was loading when `error` was raised, if it was."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        if code.co_name == "from_pretrained" and _LIBRARIES & set(Path(code.co_filename).parts):
            names = (frame.f_locals.get(name) for name in _NAMED)
            return next((str(name) for name in names if name is not None), "the model")
    return None
