"""The gate's report: a table for the terminal, JUnit XML, Markdown for GitHub, and JSON."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

from calib_leaderboards.gate.decide import REGRESSION, UNDECIDED, Judgement, Report
from calib_leaderboards.markdown import escape

_HEAD = (
    "method",
    "metric",
    "baseline",
    "new",
    "difference [95 % interval]",
    "p",
    "detects",
    "n",
    "verdict",
)


def to_text(report: Report) -> str:
    """Every score with its difference, interval, p, smallest detectable harm and verdict."""
    parts = [f"{plain(report.baseline)}: {_models(report)}"]
    for task, group in groupby(report.judgements, key=lambda j: j.task):
        judged = list(group)
        rows = [_HEAD, *(_cells(judgement) for judgement in judged)]
        width = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(w) if place in (0, 1, 8) else cell.rjust(w)
                for place, (cell, w) in enumerate(zip(row, width, strict=True))
            ).rstrip()
            for row in ([plain(cell) for cell in row] for row in rows)
        ]
        notes = [plain(f"  {note}") for note in _notes(judged, report.level_each)]
        parts.append("\n".join([plain(task), *lines, *notes]))
    return "\n\n".join([*parts, plain(_how(report)), plain(summary(report))])


def summary(report: Report) -> str:
    """The outcome in one sentence."""
    count = {verdict: 0 for verdict in (REGRESSION, UNDECIDED)}
    for judgement in report.judgements:
        count[judgement.verdict] = count.get(judgement.verdict, 0) + 1
    total = len(report.judgements)
    undecided = f"{count[UNDECIDED]} of {total} scores cannot be compared with the baseline"
    if count[REGRESSION]:
        more = f"; {undecided}" if count[UNDECIDED] else ""
        return f"REGRESSION: {count[REGRESSION]} of {total} scores became worse{more}."
    if count[UNDECIDED]:
        return f"CANNOT DECIDE: {undecided}."
    return f"PASS: none of {total} scores became worse."


def to_markdown(report: Report) -> str:
    """The same as a section of Markdown, for GITHUB_STEP_SUMMARY; every name is escaped."""
    mark = {0: "✅", 1: "❌", 2: "⚠️"}[report.exit_code]
    parts = [f"## {mark} {escape(summary(report))}", escape(_models(report))]
    for task, group in groupby(report.judgements, key=lambda j: j.task):
        judged = list(group)
        rows = [[escape(cell) for cell in _cells(judgement)] for judgement in judged]
        for row, judgement in zip(rows, judged, strict=True):
            if judgement.verdict == REGRESSION:
                row[-1] = f"**{row[-1]}**"
        align = ["---", "---", *["---:"] * 6, "---"]
        table = "\n".join(f"| {' | '.join(row)} |" for row in [list(_HEAD), align, *rows])
        notes = [f"- {escape(note)}" for note in _notes(judged, report.level_each)]
        parts += [f"### {escape(task)}", table, *(["\n".join(notes)] if notes else [])]
    return "\n\n".join([*parts, escape(_how(report))]) + "\n"


def to_junit(report: Report) -> bytes:
    """JUnit XML: a suite per task, a case per score.

    A regression is a failure; a score without a verdict is an error.
    """
    root = ET.Element("testsuites", name=_xml(f"calibench gate {report.baseline}"))
    for task, group in groupby(report.judgements, key=lambda j: j.task):
        judged = list(group)
        counts = {
            "tests": len(judged),
            "failures": sum(judgement.verdict == REGRESSION for judgement in judged),
            "errors": sum(judgement.verdict == UNDECIDED for judgement in judged),
        }
        suite = ET.SubElement(
            root, "testsuite", name=_xml(task), **{key: str(n) for key, n in counts.items()}
        )
        for judgement in judged:
            name = _xml(_name(judgement))
            case = ET.SubElement(suite, "testcase", classname=_xml(task), name=name)
            text = _xml(_sentence(judgement))
            if judgement.verdict == REGRESSION:
                ET.SubElement(case, "failure", message=text, type="regression").text = text
            elif judgement.verdict == UNDECIDED:
                ET.SubElement(case, "error", message=text, type="undecided").text = text
            else:
                ET.SubElement(case, "system-out").text = text
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def to_json(report: Report) -> str:
    """All numbers, as strict JSON: undefined ones are null."""
    document = {
        "format": "calibench-gate/1",
        "exit_code": report.exit_code,
        "summary": summary(report),
        **asdict(report),
        "baseline": str(report.baseline),
    }
    return json.dumps(_strict(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _cells(judged: Judgement) -> tuple[str, ...]:
    evidence = judged.evidence
    arrow = {True: " ↑", False: " ↓", None: ""}[judged.higher_is_better]
    shown = "—"
    if evidence is not None:
        shown = f"{evidence.difference:+.4f} [{evidence.low:+.4f}, {evidence.high:+.4f}]"
    elif judged.value is not None:
        shown = f"{judged.value - judged.baseline:+.4f}"
    shown = re.sub(r"-(0\.0000)", r"+\1", shown)
    return (
        judged.filter,
        judged.metric + arrow,
        _number(judged.baseline),
        _number(judged.value),
        shown,
        _number(judged.p),
        _number(judged.detectable),
        "—" if evidence is None else f"{evidence.n}",
        judged.verdict,
    )


def _notes(judged: list[Judgement], level_each: float) -> Iterator[str]:
    """Notes below the table; a reason that several scores share appears once."""
    for reason, group in groupby(judged, key=lambda j: j.reason):
        names = [_name(judgement) for judgement in group]
        if reason:
            yield reason if len(names) == len(judged) else f"{', '.join(names)}: {reason}"
    tested = [judgement for judgement in judged if judgement.evidence is not None]
    same = [judgement for judgement in tested if not judgement.evidence.stderr > 0]
    if same:
        needed = math.ceil(-math.log2(level_each))
        yield (
            f"No difference at all: {', '.join(map(_name, same))}. Without noise between "
            f"the runs, the test detects a mean without tolerance that is worse on {needed} "
            "questions and better on none."
        )
    for judgement in tested:
        evidence, notes = judgement.evidence, []
        if evidence.noise is not None:
            notes.append(
                f"a perfectly calibrated model would score {evidence.noise[0]:.4f} by chance, and "
                f"above {evidence.noise[1]:.4f} once in twenty runs"
            )
        if evidence.n_missing:
            notes.append(f"{evidence.n_missing} questions left out, one side lacks a confidence")
        if judgement.tolerance:
            notes.append(f"a change of {judgement.tolerance:g} for the worse is accepted")
        if notes:
            yield f"{_name(judgement)} ({evidence.test}): {'; '.join(notes)}"


def _name(judged: Judgement) -> str:
    return " ".join(filter(None, (judged.filter, judged.metric)))


def _sentence(judged: Judgement) -> str:
    if judged.reason:
        return judged.reason
    cells = dict(zip(_HEAD, _cells(judged), strict=True))
    test = judged.evidence.test if judged.evidence else "threshold"
    return (
        f"{cells['metric']}: {cells['baseline']} -> {cells['new']}, difference "
        f"{cells['difference [95 % interval]']}, tolerance {judged.tolerance:g}, test {test}, "
        f"p {cells['p']}, detects {cells['detects']}, n {cells['n']}: {judged.verdict}"
    )


def _how(report: Report) -> str:
    corrected = "corrected by Holm" if report.correction == "holm" else "not corrected"
    return (
        f"p: one-sided against a change for the worse, {corrected}; at most {report.level:g} is a "
        "regression. detects: the smallest change for the worse that a run like this finds with "
        f"80 % power. {report.resamples:,} resamples, seed {report.seed}."
    )


def _models(report: Report) -> str:
    run = ", ".join(report.models) or "no model"
    return f"baseline of {report.baseline_model}, run of {run}"


def _number(value: float | None) -> str:
    return "—" if value is None or math.isnan(value) else f"{value:.4f}"


def plain(text: object) -> str:
    """Text that cannot move the cursor or colour the terminal: no control characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", "?", str(text))


def _xml(text: str) -> str:
    """Text without the characters that XML cannot hold even when escaped."""
    return re.sub(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    return value
