"""Tables and figures of experiments that kept the confidence in every answer.

Scores have bootstrap intervals over the questions. Rows that judge the same answers are compared
question by question, and a row with a baseline is compared with that, whose answers may be others.
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

    experiment: str
    seed: int | None
    config: Config
    evaluation: str
    label: str
    answers: Sequence[Scored]

    @property
    def task(self) -> str:
        """The task that was asked."""
        return self.config.evaluate[self.evaluation].task

    def is_compared_with(self, other: Row) -> bool:
        """Whether the tables say how it differs from `other`."""
        if self.config.against:
            return other.experiment in self.config.against and other.experiment != self.experiment
        return self.config.compared and not other.config.compared

    @property
    def columns(self) -> tuple[list[Any], list[int]]:
        """The confidences, and whether the answers are right."""
        return [each.confidence for each in self.answers], [each.correct for each in self.answers]

    def judges_the_same(self, other: Row) -> bool:
        """Whether both judge the same answers to the same questions."""
        mine, theirs = ([(x.id, x.correct) for x in row.answers] for row in (self, other))
        return self.evaluation == other.evaluation and mine == theirs

    def is_based_on(self, other: Row) -> bool:
        """Whether the other is the baseline of this one, asked the same questions."""
        mine, theirs = ([x.id for x in row.answers] for row in (self, other))
        named = self.config.baseline == other.experiment and self.evaluation == other.evaluation
        return named and other.seed in (None, self.seed) and mine == theirs


def rows_of(kept: Mapping[str, tuple[Config, Answers]]) -> list[Row]:
    """The rows of experiments, by evaluation; where there are several seeds, a row for each."""
    rows = []
    for name, (config, answers) in kept.items():
        seeds = {seed for seed, _ in answers}
        for (seed, evaluation), found in answers.items():
            label = config.label + (f", seed {seed}" if len(seeds) > 1 else "")
            rows.append(Row(name, seed, config, evaluation, label, found))
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


def baseline_cells(rows: Sequence[Row]) -> Iterator[list[str]]:
    """As `difference_cells`, of rows with a baseline; then by which share its ECE is lower."""
    for row in rows:
        for other in rows:
            if row.is_based_on(other):
                found = compare(*row.columns, *other.columns, METRICS)
                cells = [_cell(found[name], "{:+.3f}") for name in METRICS]
                ece = score(*other.columns, ("ece",), resamples=0)["ece"].value
                lower = f"{-100 * found['ece'].value / ece:.0f} %" if ece else "undefined"
                n = str(found["brier"].n)
                yield [row.evaluation, f"{row.label}, less {other.label}", n, *cells, lower]


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
    return {"label": row.label, "emphasise": row.config.compared, **scores}


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
