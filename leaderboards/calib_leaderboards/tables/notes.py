"""Notes below a table: on its runs, and on rows with equal confidences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from calib_leaderboards.labels import YES_NO
from calib_leaderboards.tables.row import TableRow

# Together with the bins' means and the number missing, these identify a column of confidences.
TELLING = ("ece", "auroc", "brier", "rms", "nll")


def notes(rows: Iterable[TableRow]) -> list[str]:
    """Return the notes that were added with the runs, and notes on rows with equal confidences."""
    rows = list(rows)
    added = {row.entry.provenance.note for row in rows if row.entry.provenance.note is not None}
    return [*sorted(added), *same_confidences(rows)]


def same_confidences(rows: Iterable[TableRow]) -> Iterator[str]:
    """A sentence for each set of rows, of different methods or models, with equal confidences.

    The comparison uses what entries keep of the confidences: all scores, unrounded, and the means
    of all bins. Sanity rows are left out, and so are the base model's own confidences where an
    adapter is switched on for yes/no questions alone: they are equal by design.
    """
    alike: dict[Any, list[TableRow]] = {}
    for row in rows:
        score, adapter = row.score, row.entry.model.adapter
        shared = adapter is not None and adapter.use in ("confidence_adapter", "probe")
        if row.sanity or (shared and score.method not in (*YES_NO, "probe")):
            continue
        if score.reliability is None or score.n - score.n_missing < 2:
            continue
        values = tuple(score.metrics[name].value for name in TELLING if name in score.metrics)
        key = row.group, score.n, score.n_missing, values, score.reliability.model_dump_json()
        alike.setdefault(key, []).append(row)
    for members in alike.values():
        names = list(dict.fromkeys(map(_name, members)))
        if len(names) > 1:
            models = {(row.entry.model.name, row.adapter) for row in members}
            asked = " Check that each row asked the model that it names." * (len(models) > 1)
            yield (
                f"{'; '.join(names)}: the same confidences in every answer, to the last bit.{asked}"
            )


def _name(row: TableRow) -> str:
    where = f"{row.entry.model.name}{f' with {row.adapter}' if row.adapter else ''}"
    return f"{row.score.label} of {where} ({row.entry.setting.slug})"
