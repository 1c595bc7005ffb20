"""Write a task folder for a user's own data: YAML, data, the loader, a README with the command."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

import harness_tasks.judge
from harness_tasks.templates.fields import (
    choose_best_answers,
    classify,
    customise,
    keep_answers_of_all_or_none,
    metric_lines,
    plural,
    quoted,
)
from harness_tasks.templates.readme import readme
from harness_tasks.templates.table import Column, read_table, select
from harness_tasks.whole_folder import whole_folder

HERE = Path(__file__).parent
JUDGE = Path(harness_tasks.judge.__file__).parent


@dataclass(frozen=True)
class Template:
    """What a template reads and which task files it writes.

    Attributes:
        columns: the columns it reads.
        files: name of each task file, with ``@task@`` for the task, and the text it is made from.
        loader: body of data.py's function ``load``.
    """

    columns: tuple[Column, ...]
    files: Mapping[str, str]
    loader: str = "load_rows"


REFERENCES = Column("reference", kind="texts")
TEMPLATES = {
    "general": Template((Column("prompt"), REFERENCES), {"@task@.yaml": "general_yaml"}),
    "llm_as_judge": Template(
        (
            Column("prompt"),
            Column("reference", kind="texts", required=False),
            Column("answer", required=False),
        ),
        {"@task@.yaml": "llm_as_judge_yaml"},
    ),
    "truthfulqa": Template(
        (
            Column("question"),
            Column("best_answer", required=False),
            Column("correct_answers", kind="texts", separator=";"),
            Column("incorrect_answers", kind="texts", separator=";"),
        ),
        {
            "@task@.yaml": "truthfulqa_yaml",
            "@task@_gen.yaml": "truthfulqa_gen_yaml",
            "@task@_mc1.yaml": "truthfulqa_mc1_yaml",
            "@task@_mc2.yaml": "truthfulqa_mc2_yaml",
        },
        "load_truthfulqa",
    ),
    "classification": Template(
        (Column("text"), Column("label")), {"@task@.yaml": "classification_yaml"}
    ),
    "confidence": Template((Column("question"), REFERENCES), {"@task@.yaml": "confidence_yaml"}),
    "custom": Template((REFERENCES,), {"@task@.yaml": "custom_yaml"}),
}


def write_task(
    template: str,
    data: Path,
    output: Path,
    *,
    name: str | None = None,
    columns: Mapping[str, str] | None = None,
    prompt: str | None = None,
    metrics: Sequence[str] = ("exact_match", "f1"),
) -> int:
    """Check a table and write a task folder for it, which lm-eval finds with --include_path.

    Args:
        template: one of `TEMPLATES`.
        data: CSV, TSV, JSON Lines or Parquet; read completely, and copied into the folder.
        output: the folder; it must not exist, or be empty.
        name: of the task; the folder's name by default.
        columns: the file's column for each role that has another name there.
        prompt: Jinja template over the file's columns, for ``custom``.
        metrics: of ``custom``, from `TEXT_METRICS`.

    Returns:
        The number of rows.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a row or an option is unusable; see `table.select`. Nothing is written then.
    """
    name = name or output.resolve().name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(
            f"{name!r} cannot name a task: use letters, digits, '_', '-' and '.', or give the task "
            f"another name than the folder with --name."
        )
    if not isinstance(yaml.safe_load(name), str):
        raise ValueError(f"{name!r} cannot name a task: YAML reads it as a value; add a letter.")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(f"{output} exists already; delete it or choose another folder.")
    if (prompt is not None) != (template == "custom"):
        raise ValueError("--prompt belongs to the template custom, which needs one.")
    columns = columns or {}
    table = read_table(data)
    rows = select(table, TEMPLATES[template].columns, columns, data)
    values = {"task": name, "loader": TEMPLATES[template].loader}
    if template == "classification":
        values |= classify(rows, data)
    elif template == "custom":
        rows = customise(rows, table, columns.get("reference", "reference"), prompt, data)
        values |= {"prompt": quoted(prompt), **metric_lines(metrics)}
    elif template == "truthfulqa":
        choose_best_answers(rows, data)
    elif template == "llm_as_judge":
        keep_answers_of_all_or_none(rows, columns.get("answer", "answer"), data)
    rows = [plural(row) for row in rows]
    answered = template == "llm_as_judge" and "answer" in rows[0]
    files = _task_files(template, values, answered)
    files["data.jsonl"] = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    files["README.md"] = readme(template, name, output, data.name, rows, sorted(files), answered)
    _write(output, files)
    return len(rows)


def _task_files(template: str, values: Mapping[str, str], answered: bool) -> dict[str, str]:
    """The folder's files by name, but for data and README.

    answered: the answers to judge are in the data, so no task asks for them.
    """
    files = {}
    for file, source in TEMPLATES[template].files.items() if not answered else ():
        files[file.replace("@task@", values["task"])] = _filled(source, values)
    files["data.py"] = _filled("data_py", values)
    if template == "llm_as_judge":
        files |= _judge_files(values["task"])
        files["data.py"] += _filled("data_judge_py", values)
    if template == "custom":
        files["metrics.py"] = _filled("metrics_py", values)
    return files


def _judge_files(name: str) -> dict[str, str]:
    """The judge's own task files under the new task's name, reading through the new data.py."""
    files = {}
    for source in sorted([*JUDGE.glob("*.yaml"), *JUDGE.glob("*_yaml")]):
        text = source.read_text(encoding="utf-8")
        text = text.replace("calib_judge", f"{name}_judge")
        text = text.replace("harness_tasks.judge.answers.load_pairs", "data.load_pairs")
        text = text.replace("harness_tasks.judge.answers.load", "data.load_answers")
        files[source.name.replace("calib_judge", f"{name}_judge")] = text
    return files


def _filled(source: str, values: Mapping[str, str]) -> str:
    """A file beside this one, with `values` inserted at @name@."""
    text = (HERE / source).read_text(encoding="utf-8")
    # All at once: an inserted value may itself look like @name@.
    return re.sub(r"@(\w+)@", lambda found: values[found[1]], text)


def _write(output: Path, files: Mapping[str, str]) -> None:
    """Write all files; the folder appears once all are there."""
    with whole_folder(output.resolve()) as folder:
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
