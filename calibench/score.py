"""The command `score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from calibench.options import FOLDER, MANY, TABLE, WRITTEN, refuse_inputs
from calibench.reading import read_tables

if TYPE_CHECKING:
    from harness_tasks.stock_logs.table import LogTable


def _list_metrics(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    """Print all metrics and exit. They are not in the help text, which must not wait for NumPy."""
    if not wanted or ctx.resilient_parsing:
        return
    from calib_metrics import multiclass
    from calib_metrics.option_scores import OPTION_METRICS
    from calib_metrics.registry import METRICS

    for metric in METRICS.values():
        default = metric.share[1] if metric.share else None
        name = metric.name if default is None else f"{metric.name}@{default:g}"
        click.echo(f"{name} {'↑' if metric.higher_is_better else '↓'}")
        click.echo(click.wrap_text(metric.summary, 98, "    ", "    "))
    for name in OPTION_METRICS:
        summary = (getattr(multiclass, name).__doc__ or "").partition("\n")[0]
        click.echo(f"{name} ↓ (where a log holds the likelihoods of all options)")
        click.echo(click.wrap_text(summary, 98, "    ", "    "))
    ctx.exit()


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=TABLE,
)
@click.option(
    "--confidence",
    default="confidence",
    show_default=True,
    metavar="COLUMN",
    help="Column of confidences from 0 to 1; an empty cell means that none was given.",
)
@click.option(
    "--correct",
    default="correct",
    show_default=True,
    metavar="COLUMN",
    help="Column that says whether the answer is correct: 1 and 0, or true and false.",
)
@click.option(
    "--group",
    metavar="COLUMN",
    help="Rows with the same value here are not independent; intervals take that into account.",
)
@click.option(
    "--by",
    metavar="COLUMN",
    help="Also score the rows of each value of this column, and give the mean of the scores: a "
    "column of a table, or a field of a log's documents, such as subject, or task.",
)
@click.option(
    "--scale",
    type=click.Choice(["probability", "percent", "ten", "rank"]),
    default="probability",
    show_default=True,
    help="Scale of the numbers: probabilities, percent, ratings from 0 to ten, or scores such as "
    "log-probabilities that only rank the answers (higher: more confident). With rank, only "
    "metrics of the order are computed.",
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
    metavar="NAME,...",
    help="Default: acc,ece,auroc,brier,answered; for options' likelihoods also nll, aurc, "
    "classwise_ece and multiclass_nll. --list_metrics names and explains all.",
)
@click.option(
    "--list_metrics",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_metrics,
    help="Print every metric, with the direction that is better, and exit.",
)
@click.option(
    "--bins", default=10, show_default=True, type=MANY, help="Number of bins of ece, rms and mce."
)
@click.option(
    "--strategy", default="width", show_default=True, help="Kind of bins: width, mass or sweep."
)
@click.option("--norm", default="l1", show_default=True, help="ece's norm: l1, l2 or max.")
@click.option(
    "--missing",
    default="exclude",
    show_default=True,
    help="Rows without a confidence: exclude (and count) them, error, or worst_case, the scores "
    "if they had the worst confidences.",
)
@click.option(
    "--clip_rounding",
    "clip",
    is_flag=True,
    help="Clip confidences that rounding put just outside 0 to 1, such as 1.00000003; a note and "
    "the signatures say how many.",
)
@click.option(
    "--interval", default="percentile", show_default=True, help="Bootstrap: percentile or bca."
)
@click.option(
    "--resamples",
    default=1000,
    show_default=True,
    type=MANY,
    help="Resamples for the intervals; 0 leaves them out.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the resamples.")
@click.option(
    "--validation",
    metavar="FILE|SHARE",
    help="Fit on these other rows, a table or log of the same form, or on a share of the rows, as "
    "0.5, and score what was fitted on the rest: cutoffs for abstention_score and, for options' "
    "likelihoods, conformal sets (LAC and APS).",
)
@click.option(
    "--alpha",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of conformal sets that may miss the right option.",
)
@click.option(
    "--json",
    "output",
    type=WRITTEN,
    help="Also write everything to this file; - is standard output.",
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
    metrics: str | None,
    output: Path | None,
    figures: Path | None,
    by: str | None,
    scale: str,
    validation: str | None,
    **options: object,
) -> None:
    """Score the confidences in a table or a log, with intervals and signatures.

    FILE is CSV (separated by commas, semicolons or tabs), JSON Lines or Parquet with one row per
    answer, also packed (.gz, .zst, .bz2) or piped; a log or a folder of logs; or - for standard
    input.

    A log is a samples_*.jsonl of lm_eval. For a Calibench task, every method is scored. For any
    other multiple-choice task, of lm_eval 0.4.0 or newer, the confidence comes from the options'
    likelihoods: for the answer that acc takes, and for that of acc_norm. In a folder, the tasks of
    a group are pooled, and their mean is given too. Logs of Inspect and HELM are read where they
    hold a probability.

    Time grows with rows x resamples: 1,000 resamples of a million rows take about half a minute.
    --resamples 0 gives the values alone, within seconds for ten million rows.

    \b
    Examples:
      calibench score answers.csv
      calibench score answers.parquet --confidence p --correct is_right --figures figures
      calibench score runs/base/*/samples_*.jsonl --metrics ece,auroc --json scores.json
      calibench score runs/mmlu --by task
      calibench score answers.csv --confidence logprob --scale rank
      calibench score runs/mmlu --validation runs/mmlu_validation --by subject
    """
    from calib_metrics import report as reporting
    from calib_metrics.comparison import equal_columns
    from harness_tasks.stock_logs import reports as logs

    refuse_inputs("--json", output, files)
    aside = str(output) == "-"  # then standard output is JSON and nothing else
    names = None
    if metrics is not None:
        names = list(dict.fromkeys(name.strip() for name in metrics.split(",")))
    if figures and scale == "rank":
        raise ValueError(
            "--figures draws reliability diagrams, which need probabilities: leave it out, or "
            "--scale rank."
        )
    columns = {"confidence": confidence, "correct": correct, "group": group}
    if validation is not None:
        if scale == "rank":
            raise ValueError("--validation fits cutoffs, which ranks of other rows do not share.")
        options["validation"] = _validation(validation, kind, method, columns, scale)
    options |= {"scale": scale, "curves": figures is not None}
    reports, drawn, confidences = [], [], {}
    for file in files:
        for table in read_tables(file, kind, method, columns, by, scale):
            for report, parts in logs.reports(
                table, names, method=method, group=group, by=by, **options
            ):
                # Methods of one table may well be equal: they are read from the same numbers.
                if report.method == next(iter(table.columns)):
                    name = f"{report.method or confidence} in {table.source}"
                    confidences[name] = report.rows.confidence
                click.echo(("\n" if reports else "") + reporting.to_text(report), err=aside)
                if parts:
                    click.echo("\n" + logs.parts_to_text(parts, whole=by is not None), err=aside)
                reports += [report, *parts]
                drawn.append(report)
    for alike in equal_columns(confidences):
        click.echo(
            f"\n{' and '.join(alike)}: the same confidences in every row, to the last bit. Check "
            "that they come from different models or methods.",
            err=aside,
        )
    if output:
        reporting.write_json(output, reports)
    if figures:
        binning = {"bins": options["bins"], "strategy": options["strategy"]}
        for path in reporting.draw(drawn, figures, **binning):
            click.echo(path, err=True)


def _validation(
    given: str, kind: str | None, method: str, columns: dict[str, str | None], scale: str
) -> dict[str, LogTable] | float:
    """Return the tables to fit on by method, or the share of rows."""
    try:
        share = float(given)
    except ValueError:
        share = None
    if share is not None:
        if not 0 < share < 1:
            raise ValueError(f"--validation {given}: give a file, or a share between 0 and 1.")
        return share
    if not Path(given).exists():
        raise ValueError(f"--validation {given}: there is no such file or folder.")
    found: dict[str, LogTable] = {}
    for table in read_tables(Path(given), kind, method, {**columns, "group": None}, None, scale):
        for name in table.columns:
            if name in found:
                raise ValueError(
                    f"--validation {given} holds '{name}' twice, in {found[name].name} and "
                    f"{table.name}: give one of them."
                )
            found[name] = table
    return found
