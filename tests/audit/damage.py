"""Changes of files and of values, each with what a command must do about it."""

from __future__ import annotations

import io
import itertools
import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

# Refused in a sentence; taken as the valid input is; or either of the two.
Expected = Literal["refused", "same", "any"]
Kind = Literal["csv", "jsonl", "log", "json", "yaml", "parquet"]
Change = tuple[str, bytes, Expected]
MISSING = object()
_TURNS = 6
_LONG = "0123456789"  # stands for a number with more digits than Python reads
VALUES: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "true": True,
    "-1": -1,
    "half": 0.5,
    "a huge integer": 10**400,
    "a huge negative integer": -(10**400),
    "an integer of 5,000 digits": _LONG,
    "infinity": float("inf"),
    "NaN": float("nan"),
    "an empty text": "",
    "a text": "x",
    "half a character": "\ud800",
    "a text of a megabyte": "a" * 2**20,
    "an empty list": [],
    "a list": [1],
    "an empty object": {},
    "an object": {"a": 1},
}


def damaged(content: bytes, kind: Kind) -> Iterator[Change]:
    """Yield changes of a file's bytes. A file of the kind "log" states how many rows it has."""
    text = kind != "parquet"
    yield "empty", b"", "refused"
    yield "white space", b" \n\n", "refused"
    yield "random bytes", random.Random(0).randbytes(2000), "refused"
    yield "zeros", bytes(2000), "refused"
    yield "a pickle", pickle.dumps({"a": os.getcwd}), "refused"
    yield "a zip archive", _zipped(content), "refused"
    yield "a PDF", b"%PDF-1.7\n" + content, "refused"
    yield "a web page", b"<!DOCTYPE html><html><body>404</body></html>\n", "refused"
    yield "one word", b"word\n", "refused"
    for seed in range(5):
        yield f"flipped bits, {seed}", _flipped(content, seed), "any"
    middle = len(content) // 2
    while content[middle - 1 : middle + 1].find(b"\n") >= 0:
        middle += 1
    within: Expected = "any" if kind in ("csv", "yaml") else "refused"
    yield "cut in the middle", content[:middle], within
    if not text:
        return
    lines = content.splitlines(keepends=True)
    whole = kind in ("csv", "jsonl", "yaml")
    kept = b"".join(lines[: -(len(lines) // 3)])
    yield "cut at the end of a line", kept, "any" if whole else "refused"
    yield "a byte order mark", b"\xef\xbb\xbf" + content, "same"
    yield "CRLF", content.replace(b"\n", b"\r\n"), "same"
    yield "UTF-16", content.decode().encode("utf-16"), "refused"
    yield "without the last line end", content.rstrip(b"\n"), "same"
    yield "blank lines at the end", content + b"\n\n", "same"
    yield "not UTF-8", content[:middle] + b"\xff" + content[middle:], "any"
    yield "a zero byte", content[:middle] + b"\0" + content[middle:], "any"
    yield "twice", content + content, "refused" if kind == "log" else "any"
    if kind == "csv":
        place = content.find(b"\n") + 1
        yield "an unclosed quote", content[:place] + b'"' + content[place:], "refused"
        last = content.rstrip(b"\n").rfind(b"\n") + 1
        yield "an unclosed quote at the end", content[:last] + b'"' + content[last:], "refused"
        yield "a cell too many", content.rstrip(b"\n") + b",extra\n", "refused"
        yield "a cell too few", content + content.splitlines()[1].rpartition(b",")[0], "refused"
    else:
        yield "nested deeply", b"[" * 100_000 + b"\n" + content, "refused"
        yield "nested deeply in an object", b'{"a":' * 100_000 + b"\n", "refused"
    if kind in ("jsonl", "log"):
        rows = [json.loads(line) for line in lines]
        old: Expected = "any" if kind == "log" else "refused"  # lm-eval 0.4.0 wrote arrays
        yield "one array", json.dumps(rows).encode(), old
        yield "over several lines", json.dumps(rows[0], indent=1).encode(), "refused"
        for value in ("null", "1", '"text"', "[]", "NaN"):
            yield f"a line {value}", content + value.encode() + b"\n", "refused"
        yield "an empty object", content + b"{}\n", "refused" if kind == "log" else "any"
    elif kind in ("json", "yaml"):
        for value in ("null", "1", '"text"', "[]", "{}", "NaN", "[1, 2]"):
            yield f"the value {value}", value.encode(), "refused"


def places(file: Path, write: Callable[[], None]) -> Iterator[tuple[str, Expected]]:
    """Put something else at the path of a file, which `write` writes; yield what it is.

    "unreadable" is to be tried without the privileges of root.
    """
    there = file.with_name(f"target_{file.name}")

    def link(target: Path) -> None:
        file.symlink_to(target)

    write()
    os.replace(file, there)
    kinds: list[tuple[str, Callable[[], None], Expected]] = [
        ("missing", lambda: None, "refused"),
        ("a folder", file.mkdir, "refused"),
        ("a link", lambda: link(there), "same"),
        ("a link to nothing", lambda: link(file.with_name("nothing")), "refused"),
        ("a link to itself", lambda: link(file), "refused"),
        ("a pipe without a writer", lambda: os.mkfifo(file), "refused"),
        ("a link to /dev/zero", lambda: link(Path("/dev/zero")), "refused"),
        ("a link to /dev/null", lambda: link(Path("/dev/null")), "refused"),
        ("unreadable", lambda: (write(), file.chmod(0))[0], "refused"),
    ]
    for what, make, expected in kinds:
        make()
        yield what, expected
        if file.is_dir() and not file.is_symlink():
            file.rmdir()
        else:
            file.unlink(missing_ok=True)


def changed(
    value: Any, expected: Callable[[tuple[Any, ...], str], Expected], depth: int = 4
) -> Iterator[tuple[str, Any, Expected]]:
    """Yield copies of a JSON value with one part of it replaced by one of `VALUES`.

    By all that must be refused or taken; of those that may be either, a part gets three, by turns.
    expected: what must happen, given the path of the part and the name in `VALUES`.
    """
    turns = itertools.cycle(range(_TURNS))
    for path in _paths(value, depth):
        turn = next(turns)
        for place, (name, new) in enumerate(VALUES.items()):
            if expected(path, name) == "any" and place % _TURNS != turn:
                continue
            copy = json.loads(json.dumps(value))
            owner = copy
            for step in path[:-1]:
                owner = owner[step]
            if new is MISSING:
                del owner[path[-1]]
            else:
                owner[path[-1]] = new
            yield f"{'.'.join(map(str, path))}: {name}", copy, expected(path, name)


def to_json(value: Any) -> str:
    """Return JSON, with a number of 5,000 digits for what stands for one."""
    return json.dumps(value).replace(f'"{_LONG}"', "9" * 5000)


def _paths(value: Any, depth: int) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = list(enumerate(value))[:2]  # one element is like the others
    else:
        return
    for key, part in parts:
        yield (key,)
        if depth > 1:
            yield from ((key, *rest) for rest in _paths(part, depth - 1))


def _flipped(content: bytes, seed: int) -> bytes:
    draw, flipped = random.Random(seed), bytearray(content)
    for _ in range(max(3, len(content) // 500)):
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(flipped)


def _zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("data", content)
    return packed.getvalue()
