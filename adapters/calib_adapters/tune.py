"""Train an adapter from a recipe and a data set: the frame around every method's job."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import transformers
import yaml
from filelock import FileLock, Timeout

from calib_adapters.calibration.lora_head import lora_head
from calib_adapters.calibration.lora_prompt import lora_prompt
from calib_adapters.calibration.probe import probe
from calib_adapters.calibration.stated import stated
from calib_adapters.data.asked_with import read_asked_with, warn_of_another_model
from calib_adapters.data.training_data import data_fingerprint
from calib_adapters.supervised.cogcalib import cogcalib
from calib_adapters.supervised.sft import sft
from calib_adapters.training.base_model import base_name, suit_attention
from calib_adapters.training.card import write_card
from calib_adapters.training.checkpoints import (
    EPOCHS,
    Checkpoints,
    Epochs,
    last_checkpoint,
    tidy,
)
from calib_adapters.training.curves import draw_curves, training_log
from calib_adapters.training.disk_errors import writing_to
from calib_adapters.training.hub import check_hub, push
from calib_adapters.training.job import Job, TrainingContext
from calib_adapters.training.precision import resolve_dtype
from calib_adapters.training.processes import first_with_all_threads, process_state
from calib_adapters.training.provenance import describe_machine, describe_versions, peak_memory
from calib_adapters.training.recipe import load_recipe
from calib_adapters.training.schema import Recipe
from calib_adapters.training.sharding import whole_weights
from calib_adapters.training.trainer import RUNS, JobTrainer, training_arguments

METHODS: Mapping[str, Callable[[TrainingContext], Job]] = {
    "lora_prompt": lora_prompt,
    "stated": stated,
    "lora": lora_head,
    "probe": probe,
    "sft": sft,
    "cogcalib": cogcalib,
}


def tune(
    recipe: str | Path,
    model: str,
    data: Path,
    output: Path,
    overrides: Sequence[str] = (),
    *,
    log: Sequence[str] = (),
    checkpoint_every: int | None = None,
    keep_epochs: bool = False,
    push_to: str | None = None,
) -> Path:
    """Train an adapter, or a whole model, as a recipe says.

    An interrupted run leaves its checkpoints in a hidden folder beside `output`; the same call
    continues from the last one. `output` itself appears only when everything is done. Under
    ``accelerate launch`` all processes train, and the first one writes.

    Args:
        recipe: recipe file, or the name of a shipped one.
        model: folder or Hub id of the base model.
        data: folder of the data set that the recipe's method needs.
        output: folder for the result.
        overrides: ``key.sub=value`` changes to the recipe.
        log: further services to log to, of ``trainer.LOGS``.
        checkpoint_every: steps between checkpoints, besides those after every epoch.
        keep_epochs: also keep the weights after every epoch, as ``epochs/N`` in `output`.
        push_to: repository on the Hub that `output` is uploaded to.

    Returns:
        `output`: weights, model card, ``calibration.json`` (temperature and validation scores),
        ``training_log.json`` and ``loss.png``, ``training.json`` (provenance) and the resolved
        ``recipe.yaml``.

    Raises:
        ValueError: unusable data, model or recipe; an `output` made by something else; a loss that
            is not a number.
        OSError: a full disk, or a folder that may not be written to.
    """
    output = output.absolute()  # checkpoints name each other by their paths
    state = process_state()
    settings = resolve_dtype(load_recipe(recipe, overrides), state.device)
    fingerprint, asked = data_fingerprint(data), read_asked_with(data)
    identity = _identity(settings, model, fingerprint, asked)
    if push_to:
        check_hub(push_to)
    work = output.parent / f".{output.name}.{identity[:12]}"
    if output.exists():
        if _finished_as(output) != identity:
            raise ValueError(
                f"{output} exists and was not made by this recipe, model and data; delete it or "
                f"choose another folder."
            )
        logging.getLogger(__name__).warning(
            "%s is already finished; there is nothing to train.", output
        )
        if (
            state.is_main_process
        ):  # killed between the renaming and the end, it left its checkpoints
            shutil.rmtree(work, ignore_errors=True)
            _lock_of(work).unlink(missing_ok=True)
    else:
        if state.is_main_process:
            warn_of_another_model(data, model)
        with writing_to(output.parent):
            work.mkdir(parents=True, exist_ok=True)
            with _alone(work, output):
                _train(
                    settings,
                    model,
                    data,
                    asked,
                    identity,
                    work,
                    output,
                    log,
                    checkpoint_every,
                    keep_epochs,
                )
    if push_to and state.is_main_process:
        logging.getLogger(__name__).warning("uploaded to %s", push(output, push_to))
    return output


@contextmanager
def _alone(work: Path, output: Path) -> Iterator[None]:
    """Lock the work folder; the first process does so for all processes of a run."""
    if not process_state().is_main_process:
        yield
        return
    file = _lock_of(work)
    try:
        with FileLock(file, timeout=0):
            try:
                yield
            finally:
                file.unlink(missing_ok=True)
    except Timeout:
        raise ValueError(
            f"another run is training into {output}; wait for it, or choose another folder."
        ) from None


def _lock_of(work: Path) -> Path:
    return work.with_name(f"{work.name}.lock")


def _train(
    settings: Recipe,
    model: str,
    data: Path,
    asked: Mapping[str, Any],
    identity: str,
    work: Path,
    output: Path,
    log: Sequence[str],
    checkpoint_every: int | None,
    keep_epochs: bool,
) -> None:
    state = process_state()
    with first_with_all_threads(state):
        if state.is_main_process:
            tidy(work)
        transformers.set_seed(settings.seed)
        context = TrainingContext(settings, model, data, work, state.device, asked)
        job = METHODS[settings.method](context)
        suit_attention(job.model, max(job.train["length"]), state.device)
    # After the model: under DeepSpeed's ZeRO 3, models that are loaded later are spread while they
    # load, which needs all processes at a time.
    arguments = training_arguments(settings, work, log)
    last = last_checkpoint(work)
    if last and last.failures >= (settings.evaluation.patience or last.failures + 1):
        # It had already stopped early when it was interrupted.
        arguments.num_train_epochs = last.epochs
    checkpoints = Checkpoints(checkpoint_every, last.seconds if last else 0.0)
    epochs = [Epochs(job.save, work / EPOCHS)] if keep_epochs else []
    trainer = JobTrainer(job, settings, arguments, [checkpoints, *epochs])
    if epochs and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        raise ValueError(
            "--keep_epochs needs whole weights in every process, which FSDP and ZeRO do not have; "
            "leave it out, or train without them."
        )
    trainer.train(resume_from_checkpoint=str(last.folder) if last else None)
    seconds = checkpoints.seconds
    calibration = {
        **job.finish(trainer),
        # The Trainer's own mean loss counts some rows twice if processes share them.
        "epochs": [
            {name: value for name, value in entry.items() if name != "eval_loss"}
            for entry in trainer.state.log_history
            if "eval_nll" in entry
        ],
    }
    training = {
        "identity": identity,
        "base_model": base_name(model),
        "asked_with": dict(asked),
        "data": dict(job.data_facts),
        "dtype": settings.dtype,
        "seed": settings.seed,
        "resumed": last is not None,
        "steps": trainer.state.global_step,
        "kept_step": trainer.kept_step,
        "seconds": round(seconds, 1),
        "tokens_per_second": round(job.tokens * trainer.state.epoch / seconds, 1),
        "peak_memory_bytes": peak_memory(),
        "hardware": {
            **describe_machine(state),
            "distribution": trainer.accelerator.distributed_type.value,
        },
        "versions": describe_versions(),
    }
    with whole_weights(trainer):
        if state.is_main_process:
            curves = training_log(trainer.state.log_history)
            _publish(job, settings, calibration, training, curves, work, output)
    state.wait_for_everyone()


def _identity(settings: Recipe, model: str, fingerprint: str, asked: Mapping[str, Any]) -> str:
    """Return everything that determines the weights of the adapter."""
    base = str(Path(model).resolve()) if Path(model).is_dir() else model
    parts = [settings.model_dump(mode="json"), base, fingerprint]
    if asked:
        parts.append(dict(asked))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _finished_as(output: Path) -> str | None:
    try:
        return json.loads((output / "training.json").read_text(encoding="utf-8"))["identity"]
    except (OSError, ValueError, KeyError):
        return None


def _set_usual_mode(folder: Path) -> None:
    """Give files the mode that the umask allows; safetensors makes its own private."""
    mask = os.umask(0)
    os.umask(mask)
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(0o666 & ~mask)


def _publish(
    job: Job,
    settings: Recipe,
    calibration: dict[str, Any],
    training: dict[str, Any],
    curves: dict[str, list[dict[str, float]]],
    work: Path,
    output: Path,
) -> None:
    """Write everything into the work folder, then rename it to `output`."""
    final = work / "final"
    shutil.rmtree(final, ignore_errors=True)
    final.mkdir()
    job.save(final)
    recipe = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
    (final / "recipe.yaml").write_text(recipe, encoding="utf-8")
    for name, content in (
        ("calibration", calibration),
        ("training", training),
        ("training_log", curves),
    ):
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (final / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    kept = next(e for e in curves["validation"] if e["step"] == training["kept_step"])["epoch"]
    drawn = draw_curves(curves, kept, final / "loss")
    write_card(final / "README.md", job, settings, calibration, training, drawn)
    for name in (RUNS, EPOCHS):
        if (work / name).is_dir():
            shutil.copytree(work / name, final / name)
    _set_usual_mode(final)
    os.replace(final, output)
    shutil.rmtree(work)
