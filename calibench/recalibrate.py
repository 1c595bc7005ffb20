"""The command `recalibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from calibench.options import FILE, MANY, TABLE, refuse_inputs
from calibench.reading import read_tables

if TYPE_CHECKING:
    from calib_metrics.files import Rows


@click.command()
@click.argument("fitted", metavar="FIT", type=TABLE)
@click.argument("applied", metavar="APPLY", type=TABLE)
@click.option(
    "-o",
    "--output",
    required=True,
    type=FILE,
    help="The new table: .csv, .tsv, .jsonl or .parquet.",
)
@click.option(
    "--map",
    "kind",
    default="temperature",
    show_default=True,
    type=click.Choice(["temperature", "platt", "beta", "isotonic", "histogram"]),
    help="Map to fit.",
)
@click.option(
    "--rows",
    metavar="COLUMN",
    help="Column with the id of each row, or of its question: rows of APPLY that are also in FIT "
    "are refused. The new table keeps it.",
)
@click.option("--confidence", default="confidence", show_default=True, metavar="COLUMN")
@click.option("--correct", default="correct", show_default=True, metavar="COLUMN")
@click.option(
    "--scale",
    type=click.Choice(["probability", "percent", "ten"]),
    default="probability",
    show_default=True,
    help="Scale of the numbers, as in `score`; the new ones are probabilities.",
)
@click.option(
    "--format", "form", help="csv, tsv, jsonl or parquet. Default: by content and suffix."
)
@click.option("--method", default="", help="Method to use in a log of several.")
@click.option(
    "--clip",
    type=float,
    help="temperature, platt, beta: clip confidences to the range from this to 1 minus this. "
    "Without it, they refuse 0 and 1 in FIT.",
)
@click.option("--bins", default=10, show_default=True, type=MANY, help="Of histogram.")
@click.option("--save", type=FILE, help="Also save the fitted map to this JSON file.")
def recalibrate(
    fitted: Path,
    applied: Path,
    output: Path,
    kind: str,
    rows: str | None,
    confidence: str,
    correct: str,
    scale: str,
    form: str | None,
    method: str,
    clip: float | None,
    bins: int,
    save: Path | None,
) -> None:
    """Fit a map to the confidences in FIT, and apply it to those in APPLY.

    Both are tables or logs that `calibench score` reads, with one method. The new table has a row
    for each of APPLY, in the same order: confidence, before, correct, and the column of --rows. FIT
    is a validation split, APPLY the test: scores of rows that the map was fitted on are too good,
    and are refused. Without --rows, only a table with exactly the same confidences is recognised.

    \b
    Examples:
      calibench recalibrate validation.csv test.csv --rows id -o recalibrated.csv
      calibench score recalibrated.csv
      calibench recalibrate runs/validation runs/test --method verbalized --map isotonic \\
          --rows id -o recalibrated.parquet
    """
    from calib_metrics.recalibrated_table import check_output, recalibrated, write_table

    check_output(output)
    refuse_inputs("--output", output, (fitted, applied))
    refuse_inputs("--save", save, (fitted, applied))
    if save is not None and save.absolute() == output.absolute():
        raise ValueError(f"--save: {save} is the new table; give the map a file of its own.")
    names = {"confidence": confidence, "correct": correct, "group": rows}
    fit_on, apply_to = (_rows_of(file, form, method, names, scale) for file in (fitted, applied))
    result = recalibrated(fit_on, apply_to, kind, clip=clip, bins=bins)
    write_table(output, result, rows)
    if save is not None:
        result.recalibration.save(save)
    click.echo(result.describe())


def _rows_of(
    file: Path, form: str | None, method: str, names: dict[str, str | None], scale: str
) -> Rows:
    """Return the rows of the one method in a file or a folder, their confidences in [0, 1]."""
    from calib_metrics.scales import to_confidence

    found = [
        (table, name)
        for table in read_tables(file, form, method, names, None, scale)
        for name in table.columns
        if method in ("", name)
    ]
    if len(found) > 1:
        listed = ", ".join(f"{name or 'confidence'} in {table.source}" for table, name in found)
        raise ValueError(f"{file} holds {listed}: choose one with --method, or give a single file.")
    if not found:
        raise ValueError(f"{file}: there is no method '{method}'.")
    (table, name) = found[0]
    rows = table.rows(name, names["group"])
    return rows._replace(confidence=to_confidence(rows.confidence, scale))
