"""Notes below a table: on its runs, and on rows with equal confidences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from calib_leaderboards.tables.row import Group, TableRow


def notes(rows: Iterable[TableRow]) -> list[str]:
    """Return the notes that were added with the runs, and notes on rows with equal confidences."""
    rows = list(rows)
    added = {row.note for row in rows if row.note is not None}
    return [*sorted(added), *same_confidences(rows)]


def same_confidences(rows: Iterable[TableRow]) -> Iterator[str]:
    """A sentence for each set of rows, of different methods or models, with equal confidences."""
    alike: dict[tuple[Group, str], list[TableRow]] = {}
    for row in rows:
        if row.alike:
            alike.setdefault((row.group, row.alike), []).append(row)
    for members in alike.values():
        names = list(dict.fromkeys(map(_name, members)))
        if len(names) > 1:
            models = {(row.model, row.adapter) for row in members}
            asked = " Check that each row asked the model that it names." * (len(models) > 1)
            yield (
                f"{'; '.join(names)}: the same confidences in every answer, to the last bit.{asked}"
            )


def _name(row: TableRow) -> str:
    where = f"{row.model}{f' with {row.adapter}' if row.adapter else ''}"
    return f"{row.label} of {where} ({row.setting})"
