"""The group of all commands, and the handling of their errors.

Each subcommand calls one function of one package. Packages are imported inside the functions, so
that ``calibench --help`` stays instant.
"""

from __future__ import annotations

import traceback
from typing import NoReturn

import click

from calibench import ask, combine, data, publish, recalibrate, score, train
from calibench.options import CONTEXT

FAULT = 70  # EX_SOFTWARE of sysexits.h
# The packages of the extra `all`, by their import names.
IN_ALL = frozenset(
    "lm_eval torch transformers peft accelerate datasets jinja2 markupsafe huggingface_hub "
    "evaluate sklearn sacrebleu rouge_score pydantic yaml gguf filelock safetensors tqdm".split()
)


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

    \b
    Completion of commands, options, recipes and tasks in bash (zsh, fish: zsh_source, fish_source):
      eval "$(_CALIBENCH_COMPLETE=bash_source calibench)"
    """


for command in (
    ask.model,
    ask.tasks,
    ask.evaluate,
    data.grade,
    data.template,
    data.prepare,
    data.self_instruct,
    train.tune,
    train.recipes,
    train.hardware,
    score.score,
    combine.combine,
    recalibrate.recalibrate,
    publish.gate,
    publish.leaderboard,
):
    cli.add_command(command)


def main() -> None:
    """Run the command.

    An error in the user's files or options prints one sentence and exits with status 1 (2 for a
    wrong command line and for anything that `gate` cannot decide), an interruption with 130, a lack
    of memory with 2. A traceback means a bug in calibench; its exit status is `FAULT`.
    """
    try:
        cli(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        _end("calibench: interrupted.", 130)
    except MemoryError:
        _end("calibench: there is not enough memory.", 2)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (ValueError, OSError, RuntimeError) as error:
        raise SystemExit(f"calibench: {error}") from None
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name == "matplotlib":
            need = "figures need matplotlib: pip install 'calibench[plots]'"
        elif name in IN_ALL:
            need = f"this command needs {name}, which is missing: pip install 'calibench[all]'"
        else:
            _fault()
        raise SystemExit(f"calibench: {need}") from None
    except Exception:
        _fault()


def _end(sentence: str, status: int) -> NoReturn:
    click.echo(sentence, err=True)
    raise SystemExit(status) from None


def _fault() -> NoReturn:
    traceback.print_exc()
    _end(
        "calibench: this is a bug in calibench, not your mistake. Please report it to its "
        "maintainers, with the command and all lines from 'Traceback' on.",
        FAULT,
    )
