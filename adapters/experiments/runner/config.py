"""What an experiment is: ``config.yaml`` in a folder of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from calib_adapters.training.schema import Section
from harness_tasks.embedded_models.catalogue import DEFAULT, find

CONFIG = "config.yaml"
TASK = "{task}"
CONSTANT = "constant"


class Graded(Section):
    """The base model's answers to the train and validation splits of tasks, graded."""

    grade: str | tuple[str, ...] = Field(description="the task, or several for a mixture")
    method: str = "zero_shot_classifier"
    asked: tuple[str, ...] = Field(
        (), description="further methods on the validation split, for `combine`"
    )
    limit: int | None = Field(None, description="of each task")
    validation_limit: int | None = Field(None, description="of that split; else `limit` is")
    metadata: dict[str, Any] = {}


class Evaluation(Section):
    """A task that is asked, by one method.

    With ``answers: base`` the answers judged are those of the base model, whatever was trained.
    They come from a run that asks the base model about them by the methods in `asked`; while
    nothing is trained, the confidences of these methods are those of that run. The method
    ``constant`` asks nothing: it says the accuracy on the graded training answers each time.
    With ``test: true`` only the test rows of the prepared data are asked, with ``train: true`` only
    the training rows, of data that ``--redivide`` divided; with ``per_token: true`` options are
    compared by log-likelihood per token instead of in all. With `epoch` the adapter is that of the
    end of this epoch.
    """

    task: str
    method: str
    answers: Literal["base", "own"] = "own"
    asked: tuple[str, ...] = Field(("zero_shot_classifier",), min_length=1)
    test: bool = False
    train: bool = False
    epoch: int | None = Field(None, ge=1)
    per_token: bool = False
    num_fewshot: int | None = Field(None, ge=0)
    limit: int | None = None
    metadata: dict[str, Any] = {}
    model_args: dict[str, Any] = Field({}, description="of calib-hf, such as mc_dropout")


class Prepared(Section):
    """Prompts and completions, divided by ``calibench prepare`` with further `options`.

    With `known` the base model is asked about the training rows, and these are of the task
    ``known`` or ``unknown`` then: as it answers them correctly or not.
    """

    prepare: tuple[str, ...] = Field(min_length=1, description="the sources")
    options: tuple[str, ...] = ()
    known: Evaluation | None = None


class Config(Section):
    """An experiment. Without a recipe, the base model is evaluated as it is, once.

    With `tasks` it is repeated for each of them, which stands for ``{task}`` wherever that occurs.
    """

    table: str = Field(description="which table of the README its rows belong to")
    label: str = Field(description="what its rows are called there")
    model: str = Field(DEFAULT, description="one of `calibench model --list`")
    dtype: str = Field("bfloat16", description="stated, not chosen by the machine: results compare")
    tasks: tuple[str, ...] | None = Field(None, min_length=1)
    baseline: str | None = Field(
        None, description="another experiment, whose ECE this one is to lower"
    )
    data: Graded | Prepared
    recipe: str | None = None
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)
    keep_epochs: bool = Field(False, description="keep the weights after every epoch")
    ensemble: bool = Field(False, description="evaluate the adapters of all seeds as one")
    temperature: bool = Field(False, description="apply the one fitted on validation rows")
    compared: bool = Field(
        False, description="tables say how it differs from the other rows; figures emphasise it"
    )
    against: tuple[str, ...] = Field(
        (), description="folders of the experiments that it is compared with, instead"
    )
    confidences: bool = Field(
        False, description="keep those of every question, for intervals and paired differences"
    )
    evaluate: dict[str, Evaluation] = Field(min_length=1)

    combine: tuple[str, ...] = Field(
        (),
        description="methods of the base model that are combined, with the trained one if there is "
        "one, by a fit on the validation rows",
    )
    combine_on: tuple[str, ...] = Field((), description="the graded tasks of this fit, if not all")
    together: bool = Field(
        False, description="ask tasks that differ in nothing else by one command: one start"
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Config:
        find(self.model)
        if self.confidences and self.tasks is not None:
            raise ValueError("'confidences' are kept for experiments without a list of 'tasks'")
        if self.recipe is None and self.overrides:
            raise ValueError("overrides change a recipe, and there is none")
        if self.ensemble and (self.recipe is None or len(self.seeds) < 2):
            raise ValueError("an ensemble needs a recipe and at least two seeds")
        if self.ensemble and self.temperature:
            raise ValueError("a temperature is fitted for one adapter, not for an ensemble")
        if self.combine and not (
            isinstance(self.data, Graded)
            and all(each.answers == "base" for each in self.evaluate.values())
            and set(self.combine) <= {self.data.method, *self.data.asked}
        ):
            raise ValueError(
                "'combine' needs graded data with these methods among 'asked', and 'answers: base'"
            )
        if self.combine_on and not self.combine:
            raise ValueError("'combine_on' says what 'combine' is fitted on, and that is not there")
        if self.combine and self.temperature:
            raise ValueError("a combination is fitted on the validation rows; so is a temperature")
        if self.temperature and any(each.per_token for each in self.evaluate.values()):
            raise ValueError("a temperature is fitted to whole log-likelihoods, not per token")
        if (self.tasks is None) == (TASK in json.dumps([*self.evaluate])):
            raise ValueError(f"{TASK} in the names under 'evaluate' goes with a list of 'tasks'")
        if any(each.epoch for each in self.evaluate.values()) and (
            not self.keep_epochs or self.ensemble or self.temperature
        ):
            raise ValueError("an 'epoch' needs 'keep_epochs', and neither ensemble nor temperature")
        for name, evaluation in self.evaluate.items():
            if isinstance(self.data, Graded) and (evaluation.test or evaluation.train):
                which = "test" if evaluation.test else "train"
                raise ValueError(f"evaluate.{name}: '{which}' belongs to prepared data")
            if evaluation.test and evaluation.train:
                raise ValueError(f"evaluate.{name}: it asks either the 'test' or the 'train' rows")
        for name, evaluation in self.evaluate.items():
            if evaluation.method == CONSTANT and not (
                isinstance(self.data, Graded)
                and self.recipe is None
                and evaluation.answers == "base"
            ):
                raise ValueError(
                    f"evaluate.{name}: 'constant' judges 'answers: base' by graded data, untrained"
                )
        return self


def each_task(config: Config) -> list[Config]:
    """A config for each of its tasks; itself, if it lists none."""
    if config.tasks is None:
        return [config]
    text = config.model_copy(update={"tasks": None}).model_dump_json()
    return [Config(**json.loads(text.replace(TASK, task))) for task in config.tasks]


def load_config(folder: Path) -> Config:
    """The config in an experiment's folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not YAML, or says something that is not allowed; names file and key.
    """
    file = folder / CONFIG
    if not file.is_file():
        raise FileNotFoundError(f"{folder} is no experiment: it has no {CONFIG}.")
    try:
        return Config(**yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(f"{file} cannot be read as keys and values: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the config"
        raise ValueError(f"{file}: {key}: {first['msg'].removeprefix('Value error, ')}.") from None
