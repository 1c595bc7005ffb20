"""Commands that ask a model: `model`, `tasks`, `eval`."""

from __future__ import annotations

from pathlib import Path

import click

from calibench.options import starting


@click.command()
def model() -> None:
    """Put SmolLM2-135M-Instruct into the cache (once, about 93 MB) and print its folder.

    \b
    Example:
      lm_eval run --model hf --model_args pretrained=$(calibench model) ...
    """
    from harness_tasks.embedded_models import ensure_model

    click.echo(ensure_model())


@click.command()
def tasks() -> None:
    """Print the folder of the task files, for lm_eval's --include_path.

    \b
    Example:
      lm_eval ls tasks --include_path $(calibench tasks)
    """
    import harness_tasks

    click.echo(Path(harness_tasks.__file__).parent)


@click.command("eval", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENT]...")
def evaluate(arguments: tuple[str, ...]) -> None:
    """Run `lm_eval run` with the tasks here and the model calib-hf.

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
