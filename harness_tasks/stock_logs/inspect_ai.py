"""Logs of Inspect (.eval, or JSON), where a scorer logged a confidence.

Inspect itself elicits none. The confidence may be a number beside the verdict in a score whose
value is a mapping, in the score's metadata, or in the sample's metadata or store.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from harness_tasks.stock_logs.content import (
    NoConfidence,
    Source,
    archive,
    document,
    name_of,
    unpack,
)
from harness_tasks.stock_logs.table import Column, LogTable, columns_of

# As in Inspect's own value_to_float; "P", partly right, is neither.
_VERDICTS = {"C": 1, "I": 0, "N": 0, 1: 1, 0: 0}  # 1 is True, 0 False


def read_table(
    source: Source, *, confidence: str = "confidence", correct: str = "correct"
) -> LogTable:
    """Read a log of Inspect; each scorer is a method.

    confidence: the name of the number. correct: that of the verdict, where a score's value is a
    mapping. Raises ValueError if no score holds such a number, or a verdict is not right or wrong.
    """
    name = name_of(source)
    header, samples = _read(source)
    by_scorer: dict[str, list[tuple[float, int, dict[str, Any]]]] = {}
    scorers: dict[str, None] = {}
    noted: dict[str, None] = {}
    count = 0
    task = str((header.get("eval") or {}).get("task", "inspect"))
    for sample in samples:
        count += 1
        where = f"{name}, sample {sample.get('id')!r}"
        scores = sample.get("scores")
        for scorer, score in scores.items() if isinstance(scores, dict) else ():
            scorers[scorer] = None
            notes = _notes(sample, score)
            noted.update(dict.fromkeys(notes))
            if confidence not in notes:
                continue
            metadata = sample.get("metadata")
            fields = {
                **(metadata if isinstance(metadata, dict) else {}),
                "id": sample.get("id"),
                "epoch": sample.get("epoch"),
                "task": task,
            }
            row = _number(notes[confidence], where), _verdict(score, correct, where), fields
            by_scorer.setdefault(scorer, []).append(row)
    if not by_scorer:
        listed = f" The fields are {', '.join(noted)}." if noted else ""
        raise NoConfidence(
            f"{name} is a log of Inspect with {count} samples, scored by "
            f"{', '.join(scorers) or 'nothing'}, and no score holds a field '{confidence}'.{listed}"
            " Name the field with --confidence, or let the scorer put a number from 0 to 1 into "
            "Score(metadata={'confidence': ...})."
        )
    if len({len(rows) for rows in by_scorer.values()}) > 1 or len(
        next(iter(by_scorer.values()))
    ) not in (count, 0):
        short = ", ".join(f"{len(rows)} by {scorer}" for scorer, rows in by_scorer.items())
        raise ValueError(
            f"{name} holds {count} samples, but a confidence in {short}; where the model gave "
            "none, the scorer should write null, so that it is counted as missing."
        )
    columns = {
        scorer: Column(*np.array([row[:2] for row in rows], float).T)
        for scorer, rows in by_scorer.items()
    }
    fields = columns_of([row[2] for row in next(iter(by_scorer.values()))])
    heading = "standard input" if isinstance(source, bytes) else source.name
    said = [f"Logged by Inspect; the task is {task}."]
    if (status := header.get("status")) not in (None, "success"):
        said.append(f"The evaluation did not succeed: its status is {status}.")
    if len(set(map(str, fields["id"]))) < len(fields["id"]):
        said.append("A sample has several epochs, which --group id keeps together.")
    return LogTable(heading, name, columns, fields, tuple(said))


def _read(source: Source) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """Return a log's header and its samples."""
    packed = archive(source)
    if packed is None:
        found = document(source)
        samples = found.get("samples") if isinstance(found, dict) else None
        if not isinstance(samples, list):
            raise ValueError(f"{name_of(source)} is a log of Inspect without samples.")
        return found, iter(samples)
    names = packed.namelist()
    header = "header.json" if "header.json" in names else "_journal/start.json"
    return _member(packed, header, source), (
        _member(packed, each, source)
        for each in names
        if each.startswith("samples/") and each.endswith(".json")
    )


def _member(packed: zipfile.ZipFile, member: str, source: Source) -> dict[str, Any]:
    try:
        found = json.loads(unpack(packed, member))
    except NotImplementedError:
        raise ValueError(
            f"{name_of(source)}: '{member}' is packed in a way that cannot be read here; convert "
            "the log with `inspect log convert --to json`."
        ) from None
    except (ValueError, zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{name_of(source)}: '{member}' is damaged ({error}).") from None
    if not isinstance(found, dict):
        raise ValueError(f"{name_of(source)}: '{member}' is not a JSON object.")
    return found


def _notes(sample: dict[str, Any], score: Any) -> dict[str, Any]:
    """Return the fields logged with a score; the score's own fields win."""
    places = [sample.get("store"), sample.get("metadata")]
    if isinstance(score, dict):
        places += [score.get("metadata"), score.get("value")]
    found: dict[str, Any] = {}
    for place in places:
        found.update(place if isinstance(place, dict) else {})
    return found


def _number(value: Any, where: str) -> float:
    if value is None:
        return np.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{where}: the confidence is {value!r}, which is not a number.")
    return float(value)


def _verdict(score: Any, correct: str, where: str) -> int:
    value = score.get("value") if isinstance(score, dict) else None
    if isinstance(value, dict):
        value = value.get(correct)
    if not isinstance(value, (str, bool, int, float)) or value not in _VERDICTS:
        raise ValueError(
            f"{where}: the verdict is {value!r}, neither right (C, 1, true) nor wrong (I, N, 0, "
            "false); in a score of several values, name it with --correct."
        )
    return _VERDICTS[value]
