"""The calibench command: one function per subcommand, each a call into one package.

Packages are imported inside the functions, so that ``calibench --help`` stays instant.
"""

from __future__ import annotations

from pathlib import Path

import click

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
FOLDER = click.Path(file_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, path_type=Path)


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="calibench")
def cli() -> None:
    """Does a language model know what it does not know?

    \b
    Ask, grade, tune, ask again, publish:
      MODEL=$(calibench model)
      lm_eval run --model hf --model_args pretrained=$MODEL \\
          --include_path $(calibench tasks) --tasks calib_worldfacts \\
          --output_path runs/base --log_samples
      calibench grade runs/train runs/validation -o graded
      calibench tune calibration_tuning_lora_prompt --model $MODEL --data graded -o adapter
      calibench leaderboard build runs/base runs/tuned -o leaderboard
    """


@cli.command()
def model() -> None:
    """Put SmolLM2-135M-Instruct into the cache (once, about 93 MB) and print its folder.

    \b
    Example:
      lm_eval run --model hf --model_args pretrained=$(calibench model) ...
    """
    from harness_tasks.embedded_model import ensure_model

    click.echo(ensure_model())


@cli.command()
def tasks() -> None:
    """Print the folder of the task files, for lm_eval's --include_path.

    \b
    Example:
      lm_eval ls tasks --include_path $(calibench tasks)
    """
    import harness_tasks

    click.echo(Path(harness_tasks.__file__).parent)


@cli.command()
@click.argument("results", nargs=-1, required=True, type=EXISTING)
@click.option("-o", "--output", required=True, type=FOLDER, help="Folder for the graded dataset.")
@click.option(
    "--method",
    default="zero_shot_classifier",
    show_default=True,
    help="Method whose query the adapter will learn to answer.",
)
def grade(results: tuple[Path, ...], output: Path, method: str) -> None:
    """Turn logged samples of train and validation splits into a graded dataset.

    \b
    Example:
      calibench grade runs/train runs/validation -o graded
    """
    from calib_adapters.grade import grade as run

    for split, rows in run(results, output, method=method).items():
        share = sum(rows["correct"]) / len(rows)
        click.echo(f"{split}: {len(rows)} answers, {share:.1%} correct")


@cli.command()
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--model", "base", required=True, help="Base model: a folder or a Hub id.")
@click.option("--data", required=True, type=EXISTING, help="Graded dataset.")
@click.option("-o", "--output", required=True, type=FOLDER, help="Folder for the adapter.")
def tune(recipe: str, overrides: tuple[str, ...], base: str, data: Path, output: Path) -> None:
    """Fine-tune an adapter by RECIPE, a file or the name of one that ships with calibench.

    Run again after an interruption: training goes on from the last checkpoint.

    \b
    Examples:
      calibench tune calibration_tuning_lora_prompt --model $MODEL --data graded -o adapter
      calibench tune my_recipe.yaml optimiser.epochs=1 seed=7 --model $MODEL --data graded -o out
    """
    from calib_adapters.tune import tune as run

    click.echo(run(recipe, base, data, output, overrides))


@cli.group()
def leaderboard() -> None:
    """Publish results as tables and figures."""


@leaderboard.command()
@click.argument("results", nargs=-1, required=True, type=EXISTING)
@click.option("-o", "--output", required=True, type=FOLDER, help="Folder for table and figures.")
@click.option(
    "--graded",
    type=EXISTING,
    help="Graded dataset; adds the sanity row that always says the train accuracy.",
)
def build(results: tuple[Path, ...], output: Path, graded: Path | None) -> None:
    """Build the table and the figures from lm_eval output folders (made with --log_samples).

    \b
    Example:
      calibench leaderboard build runs/base runs/tuned --graded graded -o leaderboard
    """
    from calib_leaderboards import build as run
    from calib_leaderboards import read_train_accuracy

    accuracy = None if graded is None else read_train_accuracy(graded)
    click.echo(run(results, output, train_accuracy=accuracy))


def main() -> None:
    """Run the command; an expected error is one sentence and exit code 1, not a traceback."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        raise SystemExit("calibench: interrupted.") from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (ValueError, OSError, RuntimeError) as error:
        raise SystemExit(f"calibench: {error}") from None
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise SystemExit("calibench: figures need matplotlib: pip install 'calibench[plots]'") from None


if __name__ == "__main__":
    main()
