"""Records of a file or of a data set on the Hub: Dolly, Alpaca, prompt and completion, messages.

Instructions become a conversation of two turns, so that the recipe decides by which chat template
the model sees them. A prompt with a completion stays plain text.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from calib_adapters.data.prepare.row import Row, Source
from harness_tasks.rows import load_dataset
from harness_tasks.templates.table import read_table

SHARES = {"train": 0.9, "validation": 0.1}
# By format: the columns that are required, and the one that is optional.
FORMATS: Mapping[str, tuple[tuple[str, ...], str | None]] = {
    "messages": (("messages",), None),
    "dolly": (("instruction", "response"), "context"),
    "alpaca": (("instruction", "output"), "input"),
    "prompt_completion": (("prompt", "completion"), None),
}
COLUMNS = tuple(dict.fromkeys(n for need, more in FORMATS.values() for n in (*need, more) if n))
TURNS = ("system", "user", "assistant")
SHOWN = 10
WHOLE = "rows"  # the split of a file that has none
UNUSABLE = "cannot be used"

Turns = list[dict[str, str]]
Record = Mapping[str, Any]


def file_source(
    name: str, files: Mapping[str, Path], columns: Mapping[str, str], delimiter: str, drop: bool
) -> Source:
    """The records of CSV, TSV, JSON Lines or Parquet files.

    Args:
        name: what the rows call their task.
        files: by role; a file under `WHOLE` is divided.
        columns: the files' names of columns that have other names there.
        delimiter: put between a prompt and a completion that have no white space between them.
        drop: leave unusable records out, counted, instead of refusing the file.

    Raises:
        FileNotFoundError, ValueError: no file, a damaged one, or one in no known format.
    """
    tables = {split: read_table(path) for split, path in files.items()}
    formats = {
        split: _format(list(dict.fromkeys(n for row in rows for n in row)), columns, files[split])
        for split, rows in tables.items()
    }
    return Source(
        name=name,
        available=list(files),
        own={split: split for split in files if split != WHOLE},
        scored=None,
        shares=SHARES if WHOLE in files else {},
        read=lambda split: read_records(
            tables[split], files[split], formats[split], columns, delimiter, drop
        ),
        facts={
            "kind": "file",
            "files": {
                split: {
                    "file": path.name,
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                    "format": formats[split],
                }
                for split, path in files.items()
            },
        },
    )


def hub_source(name: str, columns: Mapping[str, str], delimiter: str, drop: bool) -> Source:
    """The records of a data set on the Hub, ``ID`` or ``ID:CONFIGURATION``.

    Raises:
        OSError, ValueError: there is no such data set, or its records are in no known format.
    """
    path, _, configuration = name.partition(":")
    loaded = load_dataset(path, configuration or None)
    own = {role: role for role in ("train", "validation", "test") if role in loaded}
    first = loaded[own.get("train") or next(iter(loaded))]
    found = _format(first.column_names, columns, name)

    def read(split: str) -> tuple[list[Row], Mapping[str, int]]:
        where = f"{name}, split {split!r}"
        return read_records(loaded[split], where, found, columns, delimiter, drop)

    return Source(
        name=path.split("/")[-1] + (f"_{configuration}" if configuration else ""),
        available=list(loaded),
        own=own,
        scored="test" if "test" in loaded else None,
        shares=SHARES,
        read=read,
        facts={
            "kind": "hub",
            "format": found,
            "dataset": {"path": path, **({"config": configuration} if configuration else {})},
        },
    )


def read_records(
    records: Sequence[Record],
    where: str | Path,
    format: str,
    columns: Mapping[str, str],
    delimiter: str,
    drop: bool,
) -> tuple[list[Row], Mapping[str, int]]:
    """The rows of records in one format, and how many were left out.

    Raises:
        ValueError: unusable records, unless `drop`; up to ten of them at once.
    """
    build = partial(_BUILD[format], delimiter=delimiter)
    rows, problems, ids = [], [], Counter()
    for place, record in enumerate(records):
        named = {name: record.get(columns.get(name, name)) for name in COLUMNS}
        try:
            content = build(named)
        except ValueError as error:
            problems.append(f"{where}, row {place + 1}: {error}")
            continue
        id = str(place + 1 if record.get("id") in (None, "") else record["id"])
        ids[id] += 1
        if ids[id] > 1:
            id = f"{id}#{ids[id]}"
        rows.append(Row(id=id, place=place, **content))
    if problems and not drop:
        more = f"\n… and {len(problems) - SHOWN} more." if len(problems) > SHOWN else ""
        raise ValueError(
            "\n".join(problems[:SHOWN])
            + f"{more}\nCorrect these records, or add --drop_unusable to leave them out."
        )
    return rows, ({UNUSABLE: len(problems)} if problems else {})


def _format(present: Sequence[str], columns: Mapping[str, str], where: str | Path) -> str:
    if unknown := columns.keys() - set(COLUMNS):
        raise ValueError(
            f"--column {min(unknown)}: there is no such column, only {', '.join(COLUMNS)}."
        )
    for format, (needed, _) in FORMATS.items():
        if all(columns.get(name, name) in present for name in needed):
            return format
    known = "; ".join(
        f"{format} ({', '.join(needed)}" + (f", optionally {more})" if more else ")")
        for format, (needed, more) in FORMATS.items()
    )
    raise ValueError(
        f"{where} has the columns {', '.join(present)}. Known are {known}. If columns have other "
        "names, give these with --column, such as --column output=answer."
    )


def _text(record: Record, name: str) -> str:
    value = record[name]
    if not isinstance(value, str) or not value.strip():
        shown = "empty" if value is None or value == "" or isinstance(value, str) else repr(value)
        raise ValueError(f"the {name} is {shown[:60]}; it must be a text.")
    return _whole(value, name)


def _whole(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can write what UTF-8 cannot
        raise ValueError(f"the {name} has half of a surrogate pair (\\ud800 to \\udfff).") from None
    return text


def instruction_content(
    record: Record, delimiter: str = "", needed: str = "output", more: str = "input"
) -> dict[str, Any]:
    """The fields of a `Row` for an instruction with its answer; the delimiter is not needed.

    Raises:
        ValueError: a text is missing; names the column.
    """
    request = _text(record, "instruction").strip()
    given = record[more]
    if given is not None and not isinstance(given, str):
        raise ValueError(f"the {more} is {given!r:.60}; it must be a text or absent.")
    if given and given.strip():
        request += f"\n\n{_whole(given, more).strip()}"
    reply = _text(record, needed).strip()
    return _conversation([{"role": "user", "content": request}], reply)


def _messages(record: Record, delimiter: str) -> dict[str, Any]:
    turns = record["messages"]
    if isinstance(turns, str):  # a cell of a CSV
        try:
            turns = json.loads(turns)
        except ValueError:
            raise ValueError("the messages are neither a list nor JSON.") from None
    if not isinstance(turns, list) or len(turns) < 2:
        raise ValueError("the messages must be a list of at least a question and a reply.")
    clean: Turns = []
    for number, turn in enumerate(turns, start=1):
        role = turn.get("role") if isinstance(turn, dict) else None
        if role not in TURNS:
            raise ValueError(
                f"message {number} has the role {role!r}; it must be one of {', '.join(TURNS)}."
            )
        if not isinstance(turn.get("content"), str) or not turn["content"].strip():
            raise ValueError(f"message {number} ({role}) has no text.")
        if role == "system" and number > 1:
            raise ValueError(f"message {number} is a system message, which can only be the first.")
        clean.append({"role": role, "content": _whole(turn["content"], f"message {number}")})
    if clean[-1]["role"] != "assistant" or clean[-2]["role"] != "user":
        raise ValueError("the last two messages must be a user's and the assistant's reply.")
    return _conversation(clean[:-1], clean[-1]["content"])


def _conversation(before: Turns, reply: str) -> dict[str, Any]:
    contents = [turn["content"] for turn in before if turn["role"] != "system"]
    return {
        "prompt": before[-1]["content"],
        "completion": reply,
        "messages": (*before, {"role": "assistant", "content": reply}),
        "subject": "\n".join(contents),
    }


def _prompt_completion(record: Record, delimiter: str) -> dict[str, Any]:
    prompt, completion = _text(record, "prompt"), _text(record, "completion")
    if not prompt[-1].isspace() and not completion[0].isspace():
        completion = delimiter + completion
    return {"prompt": prompt, "completion": completion, "subject": prompt}


_BUILD: Mapping[str, Callable[..., dict[str, Any]]] = {
    "messages": _messages,
    "dolly": partial(instruction_content, needed="response", more="context"),
    "alpaca": instruction_content,
    "prompt_completion": _prompt_completion,
}
