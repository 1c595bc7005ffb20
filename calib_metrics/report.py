"""The output of `calibench score` for a file: the table, the JSON document and the figures."""

from __future__ import annotations

import json
import math
import re
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from calib_metrics._checks import clip_rounding
from calib_metrics.files import Rows
from calib_metrics.noise import NoiseFloor, noise_floor
from calib_metrics.outputs import write_output
from calib_metrics.scales import check_order_metrics, to_confidence
from calib_metrics.scores import Score, score
from calib_metrics.signature import SIGNATURE_VERSION


@dataclass(frozen=True)
class Report:
    """The scores of one method's rows, with notes for the reader.

    name: of the file. method: how the confidences were elicited, "" if unknown. floor: the ECE that
    confidences like these would show if they were perfectly calibrated; None if not computed.
    notes: sentences about undefined or doubtful scores.
    """

    name: str
    method: str
    scores: dict[str, Score]
    floor: NoiseFloor | None
    notes: tuple[str, ...]
    rows: Rows = field(repr=False)

    @property
    def title(self) -> str:
        """The names of the file and the method."""
        return f"{self.name}, {self.method}" if self.method else self.name


def make_report(
    name: str,
    rows: Rows,
    metrics: Sequence[str],
    *,
    resamples: int = 1000,
    clip: bool = False,
    scale: str = "probability",
    **options: Any,
) -> Report:
    """Score the rows of a file. options: those of `score`.

    clip: clip confidences that rounding put just outside [0, 1] (see `clip_rounding`). A note says
    how many there were, and the signatures end in "|clipped:" and their number.

    scale: what the numbers are (see `to_confidence`); the signatures end in "|scale:" and its name
    unless they are probabilities. With "rank", only metrics of the order are allowed.

    The noise floor uses `resamples` draws, as the intervals do, so there is none if that is 0. It
    assumes independent rows, so there is none with groups either.
    Raises ValueError on bad input.
    """
    clipped = ""
    try:
        if scale == "rank":
            check_order_metrics(metrics)
        given = rows.confidence
        rows = rows._replace(confidence=to_confidence(given, scale))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if clip:
        confidence, clipped = clip_rounding(rows.confidence)
        rows = rows._replace(confidence=confidence)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            scores = score(
                rows.confidence,
                rows.correct,
                metrics,
                groups=rows.groups,
                resamples=resamples,
                **options,
            )
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    notes = tuple(dict.fromkeys(str(each.message) for each in caught))
    if clipped:
        notes = (clipped, *notes)
        count = clipped.partition(" ")[0]
        scores = {
            key: replace(found, signature=f"{found.signature}|clipped:{count}")
            for key, found in scores.items()
        }
    if scale != "probability":
        scores = {
            key: replace(found, signature=f"{found.signature}|scale:{scale}")
            for key, found in scores.items()
        }
    if scale in ("percent", "ten") and 0 < np.max(given, initial=0, where=given > 0) <= 1:
        notes = (*notes, "No value is above 1: are they probabilities already?")
    if scale == "rank" and "auroc" in scores and scores["auroc"].high < 0.5:
        notes = (
            *notes,
            "The right answers have the lower scores. If a high score means doubt here, as an "
            "entropy or a loss does, negate the column.",
        )
    floor = None
    answered = np.count_nonzero(~np.isnan(rows.confidence))
    # An ECE that also assumes the worst of other rows cannot be compared with these.
    comparable = "ece" in scores and scores["ece"].n == answered and rows.groups is None
    if comparable and resamples and answered:
        names = ("bins", "strategy", "norm", "seed")
        binned = {name: options[name] for name in names if name in options}
        given = rows.confidence[~np.isnan(rows.confidence)]
        floor = noise_floor(given, draws=resamples, **binned)
    return Report(name, options.get("method", ""), scores, floor, notes, rows)


def to_text(report: Report) -> str:
    """Return the report as lines for a terminal: the table, the notes, the signatures."""
    scores = list(report.scores.values())
    table = [["metric", "value", "95 % interval", "n", "missing"]]
    for found in scores:
        arrow = "↑" if found.higher_is_better else "↓"
        interval = "" if math.isnan(found.low) else f"[{found.low:.4f}, {found.high:.4f}]"
        value = "n/a" if math.isnan(found.value) else f"{found.value:.4f}"
        counts = [f"{found.n:,}", f"{found.n_missing:,}"]
        table.append([f"{found.name} {arrow}", value, interval, *counts])
    if not any(row[2] for row in table[1:]):
        for row in table:
            del row[2]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [report.title, ""]
    for first, *rest in table:
        cells = [
            first.ljust(widths[0]),
            *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True)),
        ]
        lines.append("  " + "  ".join(cells))
    notes = [*report.notes, *([_floor_sentence(report, report.floor)] if report.floor else [])]
    for note in notes:
        lines += ["", *textwrap.wrap(note, 96, initial_indent="  ", subsequent_indent="  ")]
    return "\n".join([*lines, "", *(f"  {found.signature}" for found in scores)])


def _floor_sentence(report: Report, floor: NoiseFloor) -> str:
    value = report.scores["ece"].value
    verdict = (
        "more than that, so the confidences are miscalibrated"
        if value > floor.high
        else "no more than that, so it does not show that they are miscalibrated"
    )
    return (
        f"Noise floor: if confidences like these were perfectly calibrated, their ECE would be "
        f"{floor.mean:.4f} on average, and at most {floor.high:.4f} in 95 % of samples of this "
        f"size. This ECE is {verdict}."
    )


def write_json(path: Path, reports: Sequence[Report]) -> None:
    """Write the reports as strict JSON, atomically; "-" is standard output.

    {"version": ..., "reports": [{"file", "method", "scores": {name: Score.to_dict()},
    "noise_floor": {...} or null, "notes": [...]}, ...]}
    """
    document = {
        "version": SIGNATURE_VERSION,
        "reports": [
            {
                "file": report.name,
                "method": report.method,
                "scores": {name: found.to_dict() for name, found in report.scores.items()},
                "noise_floor": asdict(report.floor) if report.floor else None,
                "notes": list(report.notes),
            }
            for report in reports
        ],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_output(path, text.encode("utf-8", "replace"))  # of names that are not UTF-8


def draw(
    reports: Sequence[Report], folder: Path, *, bins: int = 10, strategy: str = "width"
) -> list[Path]:
    """Draw a reliability diagram per report, and ROC and risk–coverage curves of all reports.

    Every report needs the scores "ece", "auroc" and "aurc", and a row with a confidence.
    bins, strategy: of the reliability diagram, the same as for the scores.
    Writes into `folder`, and returns, <file>_<method>_reliability, roc and risk_coverage, each as
    .png and .svg.
    Raises ValueError when a report lacks those, ImportError without matplotlib.
    """
    from calib_metrics.curves import risk_coverage_figure, roc_figure
    from calib_metrics.plots import reliability_diagram

    # Methods of one file are told apart by their names, several files by both.
    one_file = len({report.name for report in reports}) == 1
    labels = [(one_file and report.method) or report.title for report in reports]
    task = reports[0].name if one_file else ""
    paths: list[Path] = []
    taken: set[str] = set()
    for label, report in zip(labels, reports, strict=True):
        words = f"{Path(report.name).stem} {report.method}".strip()
        stem = name = re.sub(r"[^\w.-]+", "_", words)
        while stem in taken:  # files of one name from two folders
            stem = f"{name}_{len(taken)}"
        taken.add(stem)
        paths += reliability_diagram(
            report.rows.confidence,
            report.rows.correct,
            folder / f"{stem}_reliability",
            title=label,
            task=task if label != task else "",
            bins=bins,
            strategy=strategy,
            found=report.scores["ece"],
        )
    curves = [
        {
            "label": label,
            "confidence": report.rows.confidence,
            "correct": report.rows.correct,
            **report.scores,
        }
        for label, report in zip(labels, reports, strict=True)
    ]
    paths += roc_figure(curves, folder / "roc", task=task)
    paths += risk_coverage_figure(curves, folder / "risk_coverage", task=task)
    return paths
