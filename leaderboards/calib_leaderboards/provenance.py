"""What a reader needs to know about a run to repeat it, without anything private to a machine."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from calib_leaderboards.runs import Run, Task

_SECRET = re.compile(r"token|secret|password|api_?key|auth", re.IGNORECASE)
_JUDGE = "judge:"  # before a path, in the option `grading`
_OPTIONS = (
    "methods",
    "k",
    "weighting",
    "wording",
    "temperature",
    "yes_no",
    "guesses",
    "reasoning_tokens",
    "nli",
    "grading",
    "split",
    "answers",
)


def describe(run: Run, task: Task, *, stock: bool = False) -> dict[str, Any]:
    """What an entry says of where its scores come from: arguments, versions, seeds, a command.

    Absolute paths are cut to their last part and arguments that look like credentials are left
    out, because the description is meant to be published. What lm-eval did not record is None.
    stock: whether it is a task of lm-eval, which needs no --include_path and no options.
    """
    return {
        "command": _command(run, task, stock),
        "backend": run.backend,
        "model_args": _published(run),
        "device": run.device,
        "batch_size": run.batch_size,
        "seeds": run.seeds,
        "versions": run.versions,
        "hardware": run.hardware,
        "date": run.date,
        "wall_time_seconds": run.seconds,
        "chat_template_sha": run.chat_template,
        "system_instruction_sha": run.system_prompt,
        "results": {"file": run.path.name, "sha256": run.sha256},
    }


def _published(run: Run) -> dict[str, Any]:
    return {
        key: _without_folder(value)
        for key, value in sorted(run.arguments.items())
        if not _SECRET.search(key)
    }


def _command(run: Run, task: Task, stock: bool) -> str:
    """The command that repeats the run, rebuilt from what lm-eval recorded of it."""
    metadata = {} if stock else task.metadata
    options = {
        key: metadata[key] if key == "methods" else _without_folder(metadata[key])
        for key in _OPTIONS
        if metadata.get(key) is not None
    }
    backend = str(run.backend)
    program = ["calibench", "eval"] if backend.startswith("calib-") else ["lm_eval", "run"]
    parts = [*program, "--model", backend]
    parts += ["--model_args", ",".join(f"{key}={value}" for key, value in _published(run).items())]
    parts += [] if stock else ["--include_path", "harness_tasks"]
    parts += ["--tasks", task.name]
    parts += [] if task.num_fewshot is None else ["--num_fewshot", str(task.num_fewshot)]
    for name in ("batch_size", "device", "limit"):
        value = getattr(run, name)
        parts += [] if value is None else [f"--{name}", str(value)]
    if run.generation:
        parts += ["--gen_kwargs", json.dumps(run.generation, sort_keys=True)]
    if run.system_instruction:
        parts += ["--system_instruction", run.system_instruction]
    if run.chat_template:
        parts += ["--apply_chat_template"]
        parts += ["--fewshot_as_multiturn", "false"] if run.multiturn is False else []
    parts += ["--seed", ",".join(str(seed) for seed in run.seeds.values())]
    parts += ["--metadata", json.dumps(options, sort_keys=True)] if options else []
    return " ".join([*map(shlex.quote, parts), "--log_samples", "--output_path", "OUTPUT"])


def _without_folder(value: Any) -> Any:
    if isinstance(value, str):
        if value.startswith(_JUDGE):
            return _JUDGE + str(_without_folder(value.removeprefix(_JUDGE)))
        if value.startswith("~") or PurePosixPath(value).is_absolute():
            return PurePosixPath(value).name
        return PureWindowsPath(value).name if PureWindowsPath(value).drive else value
    return value if isinstance(value, (bool, int, float, type(None))) else str(value)
