"""The README of a written task folder: what is in it, and the command that runs it."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ABOUT = {
    "general": "The model's answers are compared with reference texts: exact match, token F1, BLEU,"
    " chrF, ROUGE.",
    "llm_as_judge": "A judge model rates answers from 1 to 5 with a reason, by relevance, depth,"
    " creativity, correctness and helpfulness; says whether they are correct; or compares pairs.",
    "truthfulqa": "Is what the model says nearer to true references than to false ones (BLEU,"
    " ROUGE: max, acc, diff), and does it find the true ones likelier (MC1, MC2)?",
    "classification": "The model's likeliest label against the right one: accuracy, precision,"
    " recall, F1, cross-entropy and calibration error.",
    "confidence": "The model answers and is asked how confident it is in that answer: ECE, AUROC,"
    " Brier per method.",
    "custom": "The prompt and the metrics are yours: `metrics.py` computes them.",
}

RUN = """\
    lm_eval run --model hf --model_args pretrained=MODEL \\
        --include_path {folder} --tasks {tasks} \\
        --output_path runs/{name}{run} --log_samples{metadata}
"""


def readme(
    template: str,
    name: str,
    folder: Path,
    source: str,
    rows: Sequence[dict[str, Any]],
    files: Sequence[str],
    answered: bool,
) -> str:
    """The README's text.

    Args:
        template: name of the template.
        name: of the task.
        folder: where the task folder is, as the user gave it.
        source: name of the user's file.
        rows: the rows of data.jsonl.
        files: names of the other files in the folder.
        answered: whether `rows` hold the answers that a judge is asked about.
    """
    listed = dict.fromkeys(_short(file, name) for file in files if file != "data.jsonl")
    columns = ", ".join(f"`{column}`" for column in rows[0])
    path = shlex.quote(str(folder))
    command = {"folder": path, "name": name, "tasks": name, "run": "", "metadata": ""}
    if template == "llm_as_judge":
        usage = _judge_usage(command, answered)
    else:
        usage = (
            RUN.format(**command)
            + "\n"
            + _filled(
                "An instruction-following model wants `--apply_chat_template` too; without it, "
                "it may say nothing."
            )
        )
    about = f"{ABOUT[template]} Made by `calibench template {template}` from {source}."
    too_long = (
        "A prompt longer than the model's context window has no confidence, with a reason in the"
        " log."
        if template == "confidence"
        else "Of a prompt longer than the model's context window, lm-eval leaves out the beginning."
    )
    points = (
        f"`data.jsonl`: {len(rows)} rows with {columns}. The first n rows are what `--limit n` asks"
        f" about. {too_long}",
        f"{', '.join(f'`{file}`' for file in listed)}: change what you like; every setting is"
        " explained where it stands. Raise `metadata.version` with every change that can change a"
        " score.",
    )
    listing = (_filled(point, "- ") for point in points)
    return "\n".join([f"# {name}", "", _filled(about), "", usage, "", *listing, ""])


def _filled(text: str, mark: str = "") -> str:
    """A paragraph in lines of 100 characters, or a point of a list."""
    return textwrap.fill(
        mark + text,
        100,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _short(file: str, name: str) -> str:
    """A file's name, or what the names of the many files of a judge have in common."""
    if file.startswith(f"{name}_judge_"):
        return f"{name}_judge_*.yaml"
    return "rating*_yaml" if file.startswith("rating") else file


def _judge_usage(command: dict[str, Any], answered: bool) -> str:
    name = command["name"]
    judge = RUN.replace("pretrained=MODEL", "pretrained=JUDGE").replace(
        "--log_samples", "--log_samples --apply_chat_template"
    )
    if answered:
        answers, steps = "", "The answers to judge are those in `data.jsonl`.\n\n"
    else:
        answers = f'"answers": "runs/{name}"'
        steps = (
            "First the answers, by the model to be judged (`--apply_chat_template` if it follows"
            f" instructions):\n\n{RUN.format(**command)}\n"
        )
    given = f" \\\n        --metadata '{{{answers}}}'" if answers else ""
    both = ", ".join(part for part in (answers, '"against": "runs/other"') if part)
    ratings = {"tasks": f"{name}_judge_ratings", "run": "_judge", "metadata": given}
    pairs = {
        "tasks": f"{name}_judge_pairwise",
        "run": "_pairs",
        "metadata": f" \\\n        --metadata '{{{both}}}'",
    }
    return "\n".join(
        [
            f"{steps}The judge, which may be any model and back end:\n",
            judge.format(**{**command, **ratings}),
            _filled(
                f"A single criterion: `{name}_judge_helpfulness` and its like. Correct or not:"
                f" `{name}_judge_verdict`. In pairs, with the answers of another run:"
            ),
            "",
            judge.format(**{**command, **pairs}),
            _filled(
                "A judge that does not keep to the form, as small and base models, is shown it by"
                " `--num_fewshot 3`; or ask for the likeliest reply, which needs"
                f" log-probabilities: `{name}_judge_ratings_likelihood`,"
                f" `{name}_judge_verdict_likelihood`, `{name}_judge_pairwise_likelihood`."
            ),
            "",
            _filled(
                "Human labels, a table with the columns `id` and `label`, go into the metadata as"
                ' `"labels": "PATH"`; agreement and kappa then stand in the table. Replies that'
                " cannot be read lower `parsed` and count in nothing else."
            ),
        ]
    )
