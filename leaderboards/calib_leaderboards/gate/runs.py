"""What a gate reads of lm-eval's output: settings and printed scores by task, logs on demand."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calib_leaderboards.gate.samples import Samples, read_log
from calib_leaderboards.runs import Run, adapter_name, answers_of, dtype_of, model_name
from calib_leaderboards.store.results import check_file, find_results, tasks_of


class CannotDecide(ValueError):
    """Why a score cannot be compared with its baseline, as a sentence."""


@dataclass(frozen=True)
class TaskRun:
    """One task of one results_*.json.

    dtype: that the model computed in, None if nothing says so. limit: lm-eval's --limit, None for all
    questions. chat_template, system_prompt: their sha256,
    None without one. answers: "own", or "frozen" where another run's were judged.
    directions: whether higher is better, by metric. printed: lm-eval's own scores, by
    "metric,filter".
    """

    task: str
    path: Path
    model: str
    adapter: str | None
    dtype: str | None
    version: float | str | None
    num_fewshot: int | None
    limit: float | None
    chat_template: str | None
    system_prompt: str | None
    answers: str
    directions: dict[str, bool]
    printed: dict[str, Any]

    @property
    def log(self) -> Path:
        """Where lm-eval puts the samples of this task: beside the results, with their time."""
        stamp, name = self.path.name[len("results_") : -len(".json")], re.sub(r"\W", "_", self.task)
        return self.path.with_name(f"samples_{name}_{stamp}.jsonl")

    def read(self) -> Samples:
        """The logged samples. Raises CannotDecide without a log, ValueError for a damaged one."""
        if not self.log.is_file():
            raise CannotDecide(
                f"'{self.path}' has no sample log for {self.task} beside it ('{self.log.name}'); "
                "run lm_eval with --log_samples."
            )
        check_file(self.log, self.path.parent)
        return read_log(self.log)

    def check_printed(self, name: str, filter_: str, value: float) -> None:
        """Raise CannotDecide if lm-eval printed another value than the samples give."""
        printed = self.printed.get(f"{name},{filter_}")
        if isinstance(printed, (int, float)) and not (
            math.isclose(printed, value, rel_tol=1e-6, abs_tol=1e-9)
            or (math.isnan(printed) and math.isnan(value))
        ):
            raise CannotDecide(
                f"'{self.path.name}' gives {name},{filter_} = {printed!r}, but its samples give "
                f"{value!r}: either the score is no mean over questions and cannot be tested, or "
                "one of the files was changed."
            )


def read_results(folder: Path) -> dict[str, list[TaskRun]]:
    """Every task in the results_*.json files at any depth below `folder`; a task in two of them
    has two entries.

    Raises FileNotFoundError if there are none, and ValueError for a file that is not lm-eval's, is
    too large or is a link that leads out of the folder.
    """
    found: dict[str, list[TaskRun]] = {}
    for run in find_results([folder]):
        for task in tasks_of(run):
            found.setdefault(task, []).append(_read_task(run, task))
    return found


def _read_task(run: Run, task: str) -> TaskRun:
    try:
        return _task(run, task)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"'{run.path}' is not a whole results file of lm_eval ({error!r}); "
            "run the evaluation again or remove the file."
        ) from error


def _task(run: Run, task: str) -> TaskRun:
    results = run.results
    limit = results["config"].get("limit")
    shots = results["n-shot"].get(task)
    directions = (results.get("higher_is_better") or {}).get(task) or {}
    return TaskRun(
        task=task,
        path=run.path,
        model=model_name(run),
        adapter=adapter_name(run),
        dtype=dtype_of(run),
        version=_version(results["versions"].get(task)),
        num_fewshot=None if shots is None else int(shots),
        limit=None if limit is None else float(limit),
        chat_template=_text(results.get("chat_template_sha")),
        system_prompt=_text(results.get("system_instruction_sha")),
        answers=answers_of(run, task),
        directions={name: up for name, up in directions.items() if isinstance(up, bool)},
        printed=dict(results["results"][task]),
    )


def _version(value: Any) -> float | str | None:
    return value if isinstance(value, (int, float)) and math.isfinite(value) else _text(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
