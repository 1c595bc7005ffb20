"""The data sets that recipes train on, told apart by the file that describes them."""

from __future__ import annotations

import json
from pathlib import Path

GRADING = "grading.json"  # written by `calibench grade`
PREPARED = "prepared.json"  # written by `calibench prepare`


def data_fingerprint(data: Path) -> str:
    """The sha256 over the rows, as the folder's description records it.

    Raises:
        ValueError: `data` is neither a graded nor a prepared data set.
    """
    for name in (GRADING, PREPARED):
        try:
            return json.loads((data / name).read_text(encoding="utf-8"))["fingerprint"]
        except (OSError, ValueError, KeyError):
            continue
    raise ValueError(
        f"{data} holds neither graded answers nor prepared prompts; make them with "
        f"`calibench grade RESULTS -o {data}` or `calibench prepare SOURCE -o {data}`."
    )
