"""Readers of values in a results file, which may be any JSON."""

from __future__ import annotations

from typing import Any


def text(value: Any) -> str | None:
    """The value as text; None for null."""
    return None if value is None else str(value)


def number(value: Any) -> int | None:
    """The value if it is a whole number, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def printable(value: Any) -> Any:
    """Replace lone surrogates, which UTF-8 cannot encode, by question marks."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {printable(key): printable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [printable(part) for part in value]
    return value
