"""Fingerprints that entries keep instead of texts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

SHORT = 16  # hex digits of a question's or answer's hash: enough to tell those of a task apart


def fingerprint(parts: Iterable[str]) -> str:
    """sha256 over texts, including where one ends and the next begins."""
    digest = hashlib.sha256()
    for part in parts:
        text = part.encode("utf-8", "surrogatepass")
        digest.update(len(text).to_bytes(8, "big") + text)
    return digest.hexdigest()


def sha256(text: str) -> str:
    """sha256 of the text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def short_sha256(text: str) -> str:
    """The first 16 hex digits of it."""
    return sha256(text)[:SHORT]
