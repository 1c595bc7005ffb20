"""A recipe and a data set give an adapter: the frame around every method's job."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import transformers
import yaml
from accelerate import PartialState

from calib_adapters.base_model import base_name
from calib_adapters.calibration.lora_prompt import lora_prompt
from calib_adapters.card import write_card
from calib_adapters.data import data_fingerprint
from calib_adapters.job import Job, Workshop
from calib_adapters.provenance import describe_machine, describe_versions, peak_memory
from calib_adapters.recipe import load_recipe
from calib_adapters.schema import Recipe
from calib_adapters.trainer import JobTrainer, training_arguments

METHODS = {"lora_prompt": lora_prompt}


def tune(
    recipe: str | Path, model: str, data: Path, output: Path, overrides: Sequence[str] = ()
) -> Path:
    """Train by a recipe.

    An interrupted run leaves its checkpoints in a hidden folder beside `output`; the same call
    continues from the last one. `output` itself appears only when everything is done. Under
    ``accelerate launch`` all processes train, and the first one writes.

    Args:
        recipe: recipe file, or the name of a shipped one.
        model: folder or Hub id of the base model.
        data: folder of the data set that the recipe's method wants.
        output: folder for the result.
        overrides: ``key.sub=value`` changes to the recipe.

    Returns:
        `output`: weights, model card, ``calibration.json`` (temperature and validation scores),
        ``training.json`` (provenance) and the resolved ``recipe.yaml``.

    Raises:
        ValueError: unusable data, model or recipe; an `output` made by something else; a loss that
            is not a number.
    """
    settings = load_recipe(recipe, overrides)
    fingerprint = data_fingerprint(data)
    identity = _identity(settings, model, fingerprint)
    if output.exists():
        if _finished_as(output) == identity:
            logging.getLogger(__name__).warning("%s is finished already; nothing to do.", output)
            return output
        raise ValueError(
            f"{output} exists and was not made by this recipe, model and data; delete it or "
            f"choose another folder."
        )
    state = PartialState()
    work = output.parent / f".{output.name}.{identity[:12]}"
    work.mkdir(parents=True, exist_ok=True)
    started = time.time()
    transformers.set_seed(settings.seed)
    with state.main_process_first():  # what the first process caches, the others find
        job = METHODS[settings.method](Workshop(settings, model, data, work, state.device))
    trainer = JobTrainer(job, training_arguments(settings, work))
    checkpoint = transformers.trainer_utils.get_last_checkpoint(str(work))
    trained = trainer.train(resume_from_checkpoint=checkpoint)
    calibration = {
        **job.finish(trainer),
        "epochs": [entry for entry in trainer.state.log_history if "eval_nll" in entry],
    }
    training = {
        "identity": identity,
        "base_model": base_name(model),
        "data": dict(job.data_facts),
        "seed": settings.seed,
        "resumed": checkpoint is not None,
        "seconds": round(time.time() - started, 1),
        "tokens_per_second": round(
            job.tokens * trainer.state.epoch / trained.metrics["train_runtime"], 1
        ),
        "peak_memory_bytes": peak_memory(),
        "hardware": describe_machine(state),
        "versions": describe_versions(),
    }
    if state.is_main_process:
        _publish(job, settings, calibration, training, work, output)
    state.wait_for_everyone()
    return output


def _identity(settings: Recipe, model: str, fingerprint: str) -> str:
    """What decides the weights: two runs with the same identity give the same adapter."""
    parts = [settings.model_dump(mode="json"), Path(model).name, fingerprint]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _finished_as(output: Path) -> str | None:
    try:
        return json.loads((output / "training.json").read_text(encoding="utf-8"))["identity"]
    except (OSError, ValueError, KeyError):
        return None


def _publish(
    job: Job,
    settings: Recipe,
    calibration: dict[str, Any],
    training: dict[str, Any],
    work: Path,
    output: Path,
) -> None:
    """Write everything into the work folder, then let it appear as `output` in one step."""
    final = work / "final"
    shutil.rmtree(final, ignore_errors=True)
    final.mkdir()
    job.save(final)
    recipe = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
    (final / "recipe.yaml").write_text(recipe, encoding="utf-8")
    for name, content in (("calibration", calibration), ("training", training)):
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (final / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    write_card(final / "README.md", job, settings, calibration, training)
    os.replace(final, output)
    shutil.rmtree(work)
