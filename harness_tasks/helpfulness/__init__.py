"""Helpfulness: answers to open requests, which a judge or people then compare or rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets

import harness_tasks.elicitation.response_cache  # noqa: F401  (the model is in the cache's keys)
from harness_tasks.rows import load_rows, texts


def requests(prompts: str, **_: Any) -> dict[str, datasets.Dataset]:
    """The requests of a data set or file, as rows of `id` and `prompt`.

    The text is in a column `prompt` or `instruction` (of several turns, the first counts), with its
    input in `input`, if there is one; `id` or `prompt_id` is kept, else rows are numbered.

    Raises:
        ValueError: there is no such column, a text is empty, or two rows have one id.
    """
    rows = load_rows(prompts)
    found = [
        text if isinstance(text, str) else text[0]
        for text in texts(rows, ("prompt", "instruction"), prompts)
    ]
    inputs = [row.get("input") for row in rows]
    full = [
        f"{text}\n\n{extra}" if extra else text for text, extra in zip(found, inputs, strict=True)
    ]
    ids = [
        str(row.get("id") or row.get("prompt_id") or number)
        for number, row in enumerate(rows, start=1)
    ]
    if len(set(ids)) < len(ids):
        twice = next(each for each in ids if ids.count(each) > 1)
        raise ValueError(f"{prompts}: several rows have the id {twice!r}; give every row its own.")
    return {"test": datasets.Dataset.from_dict({"id": ids, "prompt": full})}


def given(doc: dict[str, Any], results: Sequence[str]) -> dict[str, int]:
    """lm-eval's `process_results` of the answers: 1 where there is one, 0 where it is empty."""
    return {"given": int(bool(results[0].strip()))}
