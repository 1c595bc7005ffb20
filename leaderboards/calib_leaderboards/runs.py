"""One run of lm-eval, and what its results file says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calib_leaderboards.labels import YES_NO


@dataclass(frozen=True)
class Run:
    """One results_*.json."""

    path: Path
    sha256: str
    results: dict[str, Any]


def model_arguments(run: Run) -> dict[str, Any]:
    """The run's --model_args as a mapping; lm-eval stores a mapping or "key=value,key=value"."""
    arguments = run.results.get("config", {}).get("model_args") or {}
    if isinstance(arguments, str):
        pairs = (part.partition("=") for part in arguments.split(",") if part)
        arguments = {key: value for key, _, value in pairs}
    return arguments


def last_part(name: str) -> str:
    """The last part of a path or a Hub name, without the hash that the model cache appends.

    >>> last_part("/home/me/cache/SmolLM2-135M-Instruct-b179c9523d0e/")
    'SmolLM2-135M-Instruct'
    """
    part = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    return re.sub(r"-[0-9a-f]{12}$", "", part)


def model_name(run: Run) -> str:
    """The name of the base model: the last part of the `pretrained` argument."""
    arguments = model_arguments(run)
    for key in ("pretrained", "model", "path", "engine"):
        if arguments.get(key):
            return last_part(str(arguments[key]))
    return str(run.results.get("model_name") or run.results.get("config", {}).get("model"))


def adapter_name(run: Run, method: str | None = None) -> str | None:
    """The last part of the adapter's path; None for a run without an adapter.

    With a `method`: the adapter under which it was asked. `peft` is on for all of a run,
    `confidence_adapter` for yes/no questions about answers alone.
    """
    arguments = model_arguments(run)
    adapter = arguments.get("peft")
    if not adapter and method in (None, *YES_NO):
        adapter = arguments.get("confidence_adapter")
    return last_part(str(adapter)) if adapter else None


def dtype_of(run: Run) -> str | None:
    """The dtype that the model computed in, or was asked to; None if nothing says so."""
    dtype = run.results.get("config", {}).get("model_dtype") or model_arguments(run).get("dtype")
    return None if dtype in (None, "auto") else str(dtype).removeprefix("torch.")


def answers_of(run: Run, task: str) -> str:
    """ "frozen" if the task's metadata named an earlier run's answers, else "own"."""
    metadata = run.results["configs"][task].get("metadata") or {}
    return "own" if metadata.get("answers") in (None, "", "own") else "frozen"


def part_of(run: Run, task: str) -> tuple[int, int] | None:
    """(asked, all) questions of a run with --limit or --samples; None for a whole one."""
    count = run.results.get("n-samples", {}).get(task, {})
    whole, asked = count.get("original"), count.get("effective")
    if run.results.get("config", {}).get("limit") is None and whole == asked:
        return None
    return asked, whole
