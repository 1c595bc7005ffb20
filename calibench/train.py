"""Commands that train: `tune`, `recipes`, `hardware`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from calibench.options import EXISTING, PathType, output_option, starting


def _recipe_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the recipes whose names begin with `incomplete`, for shell completion."""
    from calib_adapters import shipped_folder

    names = sorted(path.stem for path in shipped_folder("recipes").glob("*.yaml"))
    return [name for name in names if name.startswith(incomplete)]


@click.command()
@click.argument("recipe", shell_complete=_recipe_names)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--model", "base", required=True, help="Base model: a folder or a Hub id.")
@click.option("--data", required=True, type=EXISTING, help="Data set from `grade` or `prepare`.")
@output_option("Folder for the adapter.")
@click.option(
    "--log",
    multiple=True,
    type=click.Choice(["tensorboard", "wandb"]),
    help="Also log to this service. Can be repeated.",
)
@click.option(
    "--checkpoint_every",
    type=click.IntRange(1),
    metavar="STEPS",
    help="Steps between checkpoints; there is one after every epoch in any case.",
)
@click.option(
    "--keep_epochs", is_flag=True, help="Also keep the weights after every epoch, in epochs/N."
)
@click.option(
    "--push_to_hub", "push_to", metavar="REPO", help="Upload the result to this model repository."
)
def tune(
    recipe: str, overrides: tuple[str, ...], base: str, data: Path, output: Path, **options: Any
) -> None:
    """Fine-tune an adapter with RECIPE, a file or the name of one that ships with calibench.

    After an interruption, run the command again: training continues from the last checkpoint.

    \b
    Examples:
      calibench tune calibration_tuning_lora_prompt --model $MODEL --data graded -o adapter
      calibench tune my_recipe.yaml optimiser.epochs=1 seed=7 --model $MODEL --data graded -o out
    """
    with starting():
        from calib_adapters.tune import tune as run

    click.echo(run(recipe, base, data, output, overrides, **options))


@click.group()
def recipes() -> None:
    """The recipes that ship with calibench."""


@recipes.command("ls")
def list_recipes() -> None:
    """List the recipes, with what each one trains."""
    from calib_adapters.training.recipe import describe_recipe, shipped_recipes

    found = shipped_recipes()
    width = max(map(len, found))
    for name, path in found.items():
        click.echo(f"{name:<{width}}  {describe_recipe(path)}")


@recipes.command()
@click.argument("recipe", shell_complete=_recipe_names)
def cat(recipe: str) -> None:
    """Print a recipe.

    \b
    Example:
      calibench recipes cat calibration_tuning_lora_prompt
    """
    from calib_adapters.training.recipe import find_recipe

    click.echo(find_recipe(recipe).read_text(encoding="utf-8"), nl=False)


@recipes.command()
@click.argument("recipe", shell_complete=_recipe_names)
@click.argument("target", type=PathType())
def cp(recipe: str, target: Path) -> None:
    """Copy a recipe to TARGET, a file or a folder, to change it there.

    \b
    Example:
      calibench recipes cp calibration_tuning_lora_prompt my_recipe.yaml
    """
    from calib_adapters.training.recipe import find_recipe

    path = find_recipe(recipe)
    copy = target / path.name if target.is_dir() else target
    if copy.exists():
        raise FileExistsError(f"{copy} exists already; choose another name.")
    copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    click.echo(copy)


@click.command()
def hardware() -> None:
    """Print the folder of the configurations for `accelerate launch`.

    cpu, one_gpu, ddp, fsdp and deepspeed_zero3.

    \b
    Example:
      accelerate launch --config_file $(calibench hardware)/ddp.yaml -m calibench tune ...
    """
    from calib_adapters import shipped_folder

    click.echo(shipped_folder("accelerate"))
