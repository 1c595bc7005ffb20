"""Tables and figures of experiments that kept the confidence in every answer.

Scores have bootstrap intervals over the questions. Rows that judge the same answers are compared
question by question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calib_metrics import Score, compare, plots, score
from runner.answers import Answers
from runner.config import Config
from runner.measure import METRICS, Scored

COMPARED = ("ece", "auroc", "brier")


@dataclass(frozen=True)
class Row:
    """What one model, trained with one seed or not at all, said in one evaluation."""

    name: str
    task: str
    evaluation: str
    label: str
    compared: bool
    against: Sequence[str]
    answers: Sequence[Scored]

    def is_compared_with(self, other: Row) -> bool:
        """Whether the tables say how it differs from `other`."""
        if self.against:
            return other.name in self.against and other.name != self.name
        return self.compared and not other.compared

    @property
    def columns(self) -> tuple[list[Any], list[int]]:
        """The confidences, and whether the answers are right."""
        return [each.confidence for each in self.answers], [each.correct for each in self.answers]

    def judges_the_same(self, other: Row) -> bool:
        """Whether both judge the same answers to the same questions."""
        mine, theirs = ([(x.id, x.correct) for x in row.answers] for row in (self, other))
        return self.evaluation == other.evaluation and mine == theirs


def rows_of(kept: Mapping[str, tuple[Config, Answers]]) -> list[Row]:
    """The rows of experiments, by evaluation; where there are several seeds, a row for each."""
    rows = []
    for name, (config, answers) in kept.items():
        seeds = {seed for seed, _ in answers}
        for (seed, evaluation), found in answers.items():
            label = config.label + (f", seed {seed}" if len(seeds) > 1 else "")
            task = config.evaluate[evaluation].task
            about = (name, task, evaluation, label, config.compared, config.against)
            rows.append(Row(*about, found))
    names = list(dict.fromkeys(row.evaluation for row in rows))
    return sorted(rows, key=lambda row: names.index(row.evaluation))


def score_cells(rows: Sequence[Row]) -> Iterator[list[str]]:
    """Cells of a table: evaluation, label, n, answered, and the scores with their intervals."""
    for row in rows:
        scores = score(*row.columns, (*METRICS, "answered"))
        cells = [_cell(scores[name], "{:.3f}") for name in METRICS]
        yield [row.evaluation, row.label, str(len(row.answers)), *cells, _answered(scores)]


def difference_cells(rows: Sequence[Row]) -> Iterator[list[str]]:
    """Cells of a table: evaluation, whose scores less whose, n, and the paired differences."""
    for row in rows:
        for other in rows:
            if not row.is_compared_with(other) or not row.judges_the_same(other):
                continue
            found = compare(*row.columns, *other.columns, COMPARED)
            cells = [_cell(found[name], "{:+.3f}") for name in COMPARED]
            n = str(found["brier"].n)
            yield [row.evaluation, f"{row.label}, less {other.label}", n, *cells]


def draw(groups: Mapping[str, Sequence[Row]], evaluation: str, folder: Path) -> list[Path]:
    """ECE and AUROC of each group's rows in `evaluation`, a picture each and one of all groups."""
    paths: list[Path] = []
    columns = {}
    for name, rows in groups.items():
        shown = [row for row in rows if row.evaluation == evaluation]
        if shown:
            columns[name] = [_bar(row) for row in shown]
            stem, task = folder / f"{_slug(name)}_bars", f"{shown[0].task}, {evaluation}"
            paths += plots.bar_chart(columns[name], stem, model=name, task=task)
    if len(columns) > 1:
        paths += plots.bar_grid(columns, folder / "all_bars", task=task)
    return paths


def _bar(row: Row) -> dict[str, Any]:
    scores = score(*row.columns, ("ece", "auroc"))
    return {"label": row.label, "emphasise": row.compared, **scores}


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name)


def _cell(found: Score, form: str) -> str:
    if found.value != found.value:
        return "undefined"
    value = form.format(found.value)
    if found.low != found.low:
        return value
    return f"{value} ({form.format(found.low)} to {form.format(found.high)})"


def _answered(scores: Mapping[str, Score]) -> str:
    return f"{scores['answered'].value:.3f}"
