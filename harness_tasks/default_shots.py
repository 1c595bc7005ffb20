"""The number of few-shot examples that a task file of this package declares."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).parent


class _Loader(yaml.SafeLoader):
    """Reads a task's file without importing the functions that it names."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


@cache
def declared_shots(task: str) -> int | None:
    """Return `num_fewshot` of a task's file or of the files that it includes.

    None if this package has no such task, or none of the files gives a number.
    """
    file = _files().get(task)
    return None if file is None else _shots(file)


def _shots(file: Path) -> int | None:
    content: dict[str, Any] = yaml.load(file.read_text("utf-8"), _Loader)
    if "num_fewshot" in content:
        return content["num_fewshot"]
    included = content.get("include", [])
    names = [included] if isinstance(included, str) else included
    found = [_shots(file.parent / name) for name in names]
    return next((shots for shots in reversed(found) if shots is not None), None)


@cache
def _files() -> dict[str, Path]:
    return {file.stem: file for file in sorted(_HERE.glob("**/*.yaml"))}
