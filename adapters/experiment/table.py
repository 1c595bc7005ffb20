"""The README of the experiments: a table per group of results."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from calib_adapters.experiment.config import Config
from calib_adapters.experiment.measure import METRICS
from calib_adapters.experiment.run import RESULT

README = "README.md"
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"
HEADS = {"acc": "accuracy", "ece": "ECE ↓", "auroc": "AUROC ↑", "brier": "Brier ↓"}


def write_tables(folder: Path) -> Path:
    """Put the tables of all results below `folder` between the markers in its README.

    Raises:
        ValueError: the README has no markers.
        FileNotFoundError: no README, or no result.
    """
    readme = folder / README
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{readme} has no lines {BEGIN} and {END}, between which tables go.")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    part = readme.with_name(f".{README}.part")
    part.write_text(f"{head}{BEGIN}\n\n{tables(folder)}\n{END}{tail}", encoding="utf-8")
    os.replace(part, readme)
    return readme


def tables(folder: Path) -> str:
    """Markdown: for each table that configs name, a row per experiment and evaluation."""
    files = sorted(folder.glob(f"*/{RESULT}"))
    if not files:
        raise FileNotFoundError(f"no experiment in {folder} has a {RESULT} yet.")
    groups: dict[str, list[str]] = {}
    for file in files:
        result = json.loads(file.read_text(encoding="utf-8"))
        config = Config(**result["config"])
        for name, summary in result["summary"].items():
            cells = [config.label, name, str(summary["n"]), str(summary["seeds"])]
            cells += [_cell(summary.get(metric)) for metric in METRICS]
            groups.setdefault(config.table, []).append(f"| {' | '.join(cells)} |")
    columns = ["", "evaluated on", "n", "seeds", *(HEADS[metric] for metric in METRICS)]
    head = f"| {' | '.join(columns)} |\n|---|---|--:|--:|" + "--:|" * len(METRICS)
    return "\n".join(f"### {name}\n\n{head}\n" + "\n".join(rows) + "\n"
                     for name, rows in groups.items())


def _cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return "undefined"
    return f"{found['mean']:.3f}" + (f" ± {found['sd']:.3f}" if found["sd"] is not None else "")
