"""The rows of an entry."""

from __future__ import annotations

import hashlib
import re

from calib_leaderboards.labels import SANITY, YES_NO
from calib_leaderboards.store.entry import Entry, Reliability, Score
from calib_leaderboards.tables.paired import SKILL
from calib_leaderboards.tables.row import Cell, EntryRow, Group

FEWEST = 10  # right answers, and wrong ones, below which a ranking is meaningless
# Together with the bins' means and the number missing, these identify a column of confidences.
_TELLING = ("ece", "auroc", "brier", "rms", "nll")
_RATE = re.compile(r"\|base_rate:([0-9.]+)\|")


def rows_of(entry: Entry, key: str) -> list[EntryRow]:
    """A row for each method of an entry; key: its path in the store, without ".json"."""
    model, setting, origin = entry.model, entry.setting, entry.provenance
    adapter = model.adapter
    return [
        EntryRow(
            key=key,
            group=group_of(entry),
            model=model.name,
            revision=model.revision,
            parameters=model.parameters,
            adapter=adapter.name if adapter else "",
            adapter_revision=adapter.revision if adapter else None,
            setting=setting.slug,
            frozen=setting.answers == "frozen",
            answers=origin.answers_fingerprint,
            note=origin.note,
            samples=entry.samples.sha256,
            method=score.method,
            label=score.label,
            n=score.n,
            few=_few(score.reliability),
            alike=_alike(entry, score),
            rate=_rate(score),
            metrics={
                name: Cell(m.value, m.low, m.high, m.stderr, m.higher_is_better)
                for name, m in score.metrics.items()
            },
            entry=entry,
            score=score,
        )
        for score in entry.scores
    ]


def group_of(entry: Entry) -> Group:
    """The group of all rows of an entry.

    The questions of a stock task are those of its split: some of them shuffle their options, so
    that the fingerprint differs from run to run.
    """
    task = entry.task
    data = task.split if task.source == "lm_eval" else entry.provenance.data_fingerprint
    return task.name, task.version, data or ""


def _few(bins: Reliability | None) -> bool:
    if bins is None:
        return False
    pairs = zip(bins.count, bins.accuracy, strict=True)
    right = sum(round(count * (accuracy or 0)) for count, accuracy in pairs)
    return min(right, sum(bins.count) - right) < FEWEST


def _alike(entry: Entry, score: Score) -> str:
    """A digest of what an entry keeps of the confidences: unrounded scores, and means of bins.

    Sanity rows are left out, and so are the base model's own confidences where an adapter is
    switched on for yes/no questions alone: they are equal by design.
    """
    adapter = entry.model.adapter
    shared = adapter is not None and adapter.use in ("confidence_adapter", "probe")
    if score.method in SANITY or (shared and score.method not in (*YES_NO, "probe")):
        return ""
    if score.reliability is None or score.n - score.n_missing < 2:
        return ""
    values = [score.metrics[name].value for name in _TELLING if name in score.metrics]
    same = [value and value + 0.0 for value in values]  # 0 is -0
    told = score.n, score.n_missing, same, list(score.reliability.__dict__.values())
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]


def _rate(score: Score) -> float | None:
    metric = score.metrics.get(SKILL)
    given = _RATE.search(metric.signature) if metric else None
    return float(given[1]) if given else None
