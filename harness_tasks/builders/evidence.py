r"""Write what a run scored into a task's README, under its heading "A run".

    python -m harness_tasks.builders.evidence runs/openbookqa_mc runs/openbookqa \
        --readme harness_tasks/openbookqa/README.md

The scores are computed from the logged samples, the command is taken from the results file. Text
between the heading and the marker is left as it is; what follows the marker, up to the next
heading, is replaced.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import warnings
from pathlib import Path
from typing import Any

from calib_metrics import Score, score
from harness_tasks.elicitation.records import read_samples
from harness_tasks.elicitation.settings import UNTRAINED, Settings

HEADING = "## A run"
MARKER = "<!-- written by harness_tasks/builders/evidence.py -->"
METRICS = ("acc", "ece", "auroc", "brier", "answered")
# What every results file of a task has beside the metrics of the table.
COMMON = {*METRICS, "name", "alias", "sample_len", "sample_count", "graded"}
# Set by `calibench model`, so that a README names no folder of somebody's machine.
MODEL = "$(calibench model)"


def describe_run(folder: Path) -> str:
    """Markdown with the command, n and the scores of every confidence task in a run's folder.

    Raises:
        FileNotFoundError: the folder has no results file or no logged samples.
    """
    results_file = _newest(folder, "results_*.json")
    results = json.loads(results_file.read_text(encoding="utf-8"))
    stamp = results_file.stem.removeprefix("results_")
    parts = []
    for task in sorted(results["configs"]):
        log = results_file.parent / f"samples_{task}_{stamp}.jsonl"
        if not log.is_file():
            raise FileNotFoundError(f"{log} is missing; run lm_eval with --log_samples.")
        # lm-eval gives what --metadata says to stock tasks too; only ours have every option.
        if Settings.model_fields.keys() <= (results["configs"][task].get("metadata") or {}).keys():
            parts.append(_describe_task(task, results, log))
    return "\n".join(parts)


def _describe_task(task: str, results: dict[str, Any], log: Path) -> str:
    columns: dict[str, tuple[list, list]] = {}
    for _, record in read_samples(log):
        confidence, correct = columns.setdefault(record["method"], ([], []))
        if record["correct"] is not None:
            confidence.append(record["confidence"])
            correct.append(record["correct"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an undefined score says so in its cell
        scores = {name: score(*pair, METRICS, method=name) for name, pair in columns.items()}
    first = next(iter(scores.values()))
    extra = _extra_metrics(results["results"][task])
    head = ["method", *METRICS[1:], *extra]
    lines = [
        f"`{task}`: {first['acc'].n} questions, {results['n-shot'][task]} examples, "
        f"`acc` {_cell(first['acc'])}",
        "",
        *_command(task, results),
        "",
        "| " + " | ".join(f"`{name}`" if name != "method" else name for name in head) + " |",
        "|---|" + "--:|" * (len(head) - 1),
    ]
    for name, found in scores.items():
        answered = columns[name][0]
        cells = [_cell(found[metric]) for metric in METRICS[1:-1]]
        cells.append(f"{sum(value is not None for value in answered)} of {len(answered)}")
        cells += [_theirs(results["results"][task], metric, name) for metric in extra]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(found: Score) -> str:
    if math.isnan(found.value):
        return "undefined"
    if math.isnan(found.low):
        return f"{found.value:.3f}"
    return f"{found.value:.3f} ({found.low:.3f}–{found.high:.3f})"


def _extra_metrics(summary: dict[str, Any]) -> list[str]:
    """Metrics that only this task has, in the order of the results file."""
    names = dict.fromkeys(key.partition(",")[0] for key in summary)
    return [name for name in names if name not in COMMON and "_stderr" not in name]


def _theirs(summary: dict[str, Any], metric: str, method: str) -> str:
    value = summary[f"{metric},{method}"]
    error = summary.get(f"{metric}_stderr,{method}")
    if not isinstance(value, (int, float)) or math.isnan(value):
        return "undefined"
    shown = isinstance(error, float) and not math.isnan(error)
    return f"{value:.3f} ± {error:.3f}" if shown else f"{value:.3f}"


def _command(task: str, results: dict[str, Any]) -> list[str]:
    config = results["config"]
    arguments = {**config["model_args"], "pretrained": MODEL}
    metadata = results["configs"][task]["metadata"]
    defaults = Settings().model_dump(mode="json")
    chosen = {key: metadata[key] for key in ("methods", "k") if metadata[key] != defaults[key]}
    if chosen.get("methods") == list(UNTRAINED):
        chosen["methods"] = "all"
    options = [f"--tasks {task} --num_fewshot {results['n-shot'][task]}"]
    if config["limit"]:
        options.append(f"--limit {config['limit']:g}")
    options.append(f"--batch_size {config['batch_size']}")
    if results.get("chat_template"):
        options.append("--apply_chat_template")
    return [
        f"    lm_eval run --model {config['model']} "
        f"--model_args {','.join(f'{key}={value}' for key, value in arguments.items())} \\",
        f"        --include_path $(calibench tasks) {' '.join(options)} \\",
        f"        --metadata '{json.dumps(chosen)}' --output_path runs --log_samples",
    ]


def _newest(folder: Path, pattern: str) -> Path:
    found = sorted(folder.rglob(pattern), key=lambda path: path.name)
    if not found:
        raise FileNotFoundError(f"{folder} holds no {pattern}; run lm_eval with --output_path.")
    return found[-1]


def write_readme(readme: Path, text: str) -> None:
    """Put `text` behind the marker in the section "A run" of `readme`.

    Raises:
        ValueError: the README has no such section with a marker.
    """
    old = readme.read_text(encoding="utf-8")
    section = re.compile(rf"({re.escape(HEADING)}\n.*?{re.escape(MARKER)}\n).*?(?=\n## |\Z)", re.S)
    if not section.search(old):
        raise ValueError(f"{readme} has no section {HEADING!r} with the line {MARKER!r} in it.")
    part = readme.with_name(f".{readme.name}.part")
    part.write_text(section.sub(lambda match: f"{match[1]}\n{text}", old), encoding="utf-8")
    os.replace(part, readme)


def main() -> None:
    """The command line: see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of one run")
    parser.add_argument("--readme", required=True, type=Path)
    arguments = parser.parse_args()
    write_readme(arguments.readme, "\n".join(map(describe_run, arguments.runs)))


if __name__ == "__main__":
    main()
