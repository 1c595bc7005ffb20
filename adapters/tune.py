"""Calibration tuning: a recipe and a graded dataset give an ordinary PEFT adapter."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import resource
import shutil
import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import transformers
import yaml
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor

from calib_adapters.card import write_card
from calib_adapters.encode import encode_rows
from calib_adapters.grade import load_graded
from calib_adapters.objective import check_head, collate, reference_states
from calib_adapters.recipe import Recipe, load_recipe
from calib_adapters.temperature import fit_temperature, sigmoid
from calib_adapters.training import CalibrationTrainer, training_arguments
from calib_metrics import score

METRICS = ("ece", "auroc", "brier", "nll")


def tune(
    recipe: str | Path, model: str, data: Path, output: Path, overrides: Sequence[str] = ()
) -> Path:
    """Train an adapter that knows when the base model's answers are correct.

    An interrupted run leaves its checkpoints in a hidden folder beside `output`; the same call
    continues from the last one. `output` itself appears only when everything is done.

    Args:
        recipe: recipe file, or the name of a shipped one.
        model: folder or Hub id of the base model.
        data: graded dataset with the splits ``train`` and ``validation``.
        output: folder for the adapter.
        overrides: ``key.sub=value`` changes to the recipe.

    Returns:
        `output`: adapter, model card, ``calibration.json`` (temperature and validation scores),
        ``training.json`` (provenance) and the resolved ``recipe.yaml``.

    Raises:
        ValueError: unusable data, model or recipe; an `output` made by something else; a loss that
            is not a number.
    """
    settings = load_recipe(recipe, overrides)
    graded, grading = load_graded(data)
    _check_graded(graded, data)
    identity = _identity(settings, model, grading["fingerprint"])
    if output.exists():
        if _finished_as(output) == identity:
            logging.getLogger(__name__).warning("%s is finished already; nothing to do.", output)
            return output
        raise ValueError(
            f"{output} exists and was not made by this recipe, model and data; delete it or "
            f"choose another folder."
        )
    work = output.parent / f".{output.name}.{identity[:12]}"
    work.mkdir(parents=True, exist_ok=True)
    started = time.time()
    transformers.set_seed(settings.seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    adapted = _adapted_model(model, settings)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    train, validation = _encoded(graded, settings, tokenizer)
    check_head(adapted, _to(collate([train[0]], pad), adapted.device))
    reference = _reference(adapted, train, pad, settings, work)

    trainer = CalibrationTrainer(
        model=adapted,
        args=training_arguments(settings, work),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=partial(collate, pad=pad, reference=reference),
        compute_metrics=_validation_scores,
        kappa=settings.objective.kappa,
    )
    checkpoint = transformers.trainer_utils.get_last_checkpoint(str(work))
    trained = trainer.train(resume_from_checkpoint=checkpoint)

    odds, labels = _predictions(trainer, validation)
    temperature = fit_temperature(odds, labels)
    scores = score(sigmoid(odds), labels, METRICS, method="zero_shot_classifier")
    calibration = {
        **temperature,
        "validation": {name: found.to_dict() for name, found in scores.items()},
        "epochs": [entry for entry in trainer.state.log_history if "eval_nll" in entry],
    }
    answers = sum(map(len, train["answer_ids"])) if reference is not None else 0
    tokens = (sum(train["length"]) + answers) * settings.optimiser.epochs  # shared prefixes too
    training = {
        "identity": identity,
        "base_model": Path(model).name if Path(model).exists() else model,
        "method": grading["method"],
        "data": {"fingerprint": grading["fingerprint"], "train": len(train),
                 "validation": len(validation)},
        "seed": settings.seed,
        "resumed": checkpoint is not None,
        "seconds": round(time.time() - started, 1),
        "tokens_per_second": round(tokens / trained.metrics["train_runtime"], 1),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "hardware": _hardware(adapted.device),
        "versions": {name: version(name) for name in
                     ("calibench", "torch", "transformers", "peft", "datasets", "numpy")},
    }
    _publish(adapted, settings, calibration, training, work, output)
    return output


def _check_graded(graded: datasets.DatasetDict, data: Path) -> None:
    for name in ("train", "validation"):
        if name not in graded or not len(graded[name]):
            raise ValueError(
                f"{data} has no rows in the split {name!r}; grade runs over both train and "
                f"validation."
            )
        if len(set(graded[name]["correct"])) < 2:
            word = "correct" if graded[name][0]["correct"] else "wrong"
            raise ValueError(
                f"all {len(graded[name])} answers in the split {name!r} of {data} are {word}: "
                f"there is nothing to tell apart. Use easier or harder questions, or check the "
                f"grading."
            )


def _identity(settings: Recipe, model: str, fingerprint: str) -> str:
    """What decides the weights: two runs with the same identity give the same adapter."""
    parts = [settings.model_dump(mode="json"), Path(model).name, fingerprint]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _finished_as(output: Path) -> str | None:
    try:
        return json.loads((output / "training.json").read_text(encoding="utf-8"))["identity"]
    except (OSError, ValueError, KeyError):
        return None


def _adapted_model(model: str, settings: Recipe) -> PeftModel:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = transformers.AutoModelForCausalLM.from_pretrained(
        model, dtype=getattr(torch, settings.dtype)
    ).to(device)
    lora = settings.lora
    missing = [name for name in lora.target_modules
               if not any(part.endswith(name) for part, _ in base.named_modules())]
    if missing:
        raise ValueError(
            f"lora.target_modules: {model} has no module named {', '.join(missing)}."
        )
    return get_peft_model(
        base,
        LoraConfig(
            r=lora.r,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=list(lora.target_modules),
            task_type="CAUSAL_LM",
        ),
    )


def _encoded(
    graded: datasets.DatasetDict, settings: Recipe, tokenizer: Any
) -> tuple[datasets.Dataset, datasets.Dataset]:
    rows = graded["train"].shuffle(seed=settings.seed, keep_in_memory=True)
    if settings.data.max_train is not None:
        rows = rows.select(
            range(min(settings.data.max_train, len(rows))), keep_in_memory=True
        )
    train = encode_rows(rows, tokenizer)
    ends = np.cumsum([len(positions) for positions in train["answer_positions"]])
    train = train.add_column("reference_start", [0, *ends[:-1].tolist()])
    return train, encode_rows(graded["validation"], tokenizer)


def _reference(
    model: PeftModel, train: datasets.Dataset, pad: int, settings: Recipe, work: Path
) -> Tensor | None:
    """The base model's hidden states at the answers, from the work folder if they are there."""
    if settings.objective.kappa == 0:
        return None
    file = work / "reference.safetensors"
    if not file.exists():
        model.eval()
        states = reference_states(model, train.to_list(), pad, settings.optimiser.batch_size)
        save_file({"states": states.contiguous()}, str(file) + ".part")
        os.replace(str(file) + ".part", file)
    return load_file(file)["states"]


def _validation_scores(prediction: transformers.EvalPrediction) -> dict[str, float]:
    confidence = sigmoid(np.asarray(prediction.predictions, dtype=np.float64))
    found = score(confidence, prediction.label_ids, METRICS, resamples=0)
    return {name: found[name].value for name in METRICS}


def _predictions(trainer: CalibrationTrainer, rows: Any) -> tuple[np.ndarray, np.ndarray]:
    predicted = trainer.predict(rows)
    return np.asarray(predicted.predictions, dtype=np.float64), predicted.label_ids.astype(int)


def _hardware(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    return {"device": device.type, "name": name or platform.machine(),
            "cores": os.cpu_count(), "threads": torch.get_num_threads()}


def _to(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: value.to(device) for name, value in batch.items()}


def _publish(
    model: PeftModel,
    settings: Recipe,
    calibration: dict[str, Any],
    training: dict[str, Any],
    work: Path,
    output: Path,
) -> None:
    """Write everything into the work folder, then let it appear as `output` in one step."""
    final = work / "final"
    shutil.rmtree(final, ignore_errors=True)
    model.peft_config["default"].base_model_name_or_path = training["base_model"]
    model.save_pretrained(final)
    recipe = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
    (final / "recipe.yaml").write_text(recipe, encoding="utf-8")
    for name, content in (("calibration", calibration), ("training", training)):
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (final / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    write_card(final / "README.md", settings, calibration, training)
    os.replace(final, output)
    shutil.rmtree(work)
