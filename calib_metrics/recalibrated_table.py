"""Recalibrate the confidences of a table with a map that was fitted on another table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calib_metrics.files import Rows
from calib_metrics.outputs import real_path, whole_file
from calib_metrics.recalibration import Check, Recalibration, fit

if TYPE_CHECKING:
    import pyarrow as pa

_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class Recalibrated:
    """Rows with their confidences before and after, NaN where there is none.

    left_out: rows of the fit without a confidence. check: the effect on the negative
    log-likelihood; None if no row has a confidence.
    """

    recalibration: Recalibration
    rows: Rows
    confidence: NDArray[np.float64]
    left_out: int
    check: Check | None

    def describe(self) -> str:
        """Describe the fit, and whether it helped, in two or three sentences."""
        found = self.recalibration
        lines = [f"{found.method}, fitted on {found.n} rows{self._parameters()}."]
        if self.left_out:
            lines.append(f"{self.left_out} rows of the fit have no confidence and were left out.")
        return "\n".join([*lines, str(self.check)] if self.check else lines)

    def _parameters(self) -> str:
        numbers = self.recalibration.parameters.items()
        shown = [f"{name} {value:.4g}" for name, value in numbers if isinstance(value, float)]
        return f": {', '.join(shown)}" if shown else ""


def recalibrated(
    fitted: Rows, applied: Rows, method: str, *, clip: float | None = None, bins: int = 10
) -> Recalibrated:
    """Fit a map on rows and apply it to others.

    fitted, applied: confidences in [0, 1], NaN where missing, and grades; their groups are the ids
    of the rows, or of their questions. method, clip, bins: as in `calib_metrics.recalibration.fit`.
    Raises ValueError as `fit` and `Recalibration.apply`: for rows that both have, too.
    """
    there = ~np.isnan(fitted.confidence)
    if not there.any():
        raise ValueError("no row of the table to fit on has a confidence.")
    ids = None if fitted.groups is None else list(fitted.groups[there])
    found = fit(
        fitted.confidence[there], fitted.correct[there], method, rows=ids, clip=clip, bins=bins
    )
    after = found.apply(applied.confidence, rows=_ids(applied))
    given = ~np.isnan(applied.confidence)
    check = None
    if given.any():
        rows = None if applied.groups is None else list(applied.groups[given])
        check = found.evaluate(applied.confidence[given], applied.correct[given], rows=rows)
    return Recalibrated(found, applied, after, int((~there).sum()), check)


def check_output(path: Path) -> None:
    """Raise ValueError unless the suffix of `path` is that of a table that `write_table` writes."""
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(
            f"'{path}' does not have the suffix of a table: use {', '.join(_SUFFIXES)}."
        )


def write_table(path: Path, result: Recalibrated, ids: str | None = None) -> None:
    """Write confidence, before and correct, and the ids under their name, atomically.

    An empty cell stands for no confidence. Raises ValueError as `check_output`.
    """
    import pyarrow as pa

    check_output(path)
    rows = result.rows
    columns = {
        "confidence": pa.array(result.confidence, from_pandas=True),
        "before": pa.array(rows.confidence, from_pandas=True),
        "correct": pa.array(rows.correct.astype(np.int64)),
    }
    if ids is not None and rows.groups is not None:
        if ids in columns:
            raise ValueError(
                f"the column of --rows is called '{ids}', like a column of the new table."
            )
        columns = {ids: pa.array(rows.groups, pa.string()), **columns}
    with whole_file(real_path(path)) as part:
        _write(part, path.suffix.lower(), pa.table(columns))


def _write(path: Path, suffix: str, table: pa.Table) -> None:
    import json

    import pyarrow.csv as arrow_csv
    import pyarrow.parquet as parquet

    if suffix == ".parquet":
        parquet.write_table(table, path)
    elif suffix == ".jsonl":
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist())
        path.write_text("".join(lines), encoding="utf-8")
    else:
        options = arrow_csv.WriteOptions(delimiter="," if suffix == ".csv" else "\t")
        arrow_csv.write_csv(table, path, options)


def _ids(rows: Rows) -> list[str] | None:
    return None if rows.groups is None else list(rows.groups)
