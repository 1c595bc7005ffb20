"""Renders leaderboard.json as a Markdown page for GitHub."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

MARK = "<!-- Made by `calibench leaderboard build`: build it again rather than edit it. -->"

_HOW_TO_READ = """\
## How to read this

- **ECE** (expected calibration error, lower is better): answers are put into ten bins by
  confidence, and the gap between mean confidence and accuracy is averaged over the bins. 0.10 means
  that a stated confidence is off by ten points on average.
- **AUROC** (higher is better): the probability that a right answer has more confidence than a wrong
  one. 1 is perfect order, 0.5 is chance, below 0.5 the wrong answers are the confident ones.
- **Brier** (lower is better): the mean squared difference between confidence and outcome; it is
  sensitive to both. **Accuracy** is of the answers, not of the confidences. **Answered** is the
  share of questions with a usable confidence; the others are left out of ECE, AUROC and Brier.
- **Brackets** hold a 95 % bootstrap interval over questions, for this model and these prompts.
  Rows of one table share their questions, so two rows can differ reliably although their
  intervals overlap.
- **The noise floor.** The ECE of a *perfectly* calibrated model is not zero in a finite sample:
  with confidences spread over [0, 1] it is about 0.10 at n = 100, 0.03 at 1,000 and 0.01 at
  10,000. For the same reason the interval of a very small ECE can lie above the ECE itself.
- **Sanity rows** (in italics) are there to be beaten. A constant confidence equal to the accuracy
  in training can have a low ECE yet knows nothing about the single answer: AUROC 0.5. *Question
  only* hides the answer from the classifier: what it scores comes from the question alone.
- **Answers**: *own* rows judge the answers of their own run; *frozen* rows all judge the same
  answers, those of an earlier run. Accuracies differ only where answers do.
- **limit** beside n marks a run on a part of the questions. It is no result to publish.
"""


def render(board: dict[str, Any]) -> str:
    """Return the page for a leaderboard as `build` writes it to leaderboard.json.

    Every name from the files is escaped: it can neither end a table cell nor start a tag, link
    or emphasis.
    """
    parts = [
        MARK,
        "# Calibration leaderboard",
        "Does a language model know what it does not know? Each row is a way to get a confidence "
        "for every answer; every number is recomputed from the logged samples.",
    ]
    for task, table in board["tasks"].items():
        parts += _task(task, table, board["runs"])
    parts += [_HOW_TO_READ.rstrip(), *_provenance(board)]
    return "\n\n".join(parts) + "\n"


def _task(task: str, table: dict[str, Any], runs: Sequence[dict[str, Any]]) -> list[str]:
    rows = table["rows"]
    facts, columns = [], []
    for name in ("model", "adapter", "answers"):
        # A row without an adapter is told apart by its label, so only adapters are compared.
        values = sorted({row[name] for row in rows if row[name] is not None})
        if len(values) > 1:
            columns.append(name)
        elif values:
            facts.append(f"{name.capitalize()}: {escape(values[0])}")
    versions = {runs[row["run"]]["tasks"][task]["version"] for row in rows}
    facts.append(f"task version: {', '.join(sorted(escape(version) for version in versions))}")
    head = [
        "Method",
        *(name.capitalize() for name in columns),
        "ECE ↓ (95 % interval)",
        "AUROC ↑ (95 % interval)",
        "Brier ↓",
        "Accuracy ↑",
        "Answered",
        "n",
    ]
    body = [
        [_label(row), *(escape(row[name] or "") for name in columns), *_cells(row)] for row in rows
    ]
    align = ["---"] * (1 + len(columns)) + ["---:"] * 6
    return [
        f"## {escape(task)}",
        " · ".join(facts) + ".",
        markdown_table(head, body, align),
        _signatures(rows),
        *_figures(task, table),
    ]


def _label(row: dict[str, Any]) -> str:
    label = escape(row["label"])
    if row["sanity"]:
        return f"*{label}*"
    return f"**{label}**" if row["label"] == "Fine-Tuned" else label


def _cells(row: dict[str, Any]) -> list[str]:
    scores = row["scores"]
    limit = "" if row["limit"] is None else " (**limit**)"
    return [
        *(_number(scores[name]) + _interval(scores[name]) for name in ("ece", "auroc")),
        *(_number(scores[name]) for name in ("brier", "acc", "answered")),
        f"{row['n']:,}{limit}",
    ]


def _interval(score: dict[str, Any]) -> str:
    low, high = score["low"], score["high"]
    return "" if low is None or high is None else f" ({low:.3f}–{high:.3f})"


def _number(score: dict[str, Any]) -> str:
    return "undefined" if score["value"] is None else f"{score['value']:.3f}"


def _signatures(rows: Iterable[dict[str, Any]]) -> str:
    # Inside a fence all is literal unless a line is itself a fence, and every line begins with
    # our words.
    lines = []
    for row in rows:
        asked = f", {row['elicitation']}" if row["elicitation"] else ""
        lines.append(f"# {row['label']}, run {row['run'] + 1}{asked}")
        lines += [score["signature"] for score in row["scores"].values()]
    code = "\n".join(_one_line(line) for line in lines)
    return _details("Signatures", f"```text\n{code}\n```")


def _figures(task: str, table: dict[str, Any]) -> Iterable[str]:
    if table["figure"]:
        yield _image(f"ECE and AUROC of each method on {task}", table["figure"], width=800)
    diagrams = [
        _image(f"Reliability of {row['label']}", row["figure"], width=390)
        for row in table["rows"]
        if row["figure"]
    ]
    if diagrams:
        yield "\n".join(diagrams)


def _image(alt: str, stem: str, width: int) -> str:
    """An image tag: Markdown has no width. `stem` is a path of ours without suffix."""
    return f'<a href="{stem}.svg"><img src="{stem}.png" alt="{escape(alt)}" width="{width}"></a>'


def _provenance(board: dict[str, Any]) -> list[str]:
    head = "Run Model Adapter Dtype Hardware Seeds Versions Date".split() + ["Wall time"]
    body, details = [], []
    for number, run in enumerate(board["runs"], start=1):
        seconds = run["wall_time_seconds"]
        body.append(
            [
                str(number),
                escape(run["model"]),
                escape(run["adapter"] or "none"),
                escape(run["dtype"] or "unknown"),
                escape(_machine(run)),
                escape(", ".join(str(seed) for seed in run["seeds"].values())),
                escape(", ".join(f"{name} {v or '?'}" for name, v in run["versions"].items())),
                escape(run["date"] or "unknown"),
                "unknown" if seconds is None else f"{seconds:,.0f} s",
            ]
        )
        details.append(f"Run {number}\n\n" + "\n".join(_run_details(run)))
    settings = board["settings"]
    sentence = (
        f"Intervals: {settings['resamples']:,} bootstrap resamples, seed {settings['seed']}. "
        "Seeds are lm-eval's, in the order random, numpy, torch, few-shot. All of this, and the "
        "reliability bins, is in [leaderboard.json](leaderboard.json)."
    )
    return [
        "## Provenance",
        sentence,
        markdown_table(head, body, ["---"] * (len(head) - 1) + ["---:"]),
        _details("Commands, prompts and file hashes", "\n\n".join(details)),
    ]


def _machine(run: dict[str, Any]) -> str:
    hardware = run["hardware"]
    named = [hardware["gpu"] or hardware["cpu"], hardware["cores"] and f"{hardware['cores']} cores"]
    return f"{run['device'] or 'unknown'} ({', '.join(part for part in named if part) or '?'})"


def _run_details(run: dict[str, Any]) -> Iterable[str]:
    yield f"- {_code(run['command'])}"
    yield f"- chat template: {_code(run['chat_template_sha'] or 'none')}"
    yield f"- system instruction: {_code(run['system_instruction_sha'] or 'none')}"
    yield f"- {_code(run['results']['file'])}, sha256 {_code(run['results']['sha256'])}"
    for name, task in run["tasks"].items():
        limit = "" if task["limit"] is None else f", limit {task['limit']}"
        yield (
            f"- {escape(name)} version {escape(task['version'])}, {task['n']:,} questions{limit}, "
            f"{escape(task['n_shot'])}-shot, {task['answers']} answers: "
            f"{_code(task['samples']['file'])}, sha256 {_code(task['samples']['sha256'])}"
        )


def _details(summary: str, content: str) -> str:
    # GitHub reads Markdown inside <details> only after an empty line.
    return f"<details>\n<summary>{summary}</summary>\n\n{content}\n\n</details>"


def markdown_table(
    head: Sequence[str], body: Iterable[Sequence[str]], align: Sequence[str]
) -> str:
    """A table in Markdown; cells are escaped already, `align` is "---" or "---:" per column."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, align, *body))


def _code(value: Any) -> str:
    return f"<code>{escape(value)}</code>"


def escape(value: Any) -> str:
    """Text that HTML and Markdown both show literally, on one line, also in a table cell.

    >>> escape("a|b <script>")
    'a&#124;b &lt;script&gt;'
    """
    text = html.escape(_one_line(value))
    # Markdown decodes entities after it has found its structure, so these stay mere characters.
    text = re.sub(r"[|`*\[\]\\~$]", lambda found: f"&#{ord(found[0])};", text)
    # An underscore inside a word means nothing to GitHub; elsewhere it may start emphasis.
    text = re.sub(r"(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])", "&#95;", text)
    # A scheme or "www." would be turned into a link.
    return re.sub(r":(?=//)|(?<=www)\.", lambda found: f"&#{ord(found[0])};", text)


def _one_line(value: Any) -> str:
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", str(value)).split())
