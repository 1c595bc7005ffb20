"""Builds a leaderboard folder: leaderboard.json, README.md and figures, from lm-eval runs."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import calib_metrics
from calib_metrics import plots

from calib_leaderboards.provenance import provenance
from calib_leaderboards.render import MARK, render
from calib_leaderboards.rows import Row, make_rows, usable
from calib_leaderboards.runs import find_runs

BOARD = "leaderboard.json"
PAGE = "README.md"
BINS = 10


def build(
    results: Sequence[Path],
    out: Path,
    *,
    train_accuracy: float | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Path:
    """Recompute every score from the sample logs below `results` and publish them in `out`.

    results: folders that lm-eval wrote (--output_path, with --log_samples), searched at any depth.
    train_accuracy: share in [0, 1] of right answers in the training split; adds the sanity row
        of a model that always says this number.
    resamples, seed: of the bootstrap behind the intervals.

    Writes `leaderboard.json` (scores, reliability bins, provenance), `README.md` and `figures/`
    in `out`, each file atomically and with bytes that depend on the inputs alone. Figures that an
    earlier build left and this one does not make are removed; other files stay.
    Returns the path of the README.

    Raises FileNotFoundError if there are no results or no sample logs, FileExistsError if `out`
    holds a README.md of another origin, and ValueError if a file is damaged, a score differs from
    the one lm-eval printed, or two runs of a task cannot be compared.
    """
    out = Path(out)
    if train_accuracy is not None and not 0 <= train_accuracy <= 1:
        raise ValueError(f"train_accuracy is {train_accuracy}; it must be in the range [0, 1].")
    _refuse_foreign_page(out / PAGE)
    runs = find_runs(results)
    if not runs:
        raise ValueError(
            "The runs given hold no calibench task; run lm_eval on a task that "
            "`calibench tasks` lists."
        )
    tables = make_rows(runs, train_accuracy=train_accuracy, resamples=resamples, seed=seed)
    out.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".building-", dir=out))
    try:
        (staging / "figures").mkdir()
        board = {
            "format": "calibench-leaderboard/1",
            "settings": {
                "resamples": resamples,
                "seed": seed,
                "level": 0.95,
                "bins": BINS,
                "train_accuracy": train_accuracy,
            },
            "tasks": {task: _table(task, rows, staging) for task, rows in tables.items()},
            "runs": [provenance(run) for run in runs],
        }
        text = json.dumps(board, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (staging / BOARD).write_text(text, encoding="utf-8")
        (staging / PAGE).write_text(render(board), encoding="utf-8")
        _publish(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return out / PAGE


def read_train_accuracy(graded: Path) -> float:
    """Share of right answers in the train split of a graded dataset, from its grading.json.

    Raises FileNotFoundError or ValueError if `graded` is not a folder that `calibench grade` wrote.
    """
    path = Path(graded) / "grading.json"
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' does not exist; make it with `calibench grade`.")
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["splits"]["train"]["accuracy"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"'{path}' states no accuracy of a train split ({error!r}); "
            "make it again with `calibench grade`."
        ) from error


def _table(task: str, rows: Sequence[Row], folder: Path) -> dict[str, Any]:
    """A task's part of leaderboard.json; draws its figures into folder/figures."""
    names = _figure_names(task, rows, folder)
    # Bars stand side by side for the same answers: where an adapter judged the base model's, its
    # scores on answers of its own stay in the table.
    frozen = {row.label for row in rows if row.answers == "frozen"}
    compared = [
        row for row in rows
        if not row.sanity and not (row.answers == "own" and row.adapter and row.label in frozen)
    ]
    bars = [
        {
            "label": _drawable(label),
            "ece": row.scores["ece"],
            "auroc": row.scores["auroc"],
            "emphasise": row.label == "Fine-Tuned",
        }
        for label, row in zip(_distinct_labels(compared), compared)
    ]
    if bars:
        models = ", ".join(sorted({row.model for row in rows}))
        plots.bar_chart(
            bars,
            folder / "figures" / names[0],
            model=_drawable(models),
            task=_drawable(task),
        )
    return {
        "figure": f"figures/{names[0]}" if bars else None,
        "rows": [_row(row, f"figures/{name}", folder) for row, name in zip(rows, names[1:])],
    }


def _row(row: Row, figure: str, folder: Path) -> dict[str, Any]:
    confidence, correct = usable(row.confidence, row.correct)
    reliability = None
    drawn = bool(confidence) and row.method != "constant"  # a constant is a single point
    if confidence:
        bins = calib_metrics.reliability_bins(confidence, correct, bins=BINS)
        reliability = {
            name: [_finite(value) for value in np.asarray(getattr(bins, name)).tolist()]
            for name in ("lower", "upper", "count", "confidence", "accuracy")
        }
    if drawn:
        title = _drawable(row.label)
        plots.reliability_diagram(confidence, correct, folder / figure, title=title, bins=BINS)
    return {
        "label": row.label,
        "method": row.method,
        "model": row.model,
        "adapter": row.adapter,
        "answers": row.answers,
        "sanity": row.sanity,
        "n": len(row.correct),
        "limit": row.limit,
        "run": row.run,
        "elicitation": row.elicitation,
        "figure": figure if drawn else None,
        "scores": {name: score.to_dict() for name, score in row.scores.items()},
        "reliability": reliability,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _drawable(text: str) -> str:
    """`text` without what matplotlib would read as mathematics or SVG cannot hold."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).replace("$", r"\$")


def _distinct_labels(rows: Sequence[Row]) -> list[str]:
    """The labels, followed by whatever is needed to tell rows of one label apart."""
    labels = []
    for row in rows:
        same = [other for other in rows if other.label == row.label]
        parts = [
            getattr(row, name)
            for name in ("model", "adapter", "answers")
            if len({getattr(other, name) for other in same}) > 1
        ]
        labels.append(f"{row.label} ({', '.join(map(str, parts))})" if parts else row.label)
    return labels


def _figure_names(task: str, rows: Sequence[Row], folder: Path) -> list[str]:
    """File names without suffix for the bar chart and then each row; never the same name twice.

    Task and label come from files, so all but letters and digits is replaced: no name can point
    out of the folder or break a Markdown link.
    """
    stem = _slug(task, keep="_")
    wanted = [f"{stem}_bars"]
    wanted += [f"{stem}_reliability_{_slug(label)}" for label in _distinct_labels(rows)]
    taken = {path.stem for path in (folder / "figures").iterdir()}
    names = []
    for name in wanted:
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name}-{number}"
        taken.add(free)
        names.append(free)
    return names


def _slug(text: str, keep: str = "") -> str:
    """`text` in lower-case ASCII letters and digits, at most 80, with dashes between."""
    return re.sub(rf"[^a-z0-9{keep}]+", "-", text.lower()).strip("-")[:80] or "unnamed"


def _refuse_foreign_page(page: Path) -> None:
    if page.is_file() and not page.read_text(encoding="utf-8", errors="replace").startswith(MARK):
        raise FileExistsError(
            f"'{page}' was not made by `calibench leaderboard build` and would be overwritten; "
            "choose another output folder."
        )


def _publish(staging: Path, out: Path) -> None:
    """Move the new files into `out`, the page that shows them last, and drop stale figures."""
    (out / "figures").mkdir(parents=True, exist_ok=True)
    stale = _figures_listed(out / BOARD) - _figures_listed(staging / BOARD)
    for path in sorted((staging / "figures").iterdir()):
        os.replace(path, out / "figures" / path.name)
    for name in (BOARD, PAGE):
        os.replace(staging / name, out / name)
    for name in stale:
        (out / "figures" / name).unlink(missing_ok=True)


def _figures_listed(board: Path) -> set[str]:
    """Names of the figure files that a leaderboard.json refers to; none if there is no board."""
    if not board.is_file():
        return set()
    tables = json.loads(board.read_text(encoding="utf-8"))["tasks"].values()
    stems = [part["figure"] for table in tables for part in (table, *table["rows"])]
    return {f"{Path(stem).name}.{kind}" for stem in stems if stem for kind in ("png", "svg")}
