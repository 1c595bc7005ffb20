"""The content of a leaderboard entry: the models behind entry.schema.json."""

from __future__ import annotations

import codecs
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FORMAT = "calibench-entry/1"

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=1000)]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", max_length=100)]
FileName = Annotated[str, Field(pattern=r"^[^/\\\x00-\x1f]+$", max_length=255)]
Count = Annotated[int, Field(ge=0, le=2**53)]  # beyond, readers of JSON round
Share = Annotated[float, Field(ge=0, le=1)]
Scalar = bool | int | float | str | None


class _Part(BaseModel):
    """All keys are required, others forbidden; no number is NaN or infinite, no text a number."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )


class Adapter(_Part):
    """An adapter on the model. sha256: of its weights, where they were given."""

    name: Name
    revision: str | None
    sha256: Sha256 | None
    use: Literal["peft", "confidence_adapter", "probe", "ensemble"]


class Model(_Part):
    """The base model. name: "org/name" on the Hub, or the last part of a path.

    revision, sha: as lm-eval recorded them. parameters: how many, adapter included.
    """

    name: Name
    revision: str | None
    sha: str | None
    parameters: Count | None
    dtype: str | None
    adapter: Adapter | None


class Task(_Part):
    """form: lm-eval's output type. source: whose task it is, as its log shows."""

    name: Name
    version: Name
    split: str | None
    form: str | None
    source: Literal["calibench", "lm_eval"]


class Setting(_Part):
    """How the model was asked; `slug` names all that is not the task's default."""

    slug: Slug
    num_fewshot: Count | None
    chat_template: bool
    system_prompt: bool
    answers: Literal["own", "frozen"]


class Metric(_Part):
    """A value with its 95 % bootstrap interval; null where undefined, such as AUROC of one class.

    higher_is_better: null where neither the metric nor the task says.
    """

    value: float | None
    low: float | None
    high: float | None
    stderr: float | None
    higher_is_better: bool | None
    signature: Name


class Reliability(_Part):
    """Bins of equal width; confidence and accuracy are means, null in an empty bin."""

    lower: list[Share]
    upper: list[Share]
    count: list[Count]
    confidence: list[Share | None]
    accuracy: list[Share | None]

    @model_validator(mode="after")
    def _one_length(self) -> Reliability:
        return _same_length(self)


class RiskCoverage(_Part):
    """Error rate among the most confident share of the questions; 101 points at most."""

    coverage: list[Share] = Field(max_length=101)
    risk: list[Share] = Field(max_length=101)

    @model_validator(mode="after")
    def _one_length(self) -> RiskCoverage:
        return _same_length(self)


class Cost(_Part):
    """What the method asks of the model per question, besides the answer."""

    requests_per_question: Annotated[float, Field(ge=0)]


class Score(_Part):
    """One row of a table: a method, which for stock tasks is lm-eval's filter.

    n: questions. n_missing: those without a confidence. elicitation: how the confidence was
    elicited, from the log.
    """

    method: Name
    label: Name
    elicitation: str
    n: Count
    n_missing: Count
    metrics: dict[str, Metric] = Field(min_length=1)
    reliability: Reliability | None
    risk_coverage: RiskCoverage | None
    cost: Cost | None

    @model_validator(mode="after")
    def _counts(self) -> Score:
        if self.n_missing > self.n:
            raise ValueError(f"n_missing is {self.n_missing} of {self.n} questions")
        return self


class ResultsFile(_Part):
    """lm-eval's results file."""

    file: FileName
    sha256: Sha256


class SamplesFile(_Part):
    """lm-eval's sample log."""

    file: FileName
    sha256: Sha256
    rows: Count


class Provenance(_Part):
    """How to repeat the run, and hashes of its inputs; wall time is that of all its tasks.

    note: what readers of the scores need to know about the run, from whoever added it.
    prompts_sha256: of the model's inputs. data_fingerprint: of the sorted (id, question, target) of
    the documents. answers_fingerprint: of the sorted (id, answer); null for stock tasks.
    """

    note: Annotated[str, Field(min_length=1, max_length=300)] | None
    command: str
    backend: str | None
    model_args: dict[str, Scalar]
    device: str | None
    batch_size: str | None
    seeds: dict[str, Scalar]
    versions: dict[str, str | None]
    hardware: dict[str, str | None]
    date: str | None
    wall_time_seconds: float | None
    prompts_sha256: Sha256 | None
    chat_template_sha: str | None
    system_instruction_sha: str | None
    data_fingerprint: Sha256
    answers_fingerprint: Sha256 | None
    results: ResultsFile
    samples: SamplesFile


class KeptSamples(_Part):
    """The compact samples beside the entry; both null where they are too large to keep."""

    file: FileName | None
    sha256: Sha256 | None

    @model_validator(mode="after")
    def _both(self) -> KeptSamples:
        if (self.file is None) != (self.sha256 is None):
            raise ValueError("file and sha256 must be given together or not at all")
        return self


class Entry(_Part):
    """One model on one task in one setting: scores of every method, and where they come from."""

    format: Literal["calibench-entry/1"]
    model: Model
    task: Task
    setting: Setting
    n: Annotated[int, Field(ge=1, le=2**53)]
    scores: list[Score] = Field(min_length=1)
    provenance: Provenance
    samples: KeptSamples

    @model_validator(mode="after")
    def _methods(self) -> Entry:
        names = [score.method for score in self.scores]
        if len(set(names)) < len(names):
            raise ValueError("a method is listed twice")
        if any(score.n != self.n for score in self.scores):
            raise ValueError(f"a method has another number of questions than {self.n}")
        return self


def entry_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an entry, kept as entry.schema.json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Entry.model_json_schema(),
        "title": "An entry of the calibench leaderboard",
    }


def entry_to_json(entry: Entry) -> bytes:
    """The entry's file: the same bytes for the same entry."""
    text = json.dumps(entry.model_dump(), indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8")


def entry_from_json(content: bytes, where: str) -> Entry:
    """Check and read an entry's file; anything else is a ValueError that begins with `where`."""
    try:
        return Entry.model_validate_json(content.removeprefix(codecs.BOM_UTF8))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        wrong = "; ".join(_describe(problem) for problem in problems[:5])
        raise ValueError(
            f"{where} is not a leaderboard entry: {wrong}. Make it with `calibench leaderboard "
            "add`, and never edit it."
        ) from error


def _describe(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])[:200]
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _same_length(part: Any) -> Any:
    if len({len(column) for column in part.__dict__.values()}) > 1:
        raise ValueError("the columns have different lengths")
    return part
