"""Recipes: everything that decides what an adapter learns, in one readable, checked YAML file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from calib_adapters import shipped_folder
from calib_adapters.training.schema import Recipe

RECIPES = shipped_folder("recipes")


def shipped_recipes() -> dict[str, Path]:
    """The recipes that ship with calibench, by name."""
    return {file.stem: file for file in sorted(RECIPES.glob("*.yaml"))}


def find_recipe(recipe: str | Path) -> Path:
    """The file `recipe`, or the shipped recipe of that name.

    Raises:
        FileNotFoundError: neither exists; lists the shipped ones.
    """
    path = Path(recipe)
    if path.is_file():
        return path
    shipped = shipped_recipes()
    if str(recipe) in shipped:
        return shipped[str(recipe)]
    raise FileNotFoundError(
        f"there is no recipe {str(recipe)!r}: neither a file nor one of {', '.join(shipped)}."
    )


def load_recipe(recipe: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, or one that ships with calibench, and apply ``key.sub=value`` overrides.

    Raises:
        FileNotFoundError: no such file and no shipped recipe of that name.
        ValueError: not a mapping, an unknown key, or a value that is not allowed; names the file,
            the key and what is allowed.
    """
    path = find_recipe(recipe)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must be a mapping of keys to values, as the shipped recipes are.")
    for override in overrides:
        _override(content, override)
    try:
        return TypeAdapter(Recipe).validate_python(content)
    except ValidationError as error:
        raise ValueError(f"{path}: {_sentence(error)}") from None


def describe_recipe(path: Path) -> str:
    """The first comment line of a recipe file, without the comment sign."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ").rstrip(".")


def _override(content: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator:
        raise ValueError(f"the override {override!r} is not of the form key=value.")
    *parents, last = key.split(".")
    section = content
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise ValueError(f"the override {override!r} treats {parent!r}, a value, as a section.")
    try:
        section[last] = _plain(yaml.safe_load(value))
    except yaml.YAMLError:
        raise ValueError(f"the value in the override {override!r} is not YAML.") from None


def _plain(value: Any) -> Any:
    # YAML 1.1 reads 5e-4 as text, since it has no decimal point.
    number = isinstance(value, str) and re.fullmatch(r"[-+]?\d+[eE][-+]?\d+", value)
    return float(value) if number else value


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    method, *path = first["loc"] or [""]
    if first["type"] == "union_tag_not_found":
        return f"the key 'method' is missing; it must be one of {_listed(_methods())}."
    if first["type"] == "union_tag_invalid":
        return f"method is {first['ctx']['tag']!r}, which is not one of {_listed(_methods())}."
    key = ".".join(map(str, path))
    if first["type"] != "extra_forbidden":
        message = first["msg"].removeprefix("Value error, ")
        return f"{key} is {first['input']!r}: {message}." if key else f"{message}."
    (near,) = difflib.get_close_matches(key, list(_keys(_methods()[method])), n=1, cutoff=0.0)
    return f"unknown key {key!r}; the nearest known one is {near!r}."


def _keys(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The keys of a section, and of the sections in it, as overrides name them."""
    for name, known in section.model_fields.items():
        yield prefix + name
        for kind in (known.annotation, *get_args(known.annotation)):  # Section, or Section | None
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _keys(kind, f"{prefix}{name}.")


def _methods() -> dict[str, type[BaseModel]]:
    union = get_args(Recipe)[0]
    models = get_args(union) or (union,)
    return {get_args(m.model_fields["method"].annotation)[0]: m for m in models}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
