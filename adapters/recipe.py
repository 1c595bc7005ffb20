"""Recipes: everything that decides what an adapter learns, in one readable, checked YAML file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

RECIPES = Path(__file__).parent / "recipes"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Objective(_Section):
    """Loss = cross-entropy of the yes/no query + kappa · JSD to the base model on the answer."""

    kappa: float = Field(1.0, ge=0)


class Lora(_Section):
    """Shape of the adapter (`peft.LoraConfig`)."""

    r: int = Field(8, ge=1)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] = Field(("q_proj", "v_proj"), min_length=1)


class Optimiser(_Section):
    """AdamW without weight decay, cosine schedule."""

    learning_rate: float = Field(1e-4, gt=0)
    batch_size: int = Field(16, ge=1)
    epochs: int = Field(3, ge=1)
    warmup_steps: int = Field(0, ge=0)
    beta2: float = Field(0.999, gt=0, lt=1)
    max_grad_norm: float = Field(1.0, gt=0)


class Data(_Section):
    """Which part of the graded dataset is used."""

    max_train: int | None = Field(None, ge=2)


class Recipe(_Section):
    """A recipe; the defaults are those of Kapoor et al. (2024) where the paper gives them."""

    objective: Objective = Objective()
    lora: Lora = Lora()
    optimiser: Optimiser = Optimiser()
    data: Data = Data()
    dtype: Literal["float32", "bfloat16"] = "float32"
    seed: int = Field(0, ge=0)


def load_recipe(recipe: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, or one that ships with calibench, and apply ``key.sub=value`` overrides.

    Raises:
        FileNotFoundError: no such file and no shipped recipe of that name.
        ValueError: not a mapping, an unknown key, or a value that is not allowed.
    """
    path = _find(recipe)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold keys and values, as the shipped recipes do.")
    for override in overrides:
        _override(content, override)
    try:
        return Recipe(**content)
    except ValidationError as error:
        raise ValueError(f"{path}: {_sentence(error)}") from None


def _find(recipe: str | Path) -> Path:
    path = Path(recipe)
    if path.is_file():
        return path
    shipped = {file.stem: file for file in sorted(RECIPES.glob("*.yaml"))}
    if path.stem in shipped:
        return shipped[path.stem]
    raise FileNotFoundError(
        f"there is no recipe {str(recipe)!r}: neither a file nor one of {', '.join(shipped)}."
    )


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
    section[last] = yaml.safe_load(value)


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] != "extra_forbidden":
        return f"{key} is {first['input']!r}: {first['msg']}."
    section: Any = Recipe
    for part in first["loc"][:-1]:
        section = section.model_fields[part].annotation
    near = difflib.get_close_matches(str(first["loc"][-1]), section.model_fields, n=1, cutoff=0.0)
    return f"unknown key {key!r}; the nearest known one is {near[0]!r}."
