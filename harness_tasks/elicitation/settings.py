"""The options a user sets through ``--metadata``, checked before any model runs."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from harness_tasks.elicitation.grading import GRADERS, JUDGE
from harness_tasks.elicitation.prompts import PERCENT_WORDINGS, WORDINGS

MethodName = Literal[
    "likelihood",
    "sequence_probability",
    "min_token_probability",
    "token_entropy",
    "token_margin",
    "zero_shot_classifier",
    "question_only",
    "p_ik",
    "verbalized",
    "verbalized_top_k",
    "linguistic",
    "cot_verbalized",
    "one_turn",
    "sampling",
    "distinct_answers",
    "semantic_clusters",
    "semantic_entropy",
    "degree_matrix",
    "laplacian_eigenvalues",
    "semantic_density",
    "cocoa_msp",
    "cocoa_ppl",
    "cocoa_mte",
    "self_consistency",
    "order_agreement",
    "probe",
]
METHOD_NAMES: tuple[MethodName, ...] = get_args(MethodName)
# Scores of the answer's own tokens; most need ``hf`` or ``calib-hf``.
OF_TOKENS = ("sequence_probability", "min_token_probability", "token_entropy", "token_margin")
# Similarities of samples, alone and weighted by the probability of texts.
BY_PROBABILITY = ("semantic_density", "cocoa_msp", "cocoa_ppl", "cocoa_mte")
OF_SIMILARITIES = ("degree_matrix", "laplacian_eigenvalues", *BY_PROBABILITY)
# They need training, certain tasks or certain back ends, or are variants of others.
APART = ("one_turn", "order_agreement", "probe", *OF_TOKENS, *OF_SIMILARITIES)
# ``methods: all``: every other method, which works with any back end and task.
UNTRAINED = tuple(name for name in METHOD_NAMES if name not in APART)
# They compare samples with each other, so one sample is not enough.
COMPARING = (
    "distinct_answers", "semantic_entropy", "degree_matrix", "laplacian_eigenvalues",
)  # fmt: skip


class Settings(BaseModel):
    """Options of a confidence task; the field names are the keys of ``--metadata``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    methods: tuple[str, ...] = ("likelihood", "zero_shot_classifier", "verbalized", "sampling")
    k: int = Field(10, ge=1, description="samples per question")
    weighting: Literal["count", "likelihood"] = "count"
    wording: str = "yes_no"
    percent_wording: str = "likely"
    temperature: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="divides the logit of P(yes)"
    )
    yes_no: Literal["logprobs", "first_token", "sampled"] = "logprobs"
    guesses: int = Field(4, ge=1, le=8, description="guesses of verbalized_top_k")
    reply_tokens: int = Field(32, ge=1, description="at most, per reply that states a confidence")
    reasoning_tokens: int = Field(128, ge=1, description="at most, per reply that reasons")
    thinking_tokens: int = Field(
        0, ge=0, description="at most, for a thought before each reply, in addition to its limit"
    )
    nli: str | None = Field(
        None, min_length=1, description="cross-encoder that decides which texts mean the same"
    )
    grading: str = "exact"
    answers: str | None = Field(
        None, min_length=1, description="samples of an earlier run: frozen answers"
    )
    stated_threshold: float | None = Field(
        None, gt=0, lt=1, description="the prompt asks for an answer only if surer than this"
    )
    permute_options: int = Field(
        1, ge=1, description="cyclic orders of the options over which probabilities are averaged"
    )
    split: str | None = Field(
        None, min_length=1, description="split to ask about instead of the task's own"
    )

    @field_validator("methods", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        if value == "all":
            return UNTRAINED
        if isinstance(value, str):
            return (value,)
        return tuple(value) if isinstance(value, list) else value

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError(f"name at least one of {_listed(METHOD_NAMES)}, or say 'all'")
        if len(set(value)) < len(value):
            raise ValueError("a method is named twice")
        for name in value:
            _known(name, METHOD_NAMES)
        return value

    @field_validator("wording")
    @classmethod
    def _known_wording(cls, value: str) -> str:
        return _known(value, WORDINGS)

    @field_validator("percent_wording")
    @classmethod
    def _known_percent_wording(cls, value: str) -> str:
        return _known(value, PERCENT_WORDINGS)

    @field_validator("grading")
    @classmethod
    def _known_grading(cls, value: str) -> str:
        if value.startswith(JUDGE) and value != JUDGE:
            return value
        return _known(value, [*GRADERS, f"{JUDGE}PATH"])

    @model_validator(mode="after")
    def _fit_together(self) -> Settings:
        if self.yes_no == "sampled" and self.temperature != 1:
            raise ValueError(
                "'temperature' divides log-odds, and there are none with 'yes_no': 'sampled'; "
                "leave one of them out"
            )
        if self.yes_no == "first_token" and self.wording != "yes_no":
            raise ValueError(
                f"with 'yes_no': 'first_token' the first token must tell the replies apart, and "
                f"those of the wording {self.wording!r} both begin with a bracket; leave 'wording' "
                f"out"
            )
        if self.yes_no == "first_token" and self.thinking_tokens:
            raise ValueError(
                "with 'yes_no': 'first_token' the reply is a single token, the first one "
                "of a thought; leave 'thinking_tokens' out, or use 'yes_no': 'sampled'"
            )
        if self.permute_options < 2 and "order_agreement" in self.methods:
            raise ValueError(
                "order_agreement compares answers over the orders of the options: set "
                "'permute_options' to at least 2, such as 4"
            )
        if self.k < 2 and (comparing := set(COMPARING) & set(self.methods)):
            raise ValueError(f"{_listed(comparing)} need 'k' to be at least 2, but it is {self.k}")
        return self


def parse_settings(task: str, metadata: Mapping[str, Any]) -> Settings:
    """Read the options of `task` from its metadata.

    lm-eval merges the model's arguments into the same mapping, so other keys are left alone, unless
    they look like a misspelt option.

    Raises:
        ValueError: an option has a wrong value, or a key is nearly an option's name.
    """
    options = {key: metadata[key] for key in Settings.model_fields if key in metadata}
    for key in metadata.keys() - options.keys():
        if near := difflib.get_close_matches(key, Settings.model_fields, n=1, cutoff=0.8):
            raise ValueError(f"{task}: unknown metadata key {key!r}; did you mean {near[0]!r}?")
    try:
        return Settings(**options)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:  # options that do not fit together
            raise ValueError(f"{task}: the metadata cannot be used: {reason}.") from None
        raise ValueError(
            f"{task}: metadata key {first['loc'][0]!r} has the value "
            f"{metadata[first['loc'][0]]!r}, which cannot be used: {reason}."
        ) from None


def _known(name: str, table: Collection[str]) -> str:
    if name not in table:
        raise ValueError(f"{name!r} is not one of {_listed(table)}")
    return name


def _listed(table: Collection[str]) -> str:
    return ", ".join(sorted(table))
