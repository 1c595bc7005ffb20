"""What a reader needs to know about a run to repeat it, without anything private to a machine."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from calib_leaderboards.runs import Run, adapter_name, dtype_of, model_arguments, model_name

_SECRET = re.compile(r"token|secret|password|api_?key|auth", re.IGNORECASE)
_JUDGE = "judge:"  # before a path, in the option `grading`
_OPTIONS = (
    "methods", "k", "weighting", "wording", "temperature", "yes_no", "guesses", "reasoning_tokens",
    "nli", "grading", "split", "answers",
)
_SEEDS = ("random_seed", "numpy_seed", "torch_seed", "fewshot_seed")


def describe(run: Run, tasks: Sequence[str], *, stock: bool = False) -> dict[str, Any]:
    """Describe a run as JSON: model, arguments, versions, seeds, and a command for `tasks` alone.

    Absolute paths are cut to their last part and arguments that look like credentials are left
    out, because the description is meant to be published. What lm-eval did not record is None.
    stock: whether they are tasks of lm-eval, which need no --include_path and no options.
    """
    results, config = run.results, run.results.get("config", {})
    return {
        "command": _command(run, tasks, stock),
        "model": model_name(run),
        "adapter": adapter_name(run),
        "backend": config.get("model"),
        "model_args": {
            key: _without_folder(value)
            for key, value in sorted(model_arguments(run).items())
            if not _SECRET.search(key)
        },
        "dtype": dtype_of(run),
        "device": _text(config.get("device")),
        "batch_size": _text(config.get("batch_size")),
        "seeds": {name: config.get(name) for name in _SEEDS},
        "chat_template_sha": results.get("chat_template_sha"),
        "system_instruction_sha": results.get("system_instruction_sha"),
        "versions": {
            "lm_eval": results.get("lm_eval_version"),
            "transformers": results.get("transformers_version"),
            "torch": _torch_version(results.get("pretty_env_info")),
        },
        "hardware": _hardware(results.get("pretty_env_info")),
        "date": _date(results.get("date")),
        "wall_time_seconds": _seconds(results.get("total_evaluation_time_seconds")),
        "results": {"file": run.path.name, "sha256": run.sha256},
    }


def _command(run: Run, tasks: Sequence[str], stock: bool) -> str:
    """The command that repeats the run, rebuilt from what lm-eval recorded of it."""
    results, config = run.results, run.results.get("config", {})
    backend = str(config.get("model"))
    arguments = {key: _without_folder(value) for key, value in sorted(model_arguments(run).items())
                 if not _SECRET.search(key)}
    metadata = {} if stock else results["configs"][tasks[0]].get("metadata") or {}
    options = {key: metadata[key] if key == "methods" else _without_folder(metadata[key])
               for key in _OPTIONS if metadata.get(key) is not None}
    program = ["calibench", "eval"] if backend.startswith("calib-") else ["lm_eval", "run"]
    parts = [*program, "--model", backend]
    parts += ["--model_args", ",".join(f"{key}={value}" for key, value in arguments.items())]
    parts += [] if stock else ["--include_path", "harness_tasks"]
    parts += ["--tasks", ",".join(tasks)]
    shots = results.get("n-shot", {}).get(tasks[0])
    parts += [] if shots is None else ["--num_fewshot", str(shots)]
    for name in ("batch_size", "device", "limit"):
        parts += [] if config.get(name) is None else [f"--{name}", str(config[name])]
    if generation := config.get("gen_kwargs"):
        parts += ["--gen_kwargs", json.dumps(generation, sort_keys=True)]
    if system := results.get("system_instruction"):
        parts += ["--system_instruction", str(system)]
    if results.get("chat_template_sha"):
        parts += ["--apply_chat_template"]
        one_turn = results.get("fewshot_as_multiturn") is False
        parts += ["--fewshot_as_multiturn", "false"] if one_turn else []
    seeds = [str(config.get(name)) for name in _SEEDS]
    parts += ["--seed", ",".join(seeds)]
    parts += ["--metadata", json.dumps(options, sort_keys=True)] if options else []
    return " ".join([*map(shlex.quote, parts), "--log_samples", "--output_path", "OUTPUT"])


def _hardware(environment: Any) -> dict[str, str | None]:
    """Processor and accelerator, as the environment report in the results file names them."""
    text = str(environment or "")
    found = {}
    for name, label in (("cpu", "Model name"), ("cores", r"CPU\(s\)"),
                        ("gpu", "GPU models and configuration")):
        match = re.search(rf"^{label}: *(.+)$", text, re.MULTILINE)
        value = match.group(1).strip() if match else None
        found[name] = None if value == "Could not collect" else value
    return found


def _without_folder(value: Any) -> Any:
    if isinstance(value, str):
        if value.startswith(_JUDGE):
            return _JUDGE + str(_without_folder(value.removeprefix(_JUDGE)))
        if value.startswith("~") or PurePosixPath(value).is_absolute():
            return PurePosixPath(value).name
        return PureWindowsPath(value).name if PureWindowsPath(value).drive else value
    return value if isinstance(value, (bool, int, float, type(None))) else _text(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _torch_version(environment: Any) -> str | None:
    found = re.search(r"^PyTorch version: (\S+)", str(environment or ""), re.MULTILINE)
    return found.group(1) if found else None


def _date(seconds: Any) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc).date().isoformat()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _seconds(value: Any) -> float | None:
    try:
        return round(float(value), 1)
    except (TypeError, ValueError):
        return None
