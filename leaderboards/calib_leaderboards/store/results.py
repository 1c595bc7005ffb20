"""Finds lm-eval's results files below the folders given, and reads what may be anyone's bytes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calib_leaderboards.runs import Run

LARGEST_RESULTS = 64 * 2**20  # bytes; a run of all of MMLU has less than one MiB


def find_results(folders: Sequence[Path]) -> list[Run]:
    """Read every results_*.json at any depth below the folders, without the sample logs.

    The runs come in the order of their names and content, whatever the order of `folders`.

    Raises FileNotFoundError for a folder that is none or holds no results, and ValueError for a
    file that is too large, is no JSON of lm-eval, or is a link that leads out of its folder.
    """
    found: dict[Path, Path] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise FileNotFoundError(
                f"'{folder}' is not a folder; give the --output_path of an lm-eval run."
            )
        files = sorted(folder.rglob("results_*.json"))
        if not files:
            raise FileNotFoundError(
                f"No results_*.json below '{folder}'; run lm_eval with --output_path and "
                "--log_samples."
            )
        for file in files:
            found.setdefault(check_file(file, folder), file)
    runs = [_read(file) for file in found.values()]
    return sorted(runs, key=lambda run: (run.path.name, run.sha256))


def check_file(file: Path, folder: Path) -> Path:
    """The file's real path. Raises ValueError unless it is a regular file below `folder`."""
    real = file.resolve()
    if not real.is_relative_to(folder.resolve()):
        raise ValueError(
            f"'{file}' is a symbolic link that leads out of '{folder}'; copy the file there, or "
            "give the folder that it leads to."
        )
    if not file.is_file():
        raise ValueError(f"'{file}' is no regular file; remove it or give another folder.")
    return real


def tasks_of(run: Run) -> list[str]:
    """The tasks in a results file; groups, which have scores but no configuration, are none."""
    return sorted(set(run.results["results"]) & set(run.results["configs"]))


def log_of(run: Run, task: str) -> Path:
    """Where lm-eval puts the samples of a task: beside the results, with their time."""
    stamp = run.path.name[len("results_") : -len(".json")]
    name = re.sub(r"\W", "_", task)  # as lm-eval names the file
    return run.path.with_name(f"samples_{name}_{stamp}.jsonl")


def decode(content: bytes, where: str) -> str:
    """UTF-8 text, as lm-eval writes it; a byte order mark is left out. Raises ValueError."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where} is not UTF-8 text (byte 0x{content[error.start]:02x} at {error.start}), "
            "which lm-eval writes: was the file converted? Give the original."
        ) from error


def parse_object(text: str, where: str) -> dict[str, Any]:
    """The JSON object in `text`. Raises ValueError for anything else."""
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


def _read(path: Path) -> Run:
    if (size := path.stat().st_size) > LARGEST_RESULTS:
        raise ValueError(
            f"'{path}' has {size:,} bytes; results files of lm-eval are far below the limit of "
            f"{LARGEST_RESULTS:,}. Is it a sample log, or another program's file?"
        )
    content = path.read_bytes()
    results = _printable(parse_object(decode(content, f"'{path}'"), f"'{path}'"))
    sections = ("results", "configs", "config", "versions", "n-shot", "n-samples")
    wrong = [name for name in sections if not isinstance(results.get(name), dict)]
    if wrong:
        raise ValueError(
            f"'{path}' is not a whole results file of lm_eval: it has no mapping "
            f"'{wrong[0]}'. Run the evaluation again or remove the file."
        )
    arguments = results["config"].get("model_args")
    if not isinstance(arguments, (dict, str, type(None))):
        raise ValueError(
            f"'{path}' is not a whole results file of lm_eval: 'model_args' is {arguments!r}. Run "
            "the evaluation again or remove the file."
        )
    run = Run(path, hashlib.sha256(content).hexdigest(), results)
    for task in tasks_of(run):
        for section in ("results", "configs"):
            if not isinstance(results[section][task], dict):
                raise ValueError(
                    f"'{path}' is not a whole results file of lm_eval: '{section}' of {task} is no "
                    "mapping. Run the evaluation again or remove the file."
                )
    return run


def _printable(value: Any) -> Any:
    """With a question mark for each lone surrogate, which JSON can write and UTF-8 cannot hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_printable(key): _printable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_printable(part) for part in value]
    return value
