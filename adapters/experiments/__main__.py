"""The command line of the experiments."""

from __future__ import annotations

from pathlib import Path

import click

import runner as package

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(help=package.__doc__, context_settings={"max_content_width": 100})
def main() -> None:
    """The group of the commands."""


@main.command()
@click.argument("folders", nargs=-1, required=True, type=FOLDER)
def run(folders: tuple[Path, ...]) -> None:
    """Run experiments; each writes result.json into its folder."""
    from runner.run import run_experiment

    for folder in folders:
        click.echo(run_experiment(folder))


@main.command()
@click.argument("folder", type=FOLDER)
def table(folder: Path) -> None:
    """Write the tables of all results into the README of FOLDER."""
    from runner.table import write_tables

    click.echo(write_tables(folder))


@main.command()
@click.argument("folder", type=FOLDER)
def figures(folder: Path) -> None:
    """Draw ECE and AUROC of the results of FOLDER that kept every question's confidence."""
    from runner.table import draw_figures

    for path in draw_figures(folder):
        click.echo(path)


@main.command()
@click.argument("folder", type=FOLDER)
def curves(folder: Path) -> None:
    """Draw accuracy, confidence and ECE after each epoch, where results of FOLDER have them."""
    from runner.table import draw_epochs

    for path in draw_epochs(folder):
        click.echo(path)


@main.command()
@click.argument("data", type=FOLDER)
@click.argument("answers", type=FOLDER)
@click.option("--method", required=True, help="Whose records are read.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
def divide(data: Path, answers: Path, method: str, output: Path) -> None:
    """Divide the training rows of DATA into known and unknown ones, by logged ANSWERS to them."""
    from runner.divide import divide_by_knowledge

    (log,) = answers.rglob("samples_*.jsonl")
    for kind, n in divide_by_knowledge(data, log, method, output).items():
        click.echo(f"{kind}: {n} rows")


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (ValueError, OSError, RuntimeError) as error:
        raise SystemExit(f"calibench: {error}") from None
