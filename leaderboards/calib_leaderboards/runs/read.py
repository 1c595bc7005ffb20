"""Find lm-eval's results files below the given folders, and validate them while reading."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calib_leaderboards.runs.environment import date_of, hardware_of, seconds_of, versions_of
from calib_leaderboards.runs.model import read_adapters, read_model
from calib_leaderboards.runs.run import Run, Task
from calib_leaderboards.runs.values import number, printable, text
from harness_tasks.elicitation.logs import model_arguments, read_object
from harness_tasks.elicitation.records import is_number

LARGEST_RESULTS = 64 * 2**20  # bytes; a run of all of MMLU has less than one MiB
_SECTIONS = ("results", "configs", "config", "versions", "n-shot", "n-samples")
_SEEDS = ("random_seed", "numpy_seed", "torch_seed", "fewshot_seed")
_AGAIN = "Run the evaluation again or remove the file."


def find_runs(folders: Sequence[Path]) -> list[Run]:
    """Read every results_*.json at any depth below the folders, without the sample logs.

    The runs come in the order of their names and content, whatever the order of `folders`.

    Raises:
        FileNotFoundError: a path that is not a folder, or a folder without results.
        ValueError: a file that is too large, is not a whole results file of lm-eval, or is a link
            that leads out of its folder.
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
        raise ValueError(f"'{file}' is not a regular file; remove it or give another folder.")
    return real


def _read(path: Path) -> Run:
    if (size := path.stat().st_size) > LARGEST_RESULTS:
        raise ValueError(
            f"'{path}' has {size:,} bytes; results files of lm-eval are far below the limit of "
            f"{LARGEST_RESULTS:,}. Is it a sample log, or another program's file?"
        )
    content, raw = read_object(path)
    results = printable(content)
    for name in _SECTIONS:
        if not isinstance(results.get(name), dict):
            raise _unusable(path, f"it has no mapping '{name}'")
    for name in ("model_args", "gen_kwargs"):
        if not isinstance(given := results["config"].get(name), (dict, str, type(None))):
            raise _unusable(path, f"'{name}' is {given!r}")
    try:
        return _run(path, hashlib.sha256(raw).hexdigest(), results)
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise _unusable(path, f"reading it ends in {error!r}") from error


def _unusable(path: Path, why: str) -> ValueError:
    return ValueError(f"'{path}' is not a whole results file of lm_eval: {why}. {_AGAIN}")


def _run(path: Path, sha256: str, results: dict[str, Any]) -> Run:
    config, arguments = results["config"], model_arguments(results)
    limit = config.get("limit")
    if limit is not None and not is_number(limit):
        raise _unusable(path, f"'limit' is {limit!r}")
    multiturn = results.get("fewshot_as_multiturn")
    # Groups have scores but no configuration.
    tasks = sorted(set(results["results"]) & set(results["configs"]))
    return Run(
        path=path,
        sha256=sha256,
        model=read_model(results, arguments),
        adapters=read_adapters(results, arguments),
        adapter_sha=text(config.get("peft_sha")) or None,
        arguments=arguments,
        tasks=tuple(_task(path, results, name) for name in tasks),
        backend=text(config.get("model")),
        device=text(config.get("device")),
        batch_size=text(config.get("batch_size")),
        limit=limit,
        generation=config.get("gen_kwargs"),
        chat_template=text(results.get("chat_template_sha")),
        system_prompt=text(results.get("system_instruction_sha")),
        system_instruction=text(results.get("system_instruction")),
        multiturn=None if multiturn is None else bool(multiturn),
        seeds={name: config.get(name) for name in _SEEDS},
        versions=versions_of(results),
        hardware=hardware_of(results.get("pretty_env_info")),
        date=date_of(results.get("date")),
        seconds=seconds_of(results.get("total_evaluation_time_seconds")),
    )


def _task(path: Path, results: dict[str, Any], name: str) -> Task:
    printed, config = results["results"][name], results["configs"][name]
    for section, value in (("results", printed), ("configs", config)):
        if not isinstance(value, dict):
            raise _unusable(path, f"'{section}' of {name} is not a mapping")
    shots = results["n-shot"].get(name)
    if shots is not None and (not isinstance(shots, int) or shots < 0):
        raise ValueError(
            f"'{path}' gives {shots!r} as the number of few-shot examples of {name}; run the "
            "evaluation again."
        )
    metadata = config.get("metadata") or {}
    directions = (results.get("higher_is_better") or {}).get(name) or {}
    count = results["n-samples"].get(name)
    count = count if isinstance(count, dict) else {}
    asked, available = (number(count.get(key)) for key in ("effective", "original"))
    limited = results["config"].get("limit") is not None or asked != available
    known = asked is not None and available is not None
    hashes = results.get("task_hashes")
    return Task(
        name=name,
        version=_version(results["versions"].get(name)),
        form=text(config.get("output_type")),
        split=text(config.get("test_split") or config.get("validation_split")),
        num_fewshot=None if shots is None else int(shots),
        metadata=metadata,
        answers="own" if metadata.get("answers") in (None, "", "own") else "frozen",
        aggregations={
            row["metric"]: row.get("aggregation") for row in config.get("metric_list") or []
        },
        directions={name: up for name, up in directions.items() if isinstance(up, bool)},
        printed={key: float(value) for key, value in printed.items() if is_number(value)},
        asked=asked,
        available=available,
        part=(asked, available) if known and limited else None,
        task_hash=text(hashes.get(name)) if isinstance(hashes, dict) else None,
    )


def _version(value: Any) -> float | str | None:
    return value if is_number(value) and math.isfinite(value) else text(value)
