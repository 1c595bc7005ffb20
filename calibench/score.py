"""The command `score`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calibench.options import FOLDER

if TYPE_CHECKING:
    from calib_metrics.files import Rows


def _list_metrics(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    """Print all metrics and exit. Not in the help text, which must not wait for NumPy."""
    if not wanted or ctx.resilient_parsing:
        return
    from calib_metrics.registry import METRICS

    for metric in METRICS.values():
        name = f"{metric.name}@{metric.share[1]:g}" if metric.share else metric.name
        click.echo(f"{name} {'↑' if metric.higher_is_better else '↓'}")
        click.echo(click.wrap_text(metric.summary, 98, "    ", "    "))
    ctx.exit()


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
)
@click.option(
    "--confidence",
    default="confidence",
    show_default=True,
    metavar="COLUMN",
    help="Confidences from 0 to 1; an empty cell: none was given.",
)
@click.option(
    "--correct",
    default="correct",
    show_default=True,
    metavar="COLUMN",
    help="Whether the answer is correct: 1 and 0, or true and false.",
)
@click.option(
    "--group",
    metavar="COLUMN",
    help="Rows with the same value here are not independent; intervals take that into account.",
)
@click.option(
    "--format", "kind", help="csv, tsv, jsonl or parquet. Default: by content and suffix."
)
@click.option(
    "--method",
    default="",
    help="How the confidences were elicited, for the signatures. In an lm_eval log: the only "
    "method to score.",
)
@click.option(
    "--metrics",
    default="acc,ece,auroc,brier,answered",
    show_default=True,
    metavar="NAME,...",
    help="Also nll, aurc, ece:guo17 and others: --list_metrics names and explains them.",
)
@click.option(
    "--list_metrics",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_metrics,
    help="Print every metric, with the direction that is better, and exit.",
)
@click.option("--bins", default=10, show_default=True, help="Bins of ece, rms and mce.")
@click.option("--strategy", default="width", show_default=True, help="Bins: width, mass or sweep.")
@click.option("--norm", default="l1", show_default=True, help="ece's norm: l1, l2 or max.")
@click.option(
    "--missing",
    default="exclude",
    show_default=True,
    help="Rows without a confidence: exclude and count them, error, or worst_case for the scores "
    "if they had the worst confidences.",
)
@click.option(
    "--clip_rounding",
    "clip",
    is_flag=True,
    help="Take confidences that miss 0 to 1 by rounding, such as 1.00000003, as 0 and 1; a note "
    "and the signatures say how many.",
)
@click.option(
    "--interval", default="percentile", show_default=True, help="Bootstrap: percentile or bca."
)
@click.option(
    "--resamples", default=1000, show_default=True, help="For the intervals; 0 leaves them out."
)
@click.option("--seed", default=0, show_default=True, help="Of the resamples.")
@click.option(
    "--json",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write everything to this file.",
)
@click.option(
    "--figures",
    type=FOLDER,
    help="Also draw reliability diagrams, ROC and risk-coverage curves into this folder.",
)
def score(
    files: tuple[Path, ...],
    confidence: str,
    correct: str,
    group: str | None,
    kind: str | None,
    method: str,
    metrics: str,
    output: Path | None,
    figures: Path | None,
    **options: object,
) -> None:
    """Score the confidences in a table or a log, with intervals and signatures.

    FILE is CSV (separated by commas, semicolons or tabs), JSON Lines or Parquet with one row per
    answer, also packed (.gz, .zst, .bz2) or piped, a samples_*.jsonl of lm_eval (every method in it
    is scored), or - for standard input.

    Time grows with rows x resamples: 1,000 resamples of a million rows take about half a minute.
    --resamples 0 gives the values alone, within seconds for ten million rows.

    \b
    Examples:
      calibench score answers.csv
      calibench score answers.parquet --confidence p --correct is_right --figures figures
      calibench score runs/base/*/samples_*.jsonl --metrics ece,auroc --json scores.json
    """
    from calib_metrics import report as reporting
    from calib_metrics.comparison import equal_columns

    names = list(dict.fromkeys(name.strip() for name in metrics.split(",")))
    if figures:
        names += [name for name in ("ece", "auroc", "aurc") if name not in names]
    columns = {"confidence": confidence, "correct": correct, "group": group}
    reports, confidences = [], {}
    for file in files:
        for label, rows in _read(file, kind, method, columns):
            name = "standard input" if str(file) == "-" else file.name
            confidences[f"{label or confidence} in {file}"] = rows.confidence
            report = reporting.make_report(name, rows, names, method=label, **options)
            click.echo(("\n" if reports else "") + reporting.to_text(report))
            reports.append(report)
    for alike in equal_columns(confidences):
        click.echo(
            f"\n{' and '.join(alike)}: the same confidences in every row, to the last bit. Have "
            f"they been asked of different models, by different methods?"
        )
    if output:
        reporting.write_json(output, reports)
    if figures:
        binning = {"bins": options["bins"], "strategy": options["strategy"]}
        for path in reporting.draw(reports, figures, **binning):
            click.echo(path, err=True)


def _read(
    file: Path, kind: str | None, method: str, columns: dict[str, str | None]
) -> Iterator[tuple[str, Rows]]:
    """Yield each method in a file, under the name it has in signatures, with its rows."""
    from calib_metrics.files import read_rows
    from calib_metrics.tables import open_table

    table = open_table(sys.stdin.buffer.read() if str(file) == "-" else file, kind)
    if table.kind != "lm-eval":
        yield method, read_rows(table, **columns)
        return
    if table.packed or isinstance(table.source, bytes):
        raise ValueError(f"{file} is a log of lm_eval: give the path of the unpacked file.")
    logged = _read_log(file, columns["group"])
    if method and method not in logged:
        raise ValueError(f"{file}: there is no method '{method}', only {', '.join(logged)}.")
    yield from ([(method, logged[method])] if method else logged.items())


def _read_log(file: Path, group: str | None) -> dict[str, Rows]:
    """Return the rows of each method that a log of lm_eval holds."""
    import numpy as np

    from calib_metrics.files import Rows
    from harness_tasks.elicitation.records import read_samples

    logged: dict[str, list[tuple]] = {}
    for row, record in read_samples(file):
        if record["correct"] is None:  # a judge's verdict that could not be read
            continue
        fields = {**(row["doc"] if isinstance(row.get("doc"), dict) else {}), **record}
        if group is not None and group not in fields:
            raise ValueError(f"{file}: there is no field '{group}', only {', '.join(fields)}.")
        values = record["confidence"], record["correct"], str(fields.get(group))
        logged.setdefault(record["method"], []).append(values)
    if not logged:
        raise ValueError(f"{file}: no answer in it is graded, so there is nothing to score.")
    columns = {}
    for method, values in logged.items():
        confidence, correct, groups = zip(*values, strict=True)
        labels = None if group is None else np.array(groups, object)
        columns[method] = Rows(np.array(confidence, float), np.array(correct, float), labels)
    return columns
