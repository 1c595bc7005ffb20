"""Does this adapter, or this probe, belong to that base model?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peft import PeftConfig

from calib_adapters.training.base_model import base_name


@contextmanager
def fitting(option: str, folder: str | None, pretrained: str) -> Iterator[None]:
    """Inside, the adapter in `folder`, if any, is loaded; one of another base is a `ValueError`."""
    if folder:
        _check_adapter(option, folder, pretrained)
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if not folder or not re.search("size mismatch|Target modules", str(error)):
            raise
        raise ValueError(_another_base(option, folder, pretrained)) from error


def _check_adapter(option: str, folder: str, pretrained: str) -> None:
    try:
        trained_on = PeftConfig.from_pretrained(folder).base_model_name_or_path
    except (ValueError, OSError) as error:
        raise FileNotFoundError(
            f"{option}: {folder} is no adapter: it has no readable adapter_config.json. Give the "
            f"folder that `calibench tune` wrote, or a Hub id."
        ) from error
    check_base(option, folder, trained_on, pretrained)


def check_base(option: str, folder: str, trained_on: str | None, pretrained: str) -> None:
    """By the last part of the names: one model may be a Hub id here and a folder there."""
    names = [Path(name).name.casefold() for name in (trained_on or pretrained, pretrained)]
    if len(set(names)) > 1:
        raise ValueError(
            _another_base(option, folder, pretrained)
            + f" It was trained on {trained_on}; if that is the same model, give it as "
            f"pretrained under this name."
        )


def _another_base(option: str, folder: str, pretrained: str) -> str:
    return f"{option}: {folder} does not belong to the base model {base_name(pretrained)}."
