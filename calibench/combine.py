"""The command `combine`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from calibench.options import EXISTING, FILE, MANY, PathType, refuse_inputs

CORRECT = click.option(
    "--correct",
    default="correct",
    show_default=True,
    metavar="COLUMN",
    help="Column of a table: whether the answer is correct.",
)
ID = click.option(
    "--id",
    metavar="COLUMN",
    help="Column of a table that identifies the questions, so that fitted ones are recognised.",
)


@click.group()
def combine() -> None:
    """Combine the confidences of several methods into one.

    \b
    Example:
      calibench combine fit runs/validation --methods likelihood,sampling --clip 0.005 -o fit.json
      calibench combine apply fit.json runs/base -o runs/combined
      calibench leaderboard build runs/base runs/combined -o leaderboard
    """


@combine.command()
@click.argument("sources", nargs=-1, required=True, type=EXISTING)
@click.option(
    "--methods",
    required=True,
    metavar="NAME,...",
    help="Columns to combine; METHOD@ADAPTER is a method that was asked under an adapter.",
)
@click.option(
    "-o",
    "--output_path",
    "--output",
    "output",
    required=True,
    type=FILE,
    help="JSON file for the fit.",
)
@click.option(
    "--tasks",
    metavar="NAME,...",
    help="The tasks of the runs to fit on.  [default: all]",
)
@click.option(
    "--by",
    metavar="FIELD",
    help="Cross-validate over the values of this field, such as relation or subject: shows how "
    "the combination does on values that it has not seen.",
)
@click.option("--folds", default=5, show_default=True, type=click.IntRange(2, 1000))
@click.option("--seed", default=0, show_default=True, help="Seed of the folds and resamples.")
@click.option(
    "--clip",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    help="Clip confidences to the range from this to 1 minus this. Needed where some are 0 or 1.",
)
@click.option(
    "--resamples",
    default=1000,
    show_default=True,
    type=MANY,
    help="Resamples for the intervals; 0 leaves them out.",
)
@CORRECT
@ID
def fit(
    sources: tuple[Path, ...], methods: str, output: Path, tasks: str | None, **options: Any
) -> None:
    """Fit a logistic model on the logits of several methods' confidences.

    SOURCES are folders of lm_eval runs (made with --log_samples) whose methods judge the same
    answers, or one table with a column for each method. Prints the scores of each method alone and,
    cross-validated, of all together.

    \b
    Examples:
      calibench combine fit runs/validation runs/tuned_validation --by relation \\
          --methods likelihood,zero_shot_classifier@adapter -o fit.json
      calibench combine fit validation.csv --methods p_true,agreement --id question -o fit.json
    """
    from calib_leaderboards.combined import fit_and_report

    refuse_inputs("--output", output, sources)
    names = [name.strip() for name in methods.split(",")]
    chosen = None if tasks is None else [name.strip() for name in tasks.split(",")]
    click.echo(fit_and_report(sources, names, output, tasks=chosen, **options))


@combine.command()
@click.argument("fit", type=PathType(exists=True, dir_okay=False))
@click.argument("sources", nargs=-1, required=True, type=EXISTING)
@click.option(
    "-o",
    "--output_path",
    "--output",
    "output",
    required=True,
    type=PathType(),
    help="Folder for the combined run; for a table, a file that ends in .csv or .jsonl.",
)
@CORRECT
@ID
def apply(fit: Path, sources: tuple[Path, ...], output: Path, correct: str, id: str | None) -> None:
    """Combine the confidences of questions that the fit has not seen.

    FIT is a file from `calibench combine fit`, SOURCES are as for that command. Runs become a run
    with the method `combined`, which `calibench score`, `leaderboard` and `gate` read like any
    other; a table gets a column `combined`. Questions of the fit are refused.

    \b
    Examples:
      calibench combine apply fit.json runs/base runs/tuned -o runs/combined
      calibench combine apply fit.json test.csv --id question -o combined.csv
    """
    from calib_leaderboards.combined import apply_fit

    refuse_inputs("--output", output, (fit, *sources))
    for path in apply_fit(fit, sources, output, correct=correct, id=id):
        click.echo(path)
