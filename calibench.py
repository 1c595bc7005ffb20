"""The calibench command: one function per subcommand, each a call into one package.

Packages are imported inside the functions, so that ``calibench --help`` stays instant.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calib_leaderboards import commands

if TYPE_CHECKING:
    from calib_metrics.files import Rows

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
FOLDER = click.Path(file_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, path_type=Path)
COUNT = click.IntRange(1)
SHARE = click.FloatRange(0, 1, min_open=True)


@contextmanager
def starting() -> Iterator[None]:
    """Inside, import the large libraries: their objects, here to stay, are not searched for garbage.

    That search takes a quarter of the time of importing torch, transformers and lm-eval, and a
    second again when the process ends. A process that has them already has garbage of its own.
    """
    if "torch" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


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
@click.argument(
    "kind",
    metavar="TEMPLATE",
    type=click.Choice(
        ["general", "llm_as_judge", "truthfulqa", "classification", "confidence", "custom"]
    ),
)
@click.option(
    "--data",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV, TSV, JSON Lines or Parquet.",
)
@click.option("-o", "--output", required=True, type=FOLDER, help="Folder for the task.")
@click.option("--name", help="Name of the task. Default: the folder's.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ROLE=NAME",
    help="The file's column for a role that has another name there. Can be repeated.",
)
@click.option(
    "--prompt", help="custom: what the model is shown, a Jinja template over the columns."
)
@click.option(
    "--metrics",
    default="exact_match,f1",
    show_default=True,
    help="custom: of exact_match, f1, bleu, chrf, rouge1, rouge2, rougeL, rougeLsum.",
)
def template(
    kind: str,
    data: Path,
    output: Path,
    name: str | None,
    columns: tuple[str, ...],
    prompt: str | None,
    metrics: str,
) -> None:
    """Write a task folder for your own data, checked row by row.

    \b
    TEMPLATE        columns (roles)                    scores
    general         prompt, reference                  exact match, F1, BLEU, chrF, ROUGE
    classification  text, label                        accuracy, precision, recall, F1,
                                                       cross-entropy, ECE
    truthfulqa      question, correct_answers,         BLEU and ROUGE max, acc, diff; MC1, MC2
                    incorrect_answers, [best_answer]
    llm_as_judge    prompt, [reference], [answer]      ratings by a judge, verdicts, pairs
    confidence      question, reference                ECE, AUROC, Brier of every method
    custom          reference, and yours               yours

    \b
    Examples:
      calibench template general --data my.jsonl -o my_task
      calibench template general --data faq.csv --column prompt=Question \\
          --column reference=Answer -o faq
      calibench template custom --data sums.csv --prompt "{{a}} + {{b}} =" \\
          --column reference=sum -o sums
    """
    from harness_tasks.templates.write import write_task

    pairs = [column.partition("=") for column in columns]
    if wrong := [column for column, (_, _, name) in zip(columns, pairs) if not name]:
        raise ValueError(f"--column {wrong[0]}: write ROLE=NAME, such as reference=Answer.")
    named = {role: column for role, _, column in pairs}
    if len(named) < len(pairs):
        raise ValueError("--column: one role is given two columns; give each role one.")
    chosen = [metric.strip() for metric in metrics.split(",")]
    count = write_task(
        kind, data, output, name=name, columns=named, prompt=prompt, metrics=chosen
    )
    click.echo(f"{output}: {count} rows; {output / 'README.md'} has the command that runs it.")


@cli.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("-o", "--output", required=True, type=FOLDER, help="Folder for the data set.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="ROLE=NAME",
    help="Split of the data set for train, validation, calibration or test. Can be repeated.",
)
@click.option(
    "--shares",
    metavar="ROLE=SHARE,...",
    help="Where rows are divided. Default: train=0.5,validation=0.1,calibration=0.1,test=0.3 for "
    "tasks, train=0.9,validation=0.1 for records.",
)
@click.option(
    "--redivide", is_flag=True, help="Divide the split a task is scored on; use no other."
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="ROLE=N",
    help="At most N rows per source in this role. Can be repeated.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="COLUMN=NAME",
    help="A file's name for a column that is called otherwise there. Can be repeated.",
)
@click.option(
    "--delimiter",
    default=" ",
    show_default=True,
    help="Between a prompt and a completion that have no white space between them.",
)
@click.option("--drop-unusable", is_flag=True, help="Leave out and count unusable records.")
@click.option("--include-path", type=FOLDER, help="Folder with lm-eval tasks of your own.")
@click.option("--seed", default=0, show_default=True, help="Of the division and of --limit.")
def prepare(
    sources: tuple[str, ...],
    output: Path,
    splits: tuple[str, ...],
    shares: str | None,
    limits: tuple[str, ...],
    columns: tuple[str, ...],
    **options: Any,
) -> None:
    """Make a data set to fine-tune on, of tasks, files and data sets on the Hub.

    \b
    SOURCE is one of
      NAME          a task or group of lm-eval, or one of `calibench tasks`
      FILE          CSV, TSV, JSON Lines or Parquet with the columns
                    instruction, response, [context]   as Dolly has
                    instruction, output, [input]       as Alpaca has
                    prompt, completion
                    messages                           lists of role and content
      ROLE=FILE     the same, all rows for train, validation, calibration or test
      ID, ID:CONFIG a data set on the Hub with such columns

    \b
    Examples:
      calibench prepare calib_worldfacts_mc -o data
      calibench prepare calib_boolq_mc calib_nq_open --limit train=1000 -o two_tasks
      calibench prepare dolly.jsonl -o instructions
    """
    from calib_adapters.prepare import Choices, describe
    from calib_adapters.prepare import prepare as run

    choices = Choices(
        splits=_pairs("--split", splits),
        shares=_pairs("--shares", shares.split(",") if shares else (), float),
        limits=_pairs("--limit", limits, int),
        columns=_pairs("--column", columns),
        **options,
    )
    click.echo(describe(run(sources, output, choices)[1]))


def _pairs(option: str, given: Iterable[str], kind: Callable[[str], Any] = str) -> dict[str, Any]:
    """The values of an option that is written KEY=VALUE."""
    pairs: dict[str, Any] = {}
    for pair in given:
        key, separator, value = pair.strip().partition("=")
        try:
            if not (separator and value) or key in pairs:
                raise ValueError
            pairs[key] = kind(value)
        except ValueError:
            wanted = {int: "a whole number", float: "a number"}.get(kind, "a name")
            raise ValueError(
                f"{option}: {pair!r} cannot be used; write KEY=VALUE with {wanted}, each key once."
            ) from None
    return pairs


@cli.command("self-instruct")
@click.argument("seeds", metavar="SEEDS")
@click.option("-o", "--output", required=True, type=FOLDER, help="Folder for the data set.")
@click.option("--rows", required=True, type=COUNT, help="Tasks with answers that are wanted.")
@click.option("--model", default="hf", show_default=True, help="The teacher's back end in lm-eval.")
@click.option(
    "--model_args", "--model-args", "model_args", default="", help="Its arguments, as in lm-eval."
)
@click.option("--batch_size", "--batch-size", "batch_size", default="1", show_default=True)
@click.option("--device", help="For back ends that take one.")
@click.option("--chat", is_flag=True, help="Show prompts as a user's turn in a chat template.")
@click.option(
    "--temperature",
    default=0.7,
    show_default=True,
    type=click.FloatRange(0),
    help="0: always the likeliest word.",
)
@click.option(
    "--top_p",
    "--top-p",
    "top_p",
    default=0.9,
    show_default=True,
    type=SHARE,
    help="It draws from the likeliest words that together have this probability.",
)
@click.option(
    "--max-tokens", default=400, show_default=True, type=COUNT, help="Per reply of the teacher."
)
@click.option(
    "--prompts", default=8, show_default=True, type=COUNT, help="For new tasks, per round."
)
@click.option(
    "--novelty",
    default=0.7,
    show_default=True,
    type=SHARE,
    help="Only tasks whose ROUGE-L to every other is below this are kept.",
)
@click.option(
    "--max-answer-words", default=300, show_default=True, type=COUNT, help="In an answer."
)
@click.option("--seed", default=0, show_default=True)
def self_instruct(
    seeds: str,
    output: Path,
    batch_size: str,
    device: str | None,
    temperature: float,
    top_p: float,
    max_tokens: int,
    novelty: float,
    max_answer_words: int,
    **plan: Any,
) -> None:
    """Let a teacher model write instruction data, starting from SEEDS.

    SEEDS is a file, or a data set on the Hub, with the columns instruction, output, [input]. Run
    again after an interruption: the teacher goes on after its last finished round.

    \b
    Example:
      calibench self-instruct seeds.jsonl --rows 100 --model hf \\
          --model_args pretrained=$(calibench model) --batch_size 8 -o instructions
    """
    from calib_adapters.prepare import describe
    from calib_adapters.self_instruct import Limits, Plan, Sampling
    from calib_adapters.self_instruct import self_instruct as run

    wanted = Plan(
        sampling=Sampling(temperature, top_p, max_tokens),
        limits=Limits(novelty=novelty, max_answer_words=max_answer_words),
        **plan,
    )
    batch = int(batch_size) if batch_size.isdigit() else batch_size
    click.echo(describe(run(seeds, output, wanted, batch, device)[1]))


@cli.command()
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--model", "base", required=True, help="Base model: a folder or a Hub id.")
@click.option("--data", required=True, type=EXISTING, help="From `grade` or `prepare`.")
@click.option("-o", "--output", required=True, type=FOLDER, help="Folder for the adapter.")
@click.option(
    "--log",
    multiple=True,
    type=click.Choice(["tensorboard", "wandb"]),
    help="Also log to this service. Can be repeated.",
)
@click.option(
    "--checkpoint-every",
    type=click.IntRange(1),
    metavar="STEPS",
    help="Write checkpoints within epochs too; there is one after every epoch in any case.",
)
@click.option(
    "--push-to-hub", "push_to", metavar="REPO", help="Upload the result to this model repository."
)
def tune(
    recipe: str, overrides: tuple[str, ...], base: str, data: Path, output: Path, **options: Any
) -> None:
    """Fine-tune an adapter by RECIPE, a file or the name of one that ships with calibench.

    Run again after an interruption: training goes on from the last checkpoint.

    \b
    Examples:
      calibench tune calibration_tuning_lora_prompt --model $MODEL --data graded -o adapter
      calibench tune my_recipe.yaml optimiser.epochs=1 seed=7 --model $MODEL --data graded -o out
    """
    with starting():
        from calib_adapters.tune import tune as run

    click.echo(run(recipe, base, data, output, overrides, **options))


@cli.command("eval", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENT]...")
def evaluate(arguments: tuple[str, ...]) -> None:
    """Run `lm_eval run` with the tasks here and the model calib-hf.

    All arguments are lm_eval's; `lm_eval run --help` lists them. calib-hf is hf, with further
    --model_args:

    \b
    confidence_adapter=PATH   answers by the base model, yes/no questions about them by the adapter
    probe=PATH                what `tune` made of calibration_tuning_probe or calibration_tuning_lora,
                              for the method `probe`; the base model answers
    ensemble=A+B+C            probabilities averaged over adapters; texts by the first
    mc_dropout=N              probabilities averaged over N passes with dropout; texts without
    mc_dropout_rate=P         of mc_dropout; default: that of training
    fast=False                runs every request as hf does; without it the same numbers come faster

    \b
    Example:
      calibench eval --model calib-hf \\
          --model_args pretrained=$MODEL,confidence_adapter=adapter,probe=probe \\
          --tasks calib_worldfacts --output_path runs/tuned --log_samples \\
          --metadata '{"methods": ["zero_shot_classifier", "probe"]}'
    """
    with starting():
        from calib_adapters.evaluate import evaluate as run

    run(arguments)


@cli.command()
def hardware() -> None:
    """Print the folder of the configurations for `accelerate launch`.

    cpu, one_gpu, ddp, fsdp and deepspeed_zero3.

    \b
    Example:
      accelerate launch --config_file $(calibench hardware)/ddp.yaml -m calibench tune ...
    """
    import calib_adapters

    click.echo(Path(calib_adapters.__file__).parent / "accelerate")


@cli.group()
def recipes() -> None:
    """The recipes that ship with calibench."""


@recipes.command("ls")
def list_recipes() -> None:
    """List the recipes, with what each one trains."""
    from calib_adapters.recipe import describe_recipe, shipped_recipes

    found = shipped_recipes()
    width = max(map(len, found))
    for name, path in found.items():
        click.echo(f"{name:<{width}}  {describe_recipe(path)}")


@recipes.command()
@click.argument("recipe")
def cat(recipe: str) -> None:
    """Print a recipe.

    \b
    Example:
      calibench recipes cat calibration_tuning_lora_prompt
    """
    from calib_adapters.recipe import find_recipe

    click.echo(find_recipe(recipe).read_text(encoding="utf-8"), nl=False)


@recipes.command()
@click.argument("recipe")
@click.argument("target", type=click.Path(path_type=Path))
def cp(recipe: str, target: Path) -> None:
    """Copy a recipe to TARGET, a file or a folder, to change it there.

    \b
    Example:
      calibench recipes cp calibration_tuning_lora_prompt my_recipe.yaml
    """
    from calib_adapters.recipe import find_recipe

    path = find_recipe(recipe)
    copy = target / path.name if target.is_dir() else target
    if copy.exists():
        raise FileExistsError(f"{copy} exists already; choose another name.")
    copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    click.echo(copy)


@cli.command()
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
    "--format", "kind", help="csv, tsv, jsonl or parquet. Default: by suffix, else by content."
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
    help="Also rms, mce, smooth_ece, nll, average_precision, aurc, excess_aurc, prr, "
    "selective_accuracy@0.8, coverage_at_accuracy@0.9, ece:guo17 and other definitions of ece.",
)
@click.option("--bins", default=10, show_default=True, help="Bins of ece and rms.")
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

    FILE is CSV, TSV, JSON Lines or Parquet with one row per answer, a samples_*.jsonl of lm_eval
    (every method in it is scored), or - for standard input.

    Time grows with rows x resamples: 1,000 resamples of a million rows take about half a minute.
    --resamples 0 gives the values alone, within seconds for ten million rows.

    \b
    Examples:
      calibench score answers.csv
      calibench score answers.parquet --confidence p --correct is_right --figures figures
      calibench score runs/base/*/samples_*.jsonl --metrics ece,auroc --json scores.json
    """
    from calib_metrics import report as reporting

    names = list(dict.fromkeys(name.strip() for name in metrics.split(",")))
    if figures:
        names += [name for name in ("ece", "auroc", "aurc") if name not in names]
    columns = {"confidence": confidence, "correct": correct, "group": group}
    reports = []
    for file in files:
        for label, rows in _read(file, kind, method, columns):
            name = "standard input" if str(file) == "-" else file.name
            report = reporting.make_report(name, rows, names, method=label, **options)
            click.echo(("\n" if reports else "") + reporting.to_text(report))
            reports.append(report)
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
    from calib_metrics.files import find_format, read_rows

    source = sys.stdin.buffer.read() if str(file) == "-" else file
    kind = kind or find_format(source)
    if kind != "lm-eval":
        yield method, read_rows(source, format=kind, **columns)
        return
    if source is not file or file.suffix == ".gz":
        raise ValueError(f"{file} is a log of lm_eval: give the path of the unpacked file.")
    logged = _read_log(file, columns["group"])
    if method and method not in logged:
        raise ValueError(f"{file}: there is no method '{method}', only {', '.join(logged)}.")
    yield from ([(method, logged[method])] if method else logged.items())


def _read_log(file: Path, group: str | None) -> dict[str, Rows]:
    """Return the rows of each method that a log of lm_eval holds."""
    import numpy as np
    from calib_metrics.files import Rows
    from harness_tasks.records import read_samples

    logged: dict[str, list[tuple]] = {}
    for row, record in read_samples(file):
        if record["correct"] is None:  # a judge's verdict that could not be read
            continue
        fields = {**row["doc"], **record}
        if group is not None and group not in fields:
            raise ValueError(f"{file}: there is no field '{group}', only {', '.join(fields)}.")
        values = record["confidence"], record["correct"], str(fields.get(group))
        logged.setdefault(record["method"], []).append(values)
    columns = {}
    for method, values in logged.items():
        confidence, correct, groups = zip(*values)
        labels = None if group is None else np.array(groups, object)
        columns[method] = Rows(np.array(confidence, float), np.array(correct, float), labels)
    return columns


cli.add_command(commands.gate)
cli.add_command(commands.leaderboard)


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
        need = "figures need matplotlib: pip install 'calibench[plots]'"
        raise SystemExit(f"calibench: {need}") from None


if __name__ == "__main__":
    main()
