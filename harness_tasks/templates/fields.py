"""The fields that a template adds to the rows of a table, and its texts for the task file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness_tasks.templates.scores import ANSWER_METRICS, TEXT_METRICS
from harness_tasks.templates.table import shown

Rows = list[dict[str, Any]]

SCORES = "!function harness_tasks.templates.scores"
MOST_LABELS = 100
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def plural(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its references under the plural name."""
    return {("references" if key == "reference" else key): value for key, value in row.items()}


def classify(rows: Rows, data: Path) -> dict[str, str]:
    """Number the labels in `rows`, and give the task file's list of them and its prompt.

    Raises:
        ValueError: there is one label, or so many that they look like texts.
    """
    labels = sorted({row["label"].strip() for row in rows})
    if len(labels) < 2:
        raise ValueError(f"{data}: all labels are {labels[0]!r}; there is nothing to tell apart.")
    if len(labels) > MOST_LABELS:
        raise ValueError(
            f"{data}: there are {len(labels)} different labels in {len(rows)} rows, which looks "
            f"like texts rather than classes; name the right column with --column label=NAME."
        )
    for row in rows:
        row["label"] = row["label"].strip()
        row["gold"] = labels.index(row["label"])
    prompt = f"{{{{text}}}}\n\nWhich of these labels fits: {_escaped(', '.join(labels))}?\nLabel:"
    return {"labels": f"[{', '.join(map(quoted, labels))}]", "prompt": quoted(prompt)}


def customise(rows: Rows, table: Rows, reference: str, prompt: str, data: Path) -> Rows:
    """Keep the other columns of the file too, and try the prompt on every row.

    Raises:
        ValueError: the prompt is empty, the same for all rows or cannot be filled in, or a column
            holds values of several types; names file, row and column.
    """
    from jinja2 import TemplateSyntaxError

    from harness_tasks.templates.prompts import renderer

    try:
        render = renderer(prompt)
    except TemplateSyntaxError as error:
        raise ValueError(f"--prompt is not a valid template: {str(error).rstrip('.')}.") from None
    except RecursionError:
        raise ValueError("--prompt is not a valid template: it is nested too deeply.") from None
    names = dict.fromkeys(name for row in table for name in row if name != reference)
    whole, prompts = [], set()
    for number, (source, row) in enumerate(zip(table, rows, strict=True), start=1):
        kept = {name: _plain(source.get(name)) for name in names}
        whole.append({**kept, **plural(row)})
        try:
            prompts.add(text := render(whole[-1]))
        except Exception as error:  # a user's template may raise anything
            reason = str(error).rstrip(".") or "it takes too much memory"
            raise ValueError(
                f"{data}, row {number}: the prompt cannot be filled in: {reason}."
            ) from None
        if not text.strip():
            raise ValueError(f"{data}, row {number}: the prompt is empty.")
    if len(prompts) < 2 <= len(rows):
        raise ValueError(
            f"{data}: --prompt gives the same text for every row; use a column in it, such as "
            f"{{{{{next(iter(names), 'question')}}}}}."
        )
    _check_types(whole, data)
    return whole


def _plain(value: Any) -> Any:
    """A value that JSON can hold; NaN becomes null, a date or a decimal number its text."""
    if isinstance(value, float) and value != value:
        return None
    known = (str, int, float, bool, list, dict, type(None))
    return value if isinstance(value, known) else str(value)


def _check_types(rows: Rows, data: Path) -> None:
    """Check that every column has one type, nested or not; name the row that breaks this."""
    for name in rows[0]:
        values = [row[name] for row in rows]
        if _is_one_type(values):
            continue
        number = next(n for n in range(1, len(values) + 1) if not _is_one_type(values[:n]))
        raise ValueError(
            f"{data}, row {number}, column {name!r}: {shown(values[number - 1])} does not fit the "
            f"rows before it: another type, too large a number or broken text; write the whole "
            f"column as text, or as numbers."
        )


def _is_one_type(values: list[Any]) -> bool:
    import pyarrow as pa

    try:
        pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return False
    return True


def choose_best_answers(rows: Rows, data: Path) -> None:
    """Let the first correct answer be the best one where none is named.

    Raises:
        ValueError: an answer is both correct and incorrect; names the row.
    """
    for number, row in enumerate(rows, start=1):
        if both := set(row["correct_answers"]) & set(row["incorrect_answers"]):
            raise ValueError(
                f"{data}, row {number}: {shown(min(both))} is among the correct and among the "
                f"incorrect answers; take it out of one."
            )
        row["best_answer"] = row["best_answer"] or row["correct_answers"][0]


def keep_answers_of_all_or_none(rows: Rows, column: str, data: Path) -> None:
    """Take the answers out of `rows` if there are none.

    Raises:
        ValueError: some rows have an answer and one has not; names the first.
    """
    without = [number for number, row in enumerate(rows, start=1) if row["answer"] is None]
    if len(without) == len(rows):
        for row in rows:
            del row["answer"]
    elif without:
        raise ValueError(
            f"{data}, row {without[0]}, column {column!r}: the cell is empty, but other rows have "
            f"an answer; fill it or delete the row."
        )


def metric_lines(names: Sequence[str]) -> dict[str, str]:
    """The metrics as metrics.py lists them, and their lines in the task file.

    Raises:
        ValueError: there is no such metric.
    """
    names, lines = tuple(dict.fromkeys(names)), []
    for name in names:
        if name not in TEXT_METRICS:
            raise ValueError(f"{name!r} is not one of {', '.join(TEXT_METRICS)}.")
        for each in (name, "bleu_stderr") if name == "bleu" else (name,):
            aggregation = "mean" if name in ANSWER_METRICS else f"{SCORES}.{each}"
            lines.append(
                f"  - {{metric: {each}, aggregation: {aggregation}, higher_is_better: true}}"
            )
    return {"names": repr(names), "metrics": "\n".join(lines)}


def quoted(text: str) -> str:
    """A YAML scalar that is read as exactly `text`; all but control characters stay as they are."""
    # JSON leaves some characters unescaped that YAML refuses or treats as line breaks.
    bare = json.dumps(text, ensure_ascii=False)
    return _NOT_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", bare)


def _escaped(text: str) -> str:
    """Escape braces in a label, so that they do not become Jinja."""
    return "{{" + json.dumps(text, ensure_ascii=False) + "}}" if re.search(r"[{}]", text) else text
