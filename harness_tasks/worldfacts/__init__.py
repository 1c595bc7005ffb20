"""WorldFacts: closed-book questions about the real world, shipped with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets

DATA = Path(__file__).parent / "data"


def load(**_: Any) -> datasets.DatasetDict:
    """All splits: train, validation, test (unseen subjects) and test_ood (unseen relations).

    lm-eval passes the task's metadata as keyword arguments; the data does not depend on them.
    """
    files = {path.stem: str(path) for path in sorted(DATA.glob("*.jsonl"))}
    return datasets.load_dataset("json", data_files=files)
