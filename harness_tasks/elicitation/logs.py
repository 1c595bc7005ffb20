"""lm-eval's output on disk: the names of its files, and their content as JSON objects.

lm-eval writes ``results_STAMP.json`` and, beside it, a log ``samples_TASK_STAMP.jsonl`` for each
task, with the task's name unchanged. All code that reads them, for a leaderboard, a graded dataset
or a judge, uses this module and `records`. Source: ``EvaluationTracker`` of lm-eval 0.4.13.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LONGEST_LINE = 64 * 2**20  # bytes; a question with everything that was asked about it
_PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "compressed by gzip",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
}


def log_of(results: Path, task: str) -> Path:
    """Where lm-eval puts the log of `task`, given the file of its results.

    >>> log_of(Path("runs/results_2026-01-02T03-04-05.6.json"), "my-task").name
    'samples_my-task_2026-01-02T03-04-05.6.jsonl'
    """
    return results.parent / f"samples_{task}_{results.stem.removeprefix('results_')}.jsonl"


def results_of(log: Path, task: str) -> Path | None:
    """The results file beside the log of `task`; None if there is none, or the log has a new name.

    With ``--output_path NAME.json``, lm-eval calls it ``NAME_STAMP.json``.
    """
    if not log.name.startswith(f"samples_{task}_"):
        return None
    stamp = log.stem.removeprefix(f"samples_{task}_")
    named = sorted(log.parent.glob(f"*_{glob.escape(stamp)}.json"))
    places = (log.with_name(f"results_{stamp}.json"), *named)
    return next((path for path in places if path.is_file()), None)


def find_log(path: str | Path, key: str, instead: str, task: str = "") -> Path:
    """A log of lm-eval: `path` itself, or the one ``samples_*.jsonl`` below the folder `path`.

    Args:
        path: file or folder.
        key: the metadata key that names it, for errors.
        instead: what to do if there is none.
        task: only logs of this task count.

    Raises:
        FileNotFoundError: there is none.
        ValueError: there are several.
    """
    root = Path(path).expanduser()
    if root.is_file():
        return root
    pattern = f"samples_{glob.escape(task)}_[0-9]*.jsonl" if task else "samples_*.jsonl"
    found = sorted(root.rglob(pattern))
    if task:  # "samples_a_2_STAMP" is a log of the task "a_2", not of "a"
        found = [file for file in found if "_" not in file.stem.removeprefix(f"samples_{task}_")]
    if not found:
        names = f"samples_{task}_*.jsonl" if task else pattern
        raise FileNotFoundError(f"{key}: {path} holds no {names}; {instead}")
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ValueError(f"{key}: {path} holds several logs ({names}). Name one file.")
    return found[0]


def read_objects(
    path: Path, update: Callable[[bytes], None] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON Lines, each with its line number; blank lines are skipped.

    Args:
        path: the file; a byte order mark at its beginning is left out.
        update: is called with the bytes of every line, for a hash.

    Raises:
        ValueError: a line is too long, not UTF-8, or not a JSON object; names file and line.
    """
    with path.open("rb") as lines:
        parts = iter(lambda: lines.readline(LONGEST_LINE + 1), b"")
        for number, line in enumerate(parts, start=1):
            where = f"'{path}', line {number}"
            if number == 1:
                _refuse_packed(path, line)
            if len(line) > LONGEST_LINE:
                raise ValueError(
                    f"{where} is longer than {LONGEST_LINE:,} bytes; is this a log of lm_eval?"
                )
            if update is not None:
                update(line)
            if not (text := decode(line, where)).strip():
                continue
            try:
                found = parse_object(text, where)
            except ValueError as error:
                if number == 1:
                    _refuse_pretty(path)
                raise error
            yield number, found


def read_object(path: Path) -> tuple[dict[str, Any], bytes]:
    """The one JSON object that a file holds, such as a results file, and the file's bytes.

    Raises:
        ValueError: the file is not UTF-8, or not a JSON object.
    """
    content = path.read_bytes()
    _refuse_packed(path, content)
    return parse_object(decode(content, f"'{path}'"), f"'{path}'"), content


def model_arguments(results: dict[str, Any]) -> dict[str, Any]:
    """The --model_args of a results file, which has them as a mapping or as "key=value,key=value".

    Empty where the file does not say.
    """
    config = results.get("config")
    arguments = config.get("model_args") if isinstance(config, dict) else None
    if isinstance(arguments, str):
        from lm_eval.utils import simple_parse_args_string

        return simple_parse_args_string(arguments)
    return dict(arguments) if isinstance(arguments, dict) else {}


def decode(content: bytes, where: str) -> str:
    """UTF-8 text, as lm-eval writes it, without a byte order mark.

    Raises:
        ValueError: it is in another encoding; begins with `where`.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where} is not UTF-8 text (byte 0x{content[error.start]:02x} at {error.start}), "
            "which lm-eval writes: was the file converted? Give the original."
        ) from error


def parse_object(text: str, where: str) -> dict[str, Any]:
    """The JSON object in `text`.

    Raises:
        ValueError: it is anything else; begins with `where`.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{where}: not valid JSON ({error}); the file is cut off or damaged, run the "
            "evaluation again."
        ) from error
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected a JSON object, found {type(value).__name__}.")
    return value


def _refuse_packed(path: Path, head: bytes) -> None:
    for magic, what in _PACKED.items():
        if head.startswith(magic):
            raise ValueError(f"'{path}' is {what}: unpack it and give the file inside.")


def _refuse_pretty(path: Path) -> None:
    """Raise ValueError if the first line begins JSON that continues in the next lines."""
    with path.open("rb") as file:
        text = file.read(LONGEST_LINE).decode("utf-8-sig", errors="replace").lstrip()
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return
    if "\n" in text[:end]:
        raise ValueError(
            f"'{path}' is JSON written over several lines, and lm_eval logs one object per line "
            "(JSON Lines): give the file as lm_eval wrote it, or bring it into that form with "
            "`jq -c .`."
        )
