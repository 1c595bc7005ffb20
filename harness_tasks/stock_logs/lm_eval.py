"""Logs of lm-eval's own multiple-choice tasks, of version 0.4.0 and later, as tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from harness_tasks.elicitation.logs import read_object, results_of
from harness_tasks.elicitation.records import check_count, is_number, parse_record
from harness_tasks.stock_logs.choices import read_choices
from harness_tasks.stock_logs.content import NoConfidence, Source, name_of, objects
from harness_tasks.stock_logs.options import Question, form_of, read_question
from harness_tasks.stock_logs.table import Column, LogTable, columns_of, key_of

_PACKED = re.compile(r"\.(gz|zst|bz2)$")
_STAMPED = re.compile(r"samples_(.+)_\d{4}-\d\d-\d\dT[\d.:-]+")
_AGREE = 1e-9
_LARGEST = 64 * 2**20  # bytes of a results file; a run of all of MMLU has less than one MiB
_NO_CONFIDENCE = (
    "the answers were generated and scored by {metrics}, and the log holds no confidence in them. "
    "Ask for one: run the task of Calibench for this data set (`calibench tasks`), or make one for "
    "your own data with `calibench template confidence`."
)
_ONE_CONTINUATION = (
    "one continuation was scored for each question, so there are no options to compare, and its "
    "likelihood is not a confidence in an answer of the model. Run a multiple-choice or a "
    "Calibench task (`calibench tasks`)."
)


def is_ours(source: Source) -> bool:
    """Whether a log's first row is one of a confidence task, which has a reader of its own."""
    for _, row in objects(source):
        return parse_record(row) is not None
    return False


def read_table(source: Source, method: str = "") -> LogTable:
    """Read a log whose rows hold the log-likelihoods of options.

    source: samples_TASK_STAMP.jsonl (also compressed), a JSON array of version 0.4.0 to 0.4.2, or
    Parquet of the same columns, as the Hub makes from logs. method: as in `read_choices`.
    Raises ValueError if the log holds no options or is damaged, or if lm-eval's own verdicts or
    scores differ from those that the likelihoods give.
    """
    name = name_of(source)
    questions: list[Question] = []
    keys: list[str] = []
    first: dict[str, Any] = {}
    seen: set[tuple[str, Any]] = set()
    filters: dict[str, None] = {}
    for where, row in objects(source):
        form = form_of(row, where)
        if form != "options":
            raise NoConfidence(f"{where if questions else name}: {_why_none(form, row)}")
        key = _key(row, where)
        if key in seen:
            raise ValueError(
                f"{where}: document {key[1]} occurs twice; the file holds several runs, or was "
                "changed."
            )
        seen.add(key)
        filters[key[0]] = None
        keys.append(key_of(_document(row) or row.get("arguments")))
        first = first or row
        questions.append(read_question(row, where))
    if not questions:
        raise ValueError(f"{name} holds no samples; run the evaluation again.")
    if len(filters) > 1:
        raise ValueError(
            f"{name} holds the filters {', '.join(filters)}; give a log with one of them."
        )
    task, results_file, results = _results(source, _of_lists(first))
    read = read_choices(questions, method, _delimiters(results, task))
    notes = [_written_by(source, results, first), *read.notes]
    if results_file is not None and isinstance(source, Path):
        scored_by = next(iter(filters)) or "none"
        _check_scores(source, results_file, results, task, scored_by, read.columns)
    fields = [
        {**_document(each.row), "doc_id": each.row.get("doc_id"), "task": task}
        for each in questions
    ]
    heading = "standard input" if isinstance(source, bytes) else source.name
    return LogTable(
        heading,
        name,
        read.columns,
        columns_of(fields),
        tuple(notes),
        _group(results, task),
        probabilities=True,
        keys=tuple(keys),
    )


def _document(row: dict[str, Any]) -> dict[str, Any]:
    document = row.get("doc")
    return document if isinstance(document, dict) else {}


def _key(row: dict[str, Any], where: str) -> tuple[str, Any]:
    """Return the filter and the number of a row's document, either of which may be missing."""
    name, number = row.get("filter"), row.get("doc_id")
    if name is not None and not isinstance(name, str):
        raise ValueError(f"{where}: the filter is {name!r:.60}, not a name; the file was changed.")
    if isinstance(number, (list, dict)):
        raise ValueError(
            f"{where}: doc_id is {number!r:.60}, not the number of a document; the file was "
            "changed."
        )
    return name or "", number


def _why_none(form: str, row: dict[str, Any]) -> str:
    if form == "generated":
        listed = row.get("metrics")
        if not isinstance(listed, list) or not listed:
            listed = [key for key in ("exact_match", "acc", "f1", "bleu") if key in row]
        metrics = listed or ["its own metric"]
        return _NO_CONFIDENCE.format(metrics=", ".join(map(str, metrics)))
    if form == "whole texts":
        return "the likelihoods of whole texts (perplexity) say nothing about answers."
    return _ONE_CONTINUATION


def _of_lists(row: dict[str, Any]) -> bool:
    """Whether a row has the form of 0.4.2 and older."""
    return isinstance(row.get("arguments"), list)


def _results(source: Source, old: bool) -> tuple[str, Path | None, dict[str, Any]]:
    """Return a log's task, and the results file beside it with its content, if there is one."""
    if isinstance(source, bytes):
        return "standard input", None, {}
    plain = source.with_name(_PACKED.sub("", source.name))
    if stamped := _STAMPED.fullmatch(plain.stem):
        task = stamped[1]
        file = results_of(plain, task)
        return task, file, read_object(file)[0] if file else {}
    # Until 0.4.2: "MODEL ARGUMENTS_TASK.jsonl", beside one results.json.
    for file in sorted(source.parent.glob("*.json")) if old else ():
        try:
            content = read_object(file)[0] if file.stat().st_size <= _LARGEST else {}
        except ValueError:
            continue
        names = content.get("results")
        names = names if isinstance(names, dict) else {}
        tasks = [task for task in names if plain.stem.endswith(f"_{task}")]
        if tasks:
            return max(tasks, key=len), file, content
    return plain.stem, None, {}


def _section(results: dict[str, Any], section: str, task: str) -> Any:
    found = results.get(section)
    return found.get(task) if isinstance(found, dict) else None


def _delimiters(results: dict[str, Any], task: str) -> list[str]:
    """Return what may stand before an option: the task's delimiter, nothing under a template."""
    config = _section(results, "configs", task)
    delimiter = config.get("target_delimiter") if isinstance(config, dict) else None
    return list(dict.fromkeys([delimiter if isinstance(delimiter, str) else " ", " ", ""]))


def _written_by(source: Source, results: dict[str, Any], row: dict[str, Any]) -> str:
    version = results.get("lm_eval_version")
    if isinstance(version, str) and re.match(r"\d", version):
        return f"Logged by lm_eval {version}."
    if _of_lists(row):
        return "Logged by lm_eval 0.4.2 or older, as its form says."
    if "filter" not in row:
        return "Logged by lm_eval 0.4.3 to 0.4.6, as its form says."
    return "Logged by lm_eval 0.4.7 or newer, as its form says; no results file names the version."


def _check_scores(
    log: Path,
    file: Path,
    results: dict[str, Any],
    task: str,
    scored_by: str,
    columns: dict[str, Column],
) -> None:
    """Raise ValueError if the results file has other questions or other accuracies."""
    first = next(iter(columns.values()))
    counts = _section(results, "n-samples", task)
    asked = counts.get("effective") if isinstance(counts, dict) else None
    check_count(log, first.correct.size, asked, file)
    scores = _section(results, "results", task)
    for name, column in columns.items():
        printed = scores.get(f"{name},{scored_by}") if isinstance(scores, dict) else None
        accuracy = float(np.mean(column.correct))
        if is_number(printed) and not (0 <= printed <= 1 and abs(printed - accuracy) <= _AGREE):
            raise ValueError(
                f"'{log}': its samples give {name} = {accuracy:.6f}, but '{file.name}' says "
                f"{printed!r:.20}; one of the files was changed or is of another run."
            )


def _group(results: dict[str, Any], task: str) -> str | None:
    """Return the outermost group that a task was run in."""
    groups = results.get("group_subtasks")
    if not isinstance(groups, dict):  # 0.4.0 and 0.4.1 have it in the task's configuration
        config = _section(results, "configs", task)
        group = config.get("group") if isinstance(config, dict) else None
        return group if isinstance(group, str) else None
    above = {
        child: name
        for name, children in groups.items()
        if isinstance(children, list)
        for child in children
        if isinstance(child, str)
    }
    found, seen = None, {task}
    name = above.get(task)
    while name is not None and name not in seen:  # a damaged file may contain a cycle
        seen.add(name)
        found, name = name, above.get(name)
    return found
