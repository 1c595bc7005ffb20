"""The commands `calibench gate` and `calibench leaderboard`.

Packages are imported inside the functions, so that ``calibench --help`` stays instant.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from calibench.options import (
    EXISTING,
    FILE,
    FOLDER,
    MANY,
    WRITTEN,
    PathType,
    output_option,
    refuse_inputs,
)

_MOST_PROCESSES = 4  # each holds the samples of one task
REPLACE = click.option("--replace", is_flag=True, help="Let new entries replace existing ones.")
ADAPTERS = click.option(
    "--adapter",
    "adapters",
    multiple=True,
    type=EXISTING,
    help="Adapter that the runs used; the sha256 of its weights is recorded. Can be repeated.",
)
NOTE = click.option(
    "--note", help="What readers of the scores need to know; shown beside the scores."
)
STORE = click.option(
    "--store",
    default="leaderboards/results",
    show_default=True,
    type=FOLDER,
    help="Folder of the entries.",
)


@click.command()
@click.argument("baseline", type=FILE)
@click.argument("results", type=EXISTING)
@click.option("--update", is_flag=True, help="Write BASELINE from RESULTS instead of testing.")
@click.option("--samples", type=FOLDER, help="With --update: keep the samples in this folder.")
@click.option("--level", default=0.05, show_default=True, help="Chance of a false alarm.")
@click.option(
    "--correction", default="holm", show_default=True, help="Correction of the p: holm or none."
)
@click.option(
    "--resamples", default=5000, show_default=True, type=MANY, help="Resamples for p and intervals."
)
@click.option("--seed", default=0, show_default=True, help="Seed of the resamples.")
@click.option("--junit", type=WRITTEN, help="Also write JUnit XML; - is standard output.")
@click.option("--json", "json_file", type=WRITTEN, help="Also write JSON; - is standard output.")
@click.option(
    "--summary",
    envvar="GITHUB_STEP_SUMMARY",
    type=PathType(),
    help="Also append Markdown to this file.  [env var: GITHUB_STEP_SUMMARY]",
)
def gate(
    baseline: Path,
    results: Path,
    update: bool,
    samples: Path | None,
    junit: Path | None,
    json_file: Path | None,
    summary: Path | None,
    **options: object,
) -> None:
    """Test whether the scores in RESULTS are worse than those in BASELINE.

    RESULTS is a folder that lm_eval wrote with --log_samples, BASELINE a YAML file of one model.

    Exit status: 0 no regression, 1 a regression, 2 cannot decide (a task or score is missing, or
    was made differently, or a file cannot be read), 130 interrupted, 70 a bug in calibench.

    \b
    Examples:
      calibench gate --update baselines/my_model.yaml runs/base --samples baselines/samples
      calibench gate baselines/my_model.yaml runs/new --junit gate.xml
    """
    from calib_leaderboards.gate import command

    if samples and not update:
        raise click.UsageError("--samples needs --update.")
    if update and (junit or json_file):
        raise click.UsageError("--junit and --json report a test: leave out --update.")
    if update:
        code = command.update_baseline(baseline, results, samples)
    else:
        for option, file in (("--junit", junit), ("--json", json_file), ("--summary", summary)):
            refuse_inputs(option, file, [baseline])
        code = command.run_gate(
            baseline, results, junit=junit, json_file=json_file, summary=summary, **options
        )
    raise SystemExit(code)


@click.group()
def leaderboard() -> None:
    """Publish results as tables and figures."""


@leaderboard.command()
@click.argument("results", nargs=-1, type=EXISTING)
@STORE
@output_option("Folder for tables, figures and site.", default="leaderboards")
@click.option(
    "--graded",
    type=EXISTING,
    help="Graded dataset; adds a sanity row that always states the train accuracy (with RESULTS).",
)
@click.pass_context
def build(
    context: click.Context,
    results: tuple[Path, ...],
    store: Path,
    output: Path,
    graded: Path | None,
) -> None:
    """Publish the entries of a store: README, CSV, Parquet, LaTeX and a site.

    With RESULTS, lm_eval output folders (made with --log_samples): the same for these runs alone,
    as a preview, and a figure of each task. The runs may cover only some of the questions
    (--limit); all pages then say so.

    \b
    Examples:
      calibench leaderboard build
      calibench leaderboard build runs/base runs/tuned --graded graded -o leaderboard
    """
    from calib_leaderboards.pages.publish import build_runs, build_store

    given = context.get_parameter_source
    if not results:
        if graded is not None:
            raise click.UsageError("--graded needs RESULTS.")
        click.echo(build_store(store, output, processes=min(_free_cores(), _MOST_PROCESSES)))
        return
    if given("store") is not click.core.ParameterSource.DEFAULT:
        raise click.UsageError("--store is not read when RESULTS are given.")
    if given("output") is click.core.ParameterSource.DEFAULT:
        raise click.UsageError("Give -o with RESULTS: the folder for their table.")
    accuracy = None if graded is None else read_train_accuracy(graded)
    click.echo(build_runs(results, output, train_accuracy=accuracy))


@leaderboard.command()
@click.argument("form", metavar="FORMAT", type=click.Choice(["eee", "model-index", "dataset"]))
@STORE
@output_option("Folder for the files.")
def export(form: str, store: Path, output: Path) -> None:
    """Write the entries of a store in another format.

    \b
    FORMAT is one of
      eee           one JSON file per entry in the schema of Every Eval Ever
      model-index   YAML for the head of a model card
      dataset       a folder that `datasets` reads and the Hugging Face Hub shows

    \b
    Example:
      calibench leaderboard export dataset -o exported
    """
    from calib_leaderboards.export import export as run

    for path in run(store, form, output):
        click.echo(path)


@leaderboard.command()
@click.argument("results", nargs=-1, required=True, type=EXISTING)
@STORE
@REPLACE
@ADAPTERS
@NOTE
def add(
    results: tuple[Path, ...],
    store: Path,
    replace: bool,
    adapters: tuple[Path, ...],
    note: str | None,
) -> None:
    """Add lm_eval output folders (whole runs, made with --log_samples) to a store of entries.

    Every score is recomputed from the samples and compared with the one that lm_eval printed.
    Prints the file of each entry: one per model, task and setting.

    \b
    Examples:
      calibench leaderboard add runs/base runs/tuned --adapter adapter
      calibench leaderboard add runs/piqa --note "PIQA without 54 of its 1,838 questions"
    """
    from calib_leaderboards.store import add as run

    for path in run(results, store, replace, adapters=adapters, note=note):
        click.echo(path)


@leaderboard.command()
@STORE
def check(store: Path) -> None:
    """Recompute every score of a store from its kept samples, and report differences.

    For entries that somebody else made: a difference, or an entry without samples, is an error.

    \b
    Example:
      calibench leaderboard check --store submitted/leaderboards/results
    """
    from calib_leaderboards.pages.names import counted
    from calib_leaderboards.store.check import check as run

    click.echo(f"{counted(run(store), 'entry', 'entries')}: every score agrees with its samples.")


@leaderboard.command()
@click.argument("results", nargs=-1, required=True, type=EXISTING)
@click.option(
    "--repository",
    default=".",
    show_default=True,
    type=FOLDER,
    help="A clone of the repository that holds the leaderboard.",
)
@REPLACE
@ADAPTERS
@NOTE
@click.option("--branch", help="Name of the branch.  [default: submit/ and the model]")
def submit(
    results: tuple[Path, ...],
    repository: Path,
    replace: bool,
    adapters: tuple[Path, ...],
    note: str | None,
    branch: str | None,
) -> None:
    """Put runs on a branch of a clone, ready for a pull request.

    The branch begins at the clone's HEAD and has one commit: the entries, their samples, and the
    tables with them. Its message is the text of the pull request. Files of the clone stay as they
    are, and nothing is sent anywhere: the command prints the `git push` that does so.

    \b
    Example:
      calibench leaderboard submit runs/base runs/tuned --adapter adapter
    """
    from calib_leaderboards.submit import submit as run

    click.echo(run(results, repository, replace, adapters=adapters, note=note, branch=branch))


@leaderboard.command()
@STORE
def rescore(store: Path) -> None:
    """Add scores that older versions did not compute to the entries of a store.

    Each is computed from the samples that were kept. Existing scores stay, and are checked against
    the samples. Prints the files that changed.

    \b
    Example:
      calibench leaderboard rescore && calibench leaderboard build
    """
    from calib_leaderboards.store.rescore import rescore as run

    for path in run(store):
        click.echo(path)


def _free_cores() -> int:
    """Cores that this process may run on: of a machine with many, `taskset` may leave a few."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def read_train_accuracy(graded: Path) -> float:
    """Share of right answers in the train split of a graded dataset, from its grading.json.

    Raises FileNotFoundError or ValueError if `graded` is not a folder that `calibench grade` wrote.
    """
    path = Path(graded) / "grading.json"
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' does not exist; make it with `calibench grade`.")
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["splits"]["train"]["accuracy"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"'{path}' does not state the accuracy of a train split ({error!r}); make it again "
            "with `calibench grade`."
        ) from error
