"""One run of lm-eval as frozen dataclasses, parsed from its results file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from calib_leaderboards.labels import YES_NO

AdapterUse = Literal["peft", "confidence_adapter", "probe", "ensemble"]
_TOLERANCE = 1e-9  # relative: sums in another order differ by less


@dataclass(frozen=True)
class Model:
    """The base model.

    Attributes:
        name: "org/name" on the Hub, or the last part of a path.
        short: the last part in both cases.
        revision: as asked for or recorded; None for a local folder without one.
        sha: the revision's, or the beginning of its file's hash from the model cache.
        parameters: how many, adapter included.
        dtype: that the model computed in, such as "bfloat16"; None if not recorded.
    """

    name: str
    short: str
    revision: str | None
    sha: str | None
    parameters: int | None
    dtype: str | None


@dataclass(frozen=True)
class Adapter:
    """An adapter: its Hub name or the last part of its path, and how it was used."""

    name: str
    use: AdapterUse


@dataclass(frozen=True)
class Task:
    """One task of a run.

    Attributes:
        name: of the task; groups are not tasks.
        version: a number or text, as lm-eval has it.
        form: lm-eval's output type.
        split: the questions' split.
        num_fewshot: examples before the question; None: the task's default.
        metadata: the task's options.
        answers: "frozen" where the metadata named an earlier run's answers.
        aggregations: by metric, as the task's configuration has them; None: lm-eval's default.
        directions: whether higher is better, by metric, where the task says.
        printed: lm-eval's own scores that are numbers, by "metric,filter".
        asked: how many questions were asked; None if the file does not say.
        available: how many the task has; None if the file does not say.
        part: (asked, available) of a run with --limit or --samples; None for a whole one.
        task_hash: of the log's rows; None if the file does not say.
    """

    name: str
    version: float | str | None
    form: str | None
    split: str | None
    num_fewshot: int | None
    metadata: Mapping[str, Any]
    answers: Literal["own", "frozen"]
    aggregations: Mapping[str, Any]
    directions: Mapping[str, bool]
    printed: Mapping[str, float]
    asked: int | None
    available: int | None
    part: tuple[int, int] | None
    task_hash: str | None


@dataclass(frozen=True)
class Run:
    """One results_*.json.

    Attributes:
        path: the file.
        sha256: of its bytes.
        model: the base model.
        adapters: the adapters on it.
        adapter_sha: of the adapter's repository on the Hub.
        arguments: lm-eval's --model_args.
        tasks: in the order of their names.
        backend: lm-eval's --model.
        device: where it ran.
        batch_size: as given.
        limit: lm-eval's --limit; None for all questions.
        generation: lm-eval's --gen_kwargs.
        chat_template: its sha256; None without one.
        system_prompt: its sha256; None without one.
        system_instruction: the text of it.
        multiturn: whether each example is a turn of its own; None if the file does not say.
        seeds: by lm-eval's names.
        versions: of lm_eval, transformers and torch.
        hardware: processor, cores and accelerator.
        date: ISO, in UTC.
        seconds: wall time of all tasks.
    """

    path: Path
    sha256: str
    model: Model
    adapters: tuple[Adapter, ...]
    adapter_sha: str | None
    arguments: Mapping[str, Any]
    tasks: tuple[Task, ...]
    backend: str | None
    device: str | None
    batch_size: str | None
    limit: float | None
    generation: Any
    chat_template: str | None
    system_prompt: str | None
    system_instruction: str | None
    multiturn: bool | None
    seeds: Mapping[str, Any]
    versions: Mapping[str, str | None]
    hardware: Mapping[str, str | None]
    date: str | None
    seconds: float | None

    def adapter_of(self, method: str | None = None) -> str | None:
        """The last part of the adapter's name; None without one.

        With a `method`: the adapter under which it was asked. `peft` is on for all of a run,
        `confidence_adapter` for yes/no questions about answers alone.
        """
        uses = ["peft"] + ["confidence_adapter"] * (method in (None, *YES_NO))
        named = {adapter.use: adapter.name for adapter in self.adapters}
        return next((last_part(named[use]) for use in uses if use in named), None)

    def adapted(self, method: str) -> bool:
        """Whether a method was asked under an adapter, or an ensemble of them."""
        ensemble = any(adapter.use == "ensemble" for adapter in self.adapters)
        return ensemble or self.adapter_of(method) is not None


def last_part(name: str) -> str:
    """The last part of a path or a Hub name, without the hash that the model cache appends.

    >>> last_part("/home/me/cache/SmolLM2-135M-Instruct-b179c9523d0e/")
    'SmolLM2-135M-Instruct'
    """
    part = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    return re.sub(r"-[0-9a-f]{12}$", "", part)


def agree(printed: float, value: float) -> bool:
    """Whether a score that lm-eval printed agrees with the one from its samples."""
    both_undefined = math.isnan(printed) and math.isnan(value)
    return both_undefined or math.isclose(printed, value, rel_tol=_TOLERANCE, abs_tol=1e-12)
