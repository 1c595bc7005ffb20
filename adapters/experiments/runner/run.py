"""Runs an experiment: data, training per seed, evaluations, scores."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from scipy.special import logit
from transformers import AutoTokenizer

from accelerate import PartialState
from calib_adapters.data.prepare import TEST_SAMPLES, TRAIN_SAMPLES, VALIDATION_SAMPLES
from calib_adapters.data.training_data import GRADING
from calib_adapters.training.checkpoints import EPOCHS
from calib_adapters.training.provenance import describe_machine, describe_versions
from calib_adapters.training.recipe import load_recipe
from calib_adapters.training.temperature import fit_temperature
from harness_tasks.elicitation.records import read_samples
from harness_tasks.embedded_models import ensure_model
from harness_tasks.embedded_models.catalogue import DEFAULT
from runner.answers import Answers, write_answers
from runner.config import CONSTANT, Config, Evaluation, Graded, Prepared, each_task, load_config
from runner.measure import BY_OPTION, METRICS, confidences, measure
from runner.steps import EXPERIMENTS, OUT, Steps

RESULT, LOG = "result.json", "training_log.json"
TEMPORARY = "$TEMPORARY"  # stands in the logged commands for a folder of this machine
BATCH = "32"
CLIP = "0.005"  # of confidences that are combined
COMBINED = "combined"
HEADS = ("probe", "lora")  # their weights are read by calib-hf's `probe`


def run_experiment(folder: Path) -> Path:
    """Do what the config in `folder` says and write ``result.json`` there.

    The result holds the config, one row of scores per seed and evaluation, their mean and standard
    deviation, and the commands, versions and machine behind them; where the config says so,
    ``confidences.csv`` holds the scored answers. A result that is there already, for the same
    config, is left as it is.

    Raises:
        FileNotFoundError, ValueError: a config that cannot be used.
        RuntimeError: a command failed.
    """
    config = load_config(folder)
    file = folder / RESULT
    if _result_of(config, file):
        file.touch()
        return file
    temporary = folder.resolve().parent / "temporary"
    names = {_model(config): str(ensure_model(config.model)), TEMPORARY: str(temporary)}
    steps, answers = Steps(temporary, names), Answers()
    training: list[dict[str, Any]] = []
    rows = [row for one in each_task(config) for row in _score(one, steps, answers, training)]
    result = {
        "config": config.model_dump(mode="json"),
        "summary": {name: _summary(rows, name) for name in {row["evaluation"]: 0 for row in rows}},
        "rows": rows,
        "training": training,
        "commands": steps.used,
        "machine": describe_machine(PartialState()),
        "versions": describe_versions(),
    }
    if config.confidences:
        write_answers(folder, answers)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, file)
    return file


def _result_of(config: Config, file: Path) -> bool:
    if not file.is_file():
        return False
    found = json.loads(file.read_text(encoding="utf-8"))
    try:
        return Config(**found["config"]) == config  # as models: keys may have got new defaults
    except ValidationError:
        return False


def _model(config: Config) -> str:
    """The model's folder, as the logged commands name it."""
    return "$(calibench model)" if config.model == DEFAULT else f"$(calibench model {config.model})"


def _score(
    config: Config, steps: Steps, answers: Answers, training: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """A row of scores per seed and evaluation.

    Adds to `answers` those that were scored, and to `training` what was logged after each epoch.
    """
    # Without a need nothing reads it, and a cell of a table costs no more than it has to.
    data = _data(config, steps) if _needs_data(config) else steps.folder
    rows = []
    for seed, weights in _train(config, data, steps):
        training += [{"seed": seed, "epochs": epochs_of(each / LOG)} for each in weights]
        for name, evaluation in config.evaluate.items():
            temperature = (
                _temperature(config, evaluation, weights, data, steps)
                if config.temperature
                else None
            )
            log = _evaluate(config, evaluation, weights, data, steps)
            tokens = _token_counter(config, steps) if evaluation.per_token else None
            method, constant = evaluation.method, None
            if config.combine:
                method = COMBINED
            if method == CONSTANT:
                method, constant = evaluation.asked[0], _train_accuracy(data)
            found = confidences(log, method, temperature, tokens, constant)
            answers[seed, name] = found
            scores = measure(found, evaluation.method)
            rows.append({"seed": seed, "evaluation": name, **scores})
    return rows


def epochs_of(log: Path) -> list[dict[str, float]]:
    """Of each epoch its number, the mean training NLL, and the scores of the validation split."""
    if not log.is_file():  # a probe has none
        return []
    found = json.loads(log.read_text(encoding="utf-8"))
    epochs, before = [], 0.0
    for entry in found["validation"]:
        during = [e for e in found["training"] if before < e["epoch"] <= entry["epoch"]]
        before = entry["epoch"]
        names = ("epoch", "nll", "exact", "acc", "ece", "auroc", "brier")
        epoch = {name: entry[name] for name in names if name in entry}
        if nll := [e["nll"] for e in during if "nll" in e]:
            epoch["training_nll"] = statistics.fmean(nll)
        epochs.append(epoch)
    return epochs


def _train_accuracy(data: Path) -> float:
    grading = json.loads((data / GRADING).read_text(encoding="utf-8"))
    return grading["splits"]["train"]["accuracy"]


def _token_counter(config: Config, steps: Steps) -> Callable[[str], int]:
    tokenizer = AutoTokenizer.from_pretrained(steps.names[_model(config)])
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def _needs_data(config: Config) -> bool:
    """Whether anything is trained, fitted or chosen by the data."""
    constant = any(each.method == CONSTANT for each in config.evaluate.values())
    return bool(
        config.recipe or config.temperature or constant or isinstance(config.data, Prepared)
    )


def _data(config: Config, steps: Steps) -> Path:
    if isinstance(config.data, Graded):
        asked = [_ask_split(config, config.data, split, steps) for split in ("train", "validation")]
        paths = [_local(path) for path in asked]
        return steps.run("graded", ["grade", *paths, "--method", config.data.method, "-o", OUT])
    data = steps.run("prepared", ["prepare", *config.data.prepare, *config.data.options, "-o", OUT])
    if (asked := config.data.known) is None:
        return data
    log = _evaluate(config, asked, [], data, steps)
    answers = steps.folder / log.relative_to(steps.folder).parts[0] / "out"
    divide = ["divide", _local(data), _local(answers), "--method", asked.method]
    return steps.run("divided", [*divide, "-o", OUT], program=EXPERIMENTS)


def _ask_split(
    config: Config, data: Graded, split: str, steps: Steps, weights: Sequence[Path] = ()
) -> Path:
    """The run on a split of the graded tasks; with weights, that of `method` on these answers."""
    limit = data.limit
    if split == "validation" and data.validation_limit is not None:
        limit = data.validation_limit
    tasks = (data.grade,) if isinstance(data.grade, str) else data.grade
    asked = Evaluation(task=tasks[0], method=data.method, limit=limit)
    further = data.asked if split == "validation" else ()
    metadata = {**data.metadata, "methods": [*further, data.method], "split": split}
    if weights:
        first = _ask_split(config, data, split, steps)
        metadata |= {"methods": [data.method], "answers": _local(first)}
    return _ask(config, asked, metadata, _weights(config, weights), (), steps, tasks)


def _train(config: Config, data: Path, steps: Steps) -> list[tuple[int | None, list[Path]]]:
    """Seed and weights of every model to evaluate; no weights for the base model."""
    if config.recipe is None:
        return [(None, [])]
    trained = []
    for seed in config.seeds:
        arguments = ["tune", config.recipe, *config.overrides, f"dtype={config.dtype}"]
        arguments += [f"seed={seed}", "--model", _model(config)]
        arguments += ["--keep_epochs"] if config.keep_epochs else []
        arguments += ["--data", _local(data), "-o", OUT]
        trained.append((seed, [steps.run("trained", arguments, resumes=True)]))
    if config.ensemble:
        return [(None, [weights for _, (weights,) in trained])]
    return trained


def _evaluate(
    config: Config,
    evaluation: Evaluation,
    weights: Sequence[Path],
    data: Path,
    steps: Steps,
    rows: str = TEST_SAMPLES,
) -> Path:
    """The log of an evaluation."""
    samples = ()
    if evaluation.test or evaluation.train:
        file = data / (TRAIN_SAMPLES if evaluation.train else rows)
        chosen = json.loads(file.read_text(encoding="utf-8"))
        samples = ("--samples", json.dumps({evaluation.task: chosen[evaluation.task]}))
    runs = _runs(config, evaluation, weights, samples, steps)
    if config.combine:
        runs = [_combined(config, evaluation, weights, runs, steps)]
    (log,) = runs[-1].rglob(f"samples_{evaluation.task}_[0-9]*.jsonl")
    return log


def _runs(
    config: Config,
    evaluation: Evaluation,
    weights: Sequence[Path],
    samples: Sequence[str],
    steps: Steps,
) -> list[Path]:
    """The runs behind an evaluation: that of the base model's answers, if any, then its own."""
    tasks = _together(config, evaluation)
    runs = []
    metadata = {**evaluation.metadata, "methods": [evaluation.method]}
    if evaluation.answers == "base":
        first = {**evaluation.metadata, "methods": [*evaluation.asked]}
        runs.append(_ask(config, evaluation, first, {}, samples, steps, tasks))
        metadata["answers"] = _local(runs[0])
    arguments = {**evaluation.model_args, **_weights(config, weights, evaluation.epoch)}
    known = {*evaluation.asked, CONSTANT} if evaluation.answers == "base" else set()
    if arguments or evaluation.method not in known:
        runs.append(_ask(config, evaluation, metadata, arguments, samples, steps, tasks))
    return runs


def _together(config: Config, evaluation: Evaluation) -> tuple[str, ...]:
    """The tasks that are asked by the same command as `evaluation`, its own among them."""
    if not config.together or evaluation.test or evaluation.train:
        return (evaluation.task,)
    alike = [
        each.task
        for each in config.evaluate.values()
        if each.model_copy(update={"task": evaluation.task}) == evaluation
    ]
    return tuple(dict.fromkeys(alike))


def _combined(
    config: Config,
    evaluation: Evaluation,
    weights: Sequence[Path],
    runs: Sequence[Path],
    steps: Steps,
) -> Path:
    """The run whose confidences are the combination's, fitted on the graded validation rows."""
    assert isinstance(config.data, Graded)
    methods = [*config.combine]
    fitted_on = [_ask_split(config, config.data, "validation", steps)]
    if weights:
        methods.append(f"{evaluation.method}@{'+'.join(path.name for path in weights)}")
        fitted_on.append(_ask_split(config, config.data, "validation", steps, weights))
    fit = ["combine", "fit", *map(_local, fitted_on), "--methods", ",".join(methods)]
    fit += ["--tasks", ",".join(config.combine_on)] if config.combine_on else []
    made = steps.run("combination", [*fit, "--clip", CLIP, "-o", OUT])
    return steps.run("combined", ["combine", "apply", _local(made), *map(_local, runs), "-o", OUT])


def _weights(config: Config, weights: Sequence[Path], epoch: int | None = None) -> dict[str, str]:
    """The model arguments that put trained weights to use, of the end or of an earlier epoch."""
    if not weights:
        return {}
    paths = [_local(path) + (f"/{EPOCHS}/{epoch}" if epoch else "") for path in weights]
    if len(paths) > 1:
        return {"ensemble": "+".join(paths)}
    recipe = load_recipe(config.recipe, config.overrides)
    if recipe.method in HEADS:
        return {"probe": paths[0]}
    return {"peft" if recipe.lora else "pretrained": paths[0]}


def _ask(
    config: Config,
    evaluation: Evaluation,
    metadata: dict[str, Any],
    model_args: dict[str, Any],
    samples: Sequence[str],
    steps: Steps,
    tasks: Sequence[str],
) -> Path:
    arguments = {
        "pretrained": _model(config),
        "dtype": config.dtype,
        "softmax_dtype": "float32",
        **model_args,
    }
    command = ["eval", "--model", "calib-hf", "--model_args"]
    command += [",".join(f"{key}={value}" for key, value in arguments.items())]
    command += ["--tasks", ",".join(tasks), "--batch_size", BATCH]
    command += ["--metadata", json.dumps(metadata)]
    if evaluation.num_fewshot is not None:
        command += ["--num_fewshot", str(evaluation.num_fewshot)]
    command += ["--limit", str(evaluation.limit)] if evaluation.limit else []
    command += [*samples, "--output_path", OUT, "--log_samples"]
    name = tasks[0] if len(tasks) == 1 else f"{len(tasks)}-tasks"
    return steps.run(f"asked-{name}", command)


def _temperature(
    config: Config, evaluation: Evaluation, weights: Sequence[Path], data: Path, steps: Steps
) -> float:
    """Fitted on validation rows: by the training if it could, or here, on the answers to them."""
    if len(weights) == 1:
        found = json.loads((weights[0] / "calibration.json").read_text(encoding="utf-8"))
        if found["temperature"] is not None:
            return found["temperature"]
    if isinstance(config.data, Graded):
        logs = [*_ask_split(config, config.data, "validation", steps).rglob("samples_*.jsonl")]
        method = config.data.method
    else:
        logs = [_evaluate(config, evaluation, weights, data, steps, VALIDATION_SAMPLES)]
        method = evaluation.method
    records = [
        record
        for log in sorted(logs)
        for _, record in read_samples(log)
        if record["method"] == method and record["confidence"] is not None
    ]
    if records[0]["signature"].endswith(BY_OPTION):
        raise ValueError("a temperature of options is fitted by training; this has no one adapter.")
    odds = logit(np.array([record["confidence"] for record in records]))
    return fit_temperature(odds, np.array([r["correct"] for r in records]))["temperature"]


def _local(output: Path) -> str:
    """The output of a step, as later commands name it."""
    return f"{TEMPORARY}/{output.parent.name}/{output.name}"


def _summary(rows: Sequence[dict[str, Any]], evaluation: str) -> dict[str, Any]:
    """n, and of each score the mean over seeds and their standard deviation."""
    chosen = [row for row in rows if row["evaluation"] == evaluation]
    summary: dict[str, Any] = {"n": chosen[0]["n"], "seeds": len(chosen)}
    for name in METRICS:
        values = [row[name] for row in chosen]
        if None not in values:
            spread = statistics.stdev(values) if len(values) > 1 else None
            summary[name] = {"mean": statistics.fmean(values), "sd": spread}
    return summary
