"""HELM's per_instance_stats.json, where its metrics logged a probability.

`max_prob` is the softmax over the references' scores at the highest, or the probability of the
generated text; `exact_match` is whether that answer is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness_tasks.stock_logs.content import NoConfidence, Source, document, name_of
from harness_tasks.stock_logs.table import Column, LogTable, columns_of

_CONFIDENCE = "max_prob"
_CORRECT = ("exact_match", "quasi_exact_match")


def read_table(source: Source, *, correct: str | None = None) -> LogTable:
    """Read the unperturbed instances of all trials.

    correct: the statistic that says whether an answer is right; None: `exact_match`, or else
    `quasi_exact_match`. Raises ValueError if the file holds no probability or no such verdict.
    """
    name = name_of(source)
    instances = document(source)
    rows = [_row(each, name) for each in instances if not _get(each, "perturbation")]
    names = {key for stats, _ in rows for key in stats}
    wanted = (correct,) if correct else _CORRECT
    right = next((key for key in wanted if key in names), None)
    if _CONFIDENCE not in names or right is None:
        absent = _CONFIDENCE if _CONFIDENCE not in names else " or ".join(wanted)
        raise NoConfidence(
            f"{name} holds HELM's statistics of {len(rows)} instances, without {absent}: only "
            f"{', '.join(sorted(names)) or 'none'}. HELM logs a probability where the model "
            "returns log-probabilities; run it with such a model, or run a Calibench task in "
            "lm_eval."
        )
    short = next((at for at, (stats, _) in enumerate(rows) if right not in stats), None)
    if short is not None:
        raise ValueError(f"{name}: instance {rows[short][1]['id']!r} has no {right}.")
    confidence = np.array([stats.get(_CONFIDENCE, np.nan) for stats, _ in rows])
    verdicts = np.array([stats[right] for stats, _ in rows])
    tied = ~np.isin(verdicts, (0, 1))
    if tied.any():
        at = int(np.argmax(tied))
        raise ValueError(
            f"{name}: {right} of instance {rows[at][1]['id']!r} is {verdicts[at]:g}, neither 0 nor "
            "1, as where several options have the same score."
        )
    notes = [f"Logged by HELM: {_CONFIDENCE} is the confidence, {right} the verdict."]
    if perturbed := len(instances) - len(rows):
        notes.append(f"{perturbed} perturbed instances are left out.")
    fields = columns_of([place for _, place in rows])
    if len(set(fields["id"])) < len(rows):
        notes.append("An instance has several trials, which --group id keeps together.")
    heading = "standard input" if isinstance(source, bytes) else source.name
    column = Column(confidence, verdicts.astype(float))
    columns = {_CONFIDENCE: column}
    return LogTable(heading, name, columns, fields, tuple(notes), probabilities=True)


def _row(instance: Any, name: str) -> tuple[dict[str, float], dict[str, Any]]:
    """Return an instance's statistics by name, and what it can be grouped by."""
    stats = {}
    for each in _get(instance, "stats") or []:
        value = _get(each, "mean")
        if value is None and _get(each, "count"):
            value = _get(each, "sum") / _get(each, "count")
        if isinstance(value, (int, float)):
            stats[str(_get(_get(each, "name"), "name"))] = float(value)
    if "instance_id" not in (instance if isinstance(instance, dict) else {}):
        raise ValueError(f"{name} is not a complete file of HELM: an entry names no instance.")
    return stats, {"id": instance["instance_id"], "trial": instance.get("train_trial_index")}


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None
