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
from calib_adapters.data.prepare import TEST_SAMPLES, VALIDATION_SAMPLES
from calib_adapters.training.provenance import describe_machine, describe_versions
from calib_adapters.training.recipe import load_recipe
from calib_adapters.training.temperature import fit_temperature
from harness_tasks.elicitation.records import read_samples
from harness_tasks.embedded_models import ensure_model
from runner.config import Config, Evaluation, Graded, each_task, load_config
from runner.measure import BY_OPTION, METRICS, measure
from runner.steps import OUT, Steps

RESULT = "result.json"
# What stands in the logged commands for folders of this machine.
MODEL, TEMPORARY = "$(calibench model)", "$TEMPORARY"
BATCH = "32"
DTYPE = "bfloat16"  # stated, not chosen by the machine: the results are compared with each other
HEADS = ("probe", "lora")  # their weights are read by calib-hf's `probe`


def run_experiment(folder: Path) -> Path:
    """Do what the config in `folder` says and write ``result.json`` there.

    The result holds the config, one row of scores per seed and evaluation, their mean and standard
    deviation, and the commands, versions and machine behind them. One that is there already, for
    the same config, is left as it is.

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
    steps = Steps(temporary, {MODEL: str(ensure_model()), TEMPORARY: str(temporary)})
    rows = [row for one in each_task(config) for row in _score(one, steps)]
    result = {
        "config": config.model_dump(mode="json"),
        "summary": {name: _summary(rows, name) for name in {row["evaluation"]: 0 for row in rows}},
        "rows": rows,
        "commands": steps.used,
        "machine": describe_machine(PartialState()),
        "versions": describe_versions(),
    }
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


def _score(config: Config, steps: Steps) -> list[dict[str, Any]]:
    """A row of scores per seed and evaluation."""
    data = _data(config, steps)
    rows = []
    for seed, weights in _train(config, data, steps):
        for name, evaluation in config.evaluate.items():
            temperature = (
                _temperature(config, evaluation, weights, data, steps)
                if config.temperature
                else None
            )
            log = _evaluate(config, evaluation, weights, data, steps)
            tokens = _token_counter(steps) if evaluation.per_token else None
            scores = measure(log, evaluation.method, temperature, tokens)
            rows.append({"seed": seed, "evaluation": name, **scores})
    return rows


def _token_counter(steps: Steps) -> Callable[[str], int]:
    tokenizer = AutoTokenizer.from_pretrained(steps.names[MODEL])
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def _data(config: Config, steps: Steps) -> Path:
    if isinstance(config.data, Graded):
        asked = [_ask_split(config.data, split, steps) for split in ("train", "validation")]
        paths = [_local(path) for path in asked]
        return steps.run("graded", ["grade", *paths, "--method", config.data.method, "-o", OUT])
    return steps.run("prepared", ["prepare", *config.data.prepare, *config.data.options, "-o", OUT])


def _ask_split(data: Graded, split: str, steps: Steps) -> Path:
    metadata = {**data.metadata, "methods": [data.method], "split": split}
    asked = Evaluation(task=data.grade, method=data.method, limit=data.limit)
    return _ask(asked, metadata, {}, (), steps)


def _train(config: Config, data: Path, steps: Steps) -> list[tuple[int | None, list[Path]]]:
    """Seed and weights of every model to evaluate; no weights for the base model."""
    if config.recipe is None:
        return [(None, [])]
    trained = []
    for seed in config.seeds:
        arguments = ["tune", config.recipe, *config.overrides, f"dtype={DTYPE}", f"seed={seed}"]
        arguments += ["--model", MODEL]
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
    samples = ()
    if evaluation.test:
        chosen = json.loads((data / rows).read_text(encoding="utf-8"))
        samples = ("--samples", json.dumps({evaluation.task: chosen[evaluation.task]}))
    metadata = {**evaluation.metadata, "methods": [evaluation.method]}
    if evaluation.answers == "base":
        # Some method has to be asked beside the answer; this one costs nothing that is lost.
        first = {**evaluation.metadata, "methods": ["zero_shot_classifier"]}
        metadata["answers"] = _local(_ask(evaluation, first, {}, samples, steps))
    arguments = {**evaluation.model_args, **_weights(config, weights)}
    out = _ask(evaluation, metadata, arguments, samples, steps)
    (log,) = out.rglob(f"samples_{evaluation.task}_*.jsonl")
    return log


def _weights(config: Config, weights: Sequence[Path]) -> dict[str, str]:
    """The model arguments that put trained weights to use."""
    if not weights:
        return {}
    paths = [_local(path) for path in weights]
    if len(paths) > 1:
        return {"ensemble": "+".join(paths)}
    recipe = load_recipe(config.recipe, config.overrides)
    if recipe.method in HEADS:
        return {"probe": paths[0]}
    return {"peft" if recipe.lora else "pretrained": paths[0]}


def _ask(
    evaluation: Evaluation,
    metadata: dict[str, Any],
    model_args: dict[str, Any],
    samples: Sequence[str],
    steps: Steps,
) -> Path:
    arguments = {
        "pretrained": MODEL,
        "dtype": DTYPE,
        "softmax_dtype": "float32",
        **model_args,
    }
    command = ["eval", "--model", "calib-hf", "--model_args"]
    command += [",".join(f"{key}={value}" for key, value in arguments.items())]
    command += ["--tasks", evaluation.task, "--batch_size", BATCH]
    command += ["--metadata", json.dumps(metadata)]
    if evaluation.num_fewshot is not None:
        command += ["--num_fewshot", str(evaluation.num_fewshot)]
    command += ["--limit", str(evaluation.limit)] if evaluation.limit else []
    command += [*samples, "--output_path", OUT, "--log_samples"]
    return steps.run(f"asked-{evaluation.task}", command)


def _temperature(
    config: Config, evaluation: Evaluation, weights: Sequence[Path], data: Path, steps: Steps
) -> float:
    """Fitted on validation rows: by the training if it could, or here, on the answers to them."""
    if len(weights) == 1:
        found = json.loads((weights[0] / "calibration.json").read_text(encoding="utf-8"))
        if found["temperature"] is not None:
            return found["temperature"]
    if isinstance(config.data, Graded):
        (log,) = _ask_split(config.data, "validation", steps).rglob("samples_*.jsonl")
    else:
        log = _evaluate(config, evaluation, weights, data, steps, VALIDATION_SAMPLES)
    records = [record for _, record in read_samples(log) if record["confidence"] is not None]
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
