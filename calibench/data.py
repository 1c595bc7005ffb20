"""Commands that make data: `grade`, `template`, `prepare`, `self-instruct`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from calibench.options import (
    COUNT,
    EXISTING,
    FILE,
    SHARE,
    PathType,
    key_values,
    output_option,
    task_names,
)


@click.command()
@click.argument("results", nargs=-1, required=True, type=EXISTING)
@output_option("Folder for the graded dataset.")
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
    from calib_adapters.data.grade import grade as run

    for split, rows in run(results, output, method=method).items():
        share = sum(rows["correct"]) / len(rows)
        click.echo(f"{split}: {len(rows)} answers, {share:.1%} correct")


@click.command()
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
    type=FILE,
    help="CSV, TSV, JSON Lines or Parquet.",
)
@output_option("Folder for the task.")
@click.option("--name", help="Name of the task. Default: the folder's.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ROLE=NAME",
    help="The file's own name for a role's column. Can be repeated.",
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
    if wrong := [column for column, (_, _, name) in zip(columns, pairs, strict=True) if not name]:
        raise ValueError(f"--column {wrong[0]}: write ROLE=NAME, such as reference=Answer.")
    named = {role: column for role, _, column in pairs}
    if len(named) < len(pairs):
        raise ValueError("--column: a role has two columns; give each role one.")
    chosen = [metric.strip() for metric in metrics.split(",")]
    count = write_task(kind, data, output, name=name, columns=named, prompt=prompt, metrics=chosen)
    click.echo(f"{output}: {count} rows; {output / 'README.md'} has the command that runs it.")


@click.command()
@click.argument(
    "sources",
    nargs=-1,
    required=True,
    metavar="SOURCE...",
    shell_complete=lambda context, parameter, incomplete: task_names(incomplete),
)
@output_option("Folder for the data set.")
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
    help="Shares of the splits where rows are divided. Default: "
    "train=0.5,validation=0.1,calibration=0.1,test=0.3 for tasks, train=0.9,validation=0.1 "
    "for records.",
)
@click.option(
    "--redivide", is_flag=True, help="Divide the split that a task is scored on, and use no other."
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
    help="A file's own name for a column. Can be repeated.",
)
@click.option(
    "--delimiter",
    default=" ",
    show_default=True,
    help="Text between a prompt and a completion that no white space separates.",
)
@click.option("--drop_unusable", is_flag=True, help="Leave out and count unusable records.")
@click.option(
    "--include_path",
    type=PathType(exists=True, file_okay=False),
    help="Folder with lm-eval tasks of your own.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the division and of --limit.")
@click.option(
    "--model_args",
    default="",
    metavar="KEY=VALUE,...",
    help="Arguments that the model will be asked with, as in lm-eval: tokenizer, add_bos_token, "
    "revision and others that decide its tokens are recorded, and `calibench tune` trains "
    "with them.",
)
def prepare(
    sources: tuple[str, ...],
    output: Path,
    splits: tuple[str, ...],
    shares: str | None,
    limits: tuple[str, ...],
    columns: tuple[str, ...],
    **options: Any,
) -> None:
    """Make a data set to fine-tune on from tasks, files and data sets on the Hub.

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
    from calib_adapters.data.prepare import Choices, describe
    from calib_adapters.data.prepare import prepare as run

    choices = Choices(
        splits=key_values("--split", splits),
        shares=key_values("--shares", shares.split(",") if shares else (), float),
        limits=key_values("--limit", limits, int),
        columns=key_values("--column", columns),
        **options,
    )
    click.echo(describe(run(sources, output, choices)[1]))


@click.command("self-instruct")
@click.argument("seeds", metavar="SEEDS")
@output_option("Folder for the data set.")
@click.option("--rows", required=True, type=COUNT, help="Number of tasks with answers to write.")
@click.option("--model", default="hf", show_default=True, help="The teacher's back end in lm-eval.")
@click.option("--model_args", default="", help="The back end's arguments, as in lm-eval.")
@click.option("--batch_size", default="1", show_default=True)
@click.option("--device", help="Device, for back ends that take one.")
@click.option("--chat", is_flag=True, help="Show prompts as a user's turn in a chat template.")
@click.option(
    "--temperature",
    default=0.7,
    show_default=True,
    type=click.FloatRange(0),
    help="Temperature of the samples; 0 takes the likeliest word.",
)
@click.option(
    "--top_p",
    default=0.9,
    show_default=True,
    type=SHARE,
    help="Sample from the likeliest words that together have this probability.",
)
@click.option(
    "--max_tokens",
    default=400,
    show_default=True,
    type=COUNT,
    help="Maximum number of tokens per reply of the teacher.",
)
@click.option(
    "--prompts", default=8, show_default=True, type=COUNT, help="Prompts for new tasks per round."
)
@click.option(
    "--novelty",
    default=0.7,
    show_default=True,
    type=SHARE,
    help="Keep only tasks whose ROUGE-L to every other task is below this.",
)
@click.option(
    "--max_answer_words",
    default=300,
    show_default=True,
    type=COUNT,
    help="Maximum number of words in an answer.",
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

    SEEDS is a file, or a data set on the Hub, with the columns instruction, output, [input]. After
    an interruption, run the command again: it continues after the last finished round.

    \b
    Example:
      calibench self-instruct seeds.jsonl --rows 100 --model hf \\
          --model_args pretrained=$(calibench model) --batch_size 8 -o instructions
    """
    from calib_adapters.data.prepare import describe
    from calib_adapters.self_instruct import Limits, Plan, Sampling
    from calib_adapters.self_instruct import self_instruct as run

    wanted = Plan(
        sampling=Sampling(temperature, top_p, max_tokens),
        limits=Limits(novelty=novelty, max_answer_words=max_answer_words),
        **plan,
    )
    batch = int(batch_size) if batch_size.isdigit() else batch_size
    click.echo(describe(run(seeds, output, wanted, batch, device)[1]))
