"""Small valid inputs, made once."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from helpers.graded_runs import record

ROWS = [
    {"confidence": round(0.05 + 0.09 * i, 2), "correct": int(i * 7 % 10 > 3), "q": f"q {i % 4}"}
    for i in range(10)
]
INSTRUCTIONS = [
    {"instruction": f"Say what {i} plus {i} is.", "output": f"It is {2 * i}.", "input": ""}
    for i in range(30)
]
TEXTS = [
    {"prompt": f"What is {i} plus {i}?", "reference": f"It is {2 * i}.", "id": f"row {i}"}
    for i in range(8)
]


def lines(rows: list[Any]) -> bytes:
    """JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(rows: list[dict[str, Any]]) -> bytes:
    """CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    """Parquet."""
    import pyarrow as pa
    import pyarrow.parquet

    content = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), content)
    return content.getvalue()


def folder(path: Path) -> dict[str, bytes]:
    """All files below a folder, by their relative paths."""
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.name.endswith(".lock")
    }


def graded_log() -> dict[str, bytes]:
    """A run of which `grade` makes a train and a validation split."""
    from helpers.graded_runs import write_run

    rows = [
        record(
            f"Land {i}", split="train" if i < 10 else "validation",
            answer="Paris" if i % 2 else "Rome", correct=i % 2,
        )
        for i in range(14)
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        write_run(Path(temporary), rows)
        files = folder(Path(temporary))
    return {
        name: content + (b"\n" if "samples" in name else b"") for name, content in files.items()
    }


def runs(root: Path) -> dict[str, bytes]:
    """A run of a confidence task, and one of a stock multiple-choice task.

    Made in another process: what it imports would make every later one expensive.
    """
    if not root.exists():
        child = os.fork()
        if not child:
            try:
                _run(root)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    return folder(root)


def _run(root: Path) -> None:
    from helpers.store_runs import CHOICE, STOCK, Stating, evaluate
    from helpers.task_runs import TASKS

    metadata = {"methods": ["likelihood", "zero_shot_classifier"]}
    include = [TASKS / "openbookqa", STOCK / "truthfulqa"]
    evaluate(root, CHOICE, "truthfulqa_mc1", include=include, model=Stating(), metadata=metadata)
