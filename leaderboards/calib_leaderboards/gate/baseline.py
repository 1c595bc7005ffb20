"""The baseline of one model: a YAML file in the format of vLLM's accuracy tests, with more keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from calib_leaderboards.gate.asked import fold_arguments
from calib_metrics.outputs import write_through

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False)


class Metric(_Part):
    """One score that the gate tests.

    name: of the metric; "exact_match,strict-match" is short for a name and a filter.
    filter: lm-eval's filter, for confidence tasks the elicitation method. Needed where a task has
    several. direction: which way is better; known for the metrics of calibench and for those whose
    task says so. tolerance: an accepted change for the worse, in units of the score.
    test: paired (on the same questions), interval (baseline's value against the new interval) or
    threshold (no statistics: worse by more than the tolerance). Default: paired with samples, else
    interval. stderr: of the value, used by "interval". elicitation, signature: how confidences were
    elicited and scored; both must match the new run.
    """

    name: str = Field(min_length=1)
    filter: str | None = None
    value: float = Field(allow_inf_nan=False)
    stderr: NotNegative | None = None
    direction: Literal["higher", "lower"] | None = None
    tolerance: NotNegative | None = None
    test: Literal["paired", "interval", "threshold"] | None = None
    elicitation: str | None = None
    signature: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _split_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("name"), str) and "," in data["name"]:
            name, _, filter_ = data["name"].partition(",")
            if data.get("filter") not in (None, filter_):
                raise ValueError(f"name says filter {filter_!r}, filter says {data['filter']!r}")
            data = {**data, "name": name, "filter": filter_}
        return data


class KeptSamples(_Part):
    """The baseline's samples: a path, relative to the YAML file, and the file's hash."""

    path: str = Field(min_length=1)
    sha256: Sha256


class Task(_Part):
    """One task. Keys that are left out are not checked, except `limit`: without one, all questions.

    version, num_fewshot, limit, answers, chat_template, system_prompt: as lm-eval reports them for
    the run (the last two as sha256, "none" for none). n: questions. questions, prompts,
    answers_sha256: fingerprints of the questions, prompts and answers.
    """

    name: str = Field(min_length=1)
    version: float | str | None = None
    num_fewshot: int | None = None
    limit: NotNegative | None = None
    n: int | None = None
    answers: Literal["own", "frozen"] | None = None
    answers_sha256: Sha256 | None = None
    questions: Sha256 | None = None
    prompts: Sha256 | None = None
    chat_template: str | None = None
    system_prompt: str | None = None
    samples: KeptSamples | None = None
    metrics: list[Metric] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Task:
        seen = [(metric.name, metric.filter) for metric in self.metrics]
        if twice := [pair for pair in seen if seen.count(pair) > 1]:
            raise ValueError(f"{self.name}: the metric {twice[0][0]} is listed twice")
        return self


class Baseline(_Part):
    """The content of a baseline file.

    backend, dtype: lm-eval's --model, and the dtype that the model computed in.
    apply_chat_template, fewshot_as_multiturn, gen_kwargs, model_args: as lm-eval takes them. Keys
    that are left out are not checked. limit, num_fewshot: of all tasks that do not set their own.
    rtol: tolerance of all metrics that have none, as a share of their value.
    """

    model_name: str = Field(min_length=1)
    adapter: str | None = None
    backend: str | None = None
    dtype: str | None = None
    apply_chat_template: bool | str | None = None
    fewshot_as_multiturn: bool | None = None
    gen_kwargs: str | dict[str, Any] | None = None
    model_args: dict[str, Any] | None = None
    tasks: list[Task] = Field(min_length=1)
    limit: NotNegative | None = None
    num_fewshot: int | None = None
    rtol: NotNegative | None = None

    @model_validator(mode="before")
    @classmethod
    def _fold(cls, data: Any) -> Any:
        return fold_arguments(data) if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _distinct(self) -> Baseline:
        names = [task.name for task in self.tasks]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"the task {twice[0]} is listed twice; list its metrics under one")
        return self

    def limit_of(self, task: Task) -> float | None:
        """The task's --limit."""
        return self.limit if task.limit is None else task.limit

    def num_fewshot_of(self, task: Task) -> int | None:
        """The task's --num_fewshot; None if it is not to be checked."""
        return self.num_fewshot if task.num_fewshot is None else task.num_fewshot

    def tolerance_of(self, metric: Metric) -> float:
        """The accepted change of the metric for the worse."""
        if metric.tolerance is not None:
            return metric.tolerance
        return (self.rtol or 0.0) * abs(metric.value)


def read_baseline(path: Path) -> Baseline:
    """Read and check a baseline.

    Raises FileNotFoundError, or ValueError that names the file and every wrong entry.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no baseline '{path}'; make it with `calibench gate --update`."
        )
    try:
        data = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"'{path}' is not YAML: {_one_line(error)}.") from error
    try:
        return Baseline.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(_describe(problem) for problem in error.errors())
        raise ValueError(f"'{path}' is not a baseline: {wrong}.") from error


def write_baseline(path: Path, baseline: Baseline, command: str) -> None:
    """Write a baseline, whole and through links, below a comment with the command that made it."""
    data = baseline.model_dump(exclude_none=True)
    body = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    write_through(path, f"# {_one_line(command)}\n{body}".encode())


def _describe(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "there is no such entry; is it misspelt?"
    return _one_line(f"{place}: {message}" if place else message)


def _one_line(value: object) -> str:
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", str(value)).split())
