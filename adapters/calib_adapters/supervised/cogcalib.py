"""CogCalib: fine-tuning that regularises only what the model already knows.

A reconstruction of "Towards Objective Fine-tuning: How LLMs' Prior Knowledge Causes Potential Poor
Calibration?" (ACL 2025, arXiv 2505.20903) from its abstract and secondary sources; there is no
public code. Whatever those leave open is a key of the recipe, with its default in ``schema.Known``.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor, nn

from accelerate import PartialState
from calib_adapters.supervised.batch import read_logits, summarise
from calib_adapters.supervised.indicator import Indicator, find_cut, knowledge, rate_cut
from calib_adapters.supervised.indicator_figure import draw_indicator
from calib_adapters.supervised.losses import penalties, token_nll
from calib_adapters.supervised.scores import confidences
from calib_adapters.supervised.sft import (
    METHOD,
    Prepared,
    prepare_training,
    save_model,
    supervised_job,
    validation_report,
)
from calib_adapters.training.job import Job, Loss, TrainingContext
from calib_adapters.training.schema import Known
from calib_adapters.training.trainer import JobTrainer
from calib_metrics import score


def cogcalib(context: TrainingContext) -> Job:
    """The job of the method ``cogcalib``.

    The loss of a token is NLL + alpha · R for rows whose treatment is "regularise", its NLL for
    "plain" ones, and 0 for those that are dropped. A row is known if its own NLL, at the moment it
    is trained on, is at most the threshold. Before the first threshold all rows are plain.
    """
    prepared = prepare_training(context, calibration=True)
    penalty, settings = context.recipe.objective, context.recipe.knowledge
    _check_steps(context, len(prepared.splits["train"]))
    indicator = Indicator(context.work / "indicator.json")
    tally = Tally()

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> Loss:
        logits = read_logits(model, batch)
        written, rows = logits[: len(batch["targets"])], batch["target_row"]
        nll = token_nll(written, batch["targets"])
        summary = summarise(logits, nll, batch)
        if not model.training or indicator.threshold is None:
            return Loss(nll.sum(), nll.new_tensor(len(nll)), summary, nll.sum())
        value = summary[:, 0] / (summary[:, 1] if settings.nll == "mean" else 1)
        known = value <= indicator.threshold
        keep = (~known | (settings.known != "drop")).float()[rows]
        chosen = torch.where(
            known, settings.known == "regularise", settings.unknown == "regularise"
        ).float()[rows]
        extra = penalties(written, batch["targets"], batch["classes"], penalty) * chosen
        tally.add(known, nll, extra)
        total = ((nll + penalty.alpha * extra) * keep).sum()
        return Loss(total, keep.sum().clamp(min=1), summary, (nll * keep).sum())

    thresholds = Thresholds(indicator, tally, settings, prepared)
    return supervised_job(
        context,
        prepared,
        loss,
        f"cogcalib-{penalty.regulariser}",
        "A fine-tuned version (CogCalib)",
        finish=lambda trainer: _finish(trainer, prepared, indicator, settings),
        save=lambda folder: _save(context, prepared, indicator, folder),
        callbacks=(thresholds,),
    )


def _check_steps(context: TrainingContext, rows: int) -> None:
    optimiser = context.recipe.optimiser
    steps = math.ceil(rows / optimiser.batch_size) * optimiser.epochs
    if context.recipe.knowledge.style_steps >= steps:
        raise ValueError(
            f"knowledge.style_steps is {context.recipe.knowledge.style_steps}, but {rows} rows "
            f"make only {steps} steps in all: nothing would be regularised. Lower it or train "
            "longer."
        )


class Tally:
    """Sums over training rows since the last threshold, on the device until they are read."""

    NAMES = ("rows", "known", "tokens", "nll", "penalty")

    def __init__(self) -> None:
        self.sums: Tensor | None = None

    def add(self, known: Tensor, nll: Tensor, penalty: Tensor) -> None:
        """Add a batch: which rows are known, and NLL and penalty of its tokens."""
        rows, tokens = nll.new_tensor([len(known), len(nll)])
        found = torch.stack(
            [rows, known.sum().float(), tokens, nll.detach().sum(), penalty.detach().sum()]
        )
        self.sums = found if self.sums is None else self.sums + found

    def take(self) -> dict[str, Any] | None:
        """The sums of all processes as means, and start again; None if there were no rows."""
        own = [0.0] * len(self.NAMES) if self.sums is None else self.sums.tolist()
        self.sums = None
        total = dict(zip(self.NAMES, np.sum(gather_object([own]), axis=0).tolist(), strict=True))
        if not total["rows"]:
            return None
        return {
            "rows": int(total["rows"]),
            "share_known": total["known"] / total["rows"],
            "nll": total["nll"] / total["tokens"],
            "penalty": total["penalty"] / total["tokens"],
        }


class Thresholds(transformers.TrainerCallback):
    """Finds the threshold anew from the calibration split, at the steps that the recipe names."""

    def __init__(
        self, indicator: Indicator, tally: Tally, settings: Known, prepared: Prepared
    ) -> None:
        self.indicator = indicator
        self.tally = tally
        self.settings = settings
        self.rows = prepared.splits["calibration"]
        self.collate = prepared.collate
        self.state = PartialState()

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: nn.Module, **_: Any
    ) -> None:
        """Resume the history of an interrupted run, or start one."""
        if state.global_step:
            self.indicator.rewind(state.global_step)
            return
        if self.settings.labels == "base":
            self.indicator.labels = self._measure(model, args)[1].tolist()
        if self.settings.style_steps == 0:
            self._renew(model, args, 0)
        self._write()

    def on_step_end(self, args: Any, state: Any, control: Any, model: nn.Module, **_: Any) -> None:
        """Find a threshold where one is due; checkpoints of this step are written later."""
        since = state.global_step - self.settings.style_steps
        interval = self.settings.interval
        if since == 0 or (interval and since > 0 and since % interval == 0):
            self._renew(model, args, state.global_step)
            self._write()

    def _renew(self, model: nn.Module, args: Any, step: int) -> None:
        nll, known = self._measure(model, args)
        if self.indicator.labels is not None:
            known = np.asarray(self.indicator.labels)
        entry = {"step": step, **asdict(find_cut(nll, known))}
        for name, part in (("nll_known", nll[known]), ("nll_unknown", nll[~known])):
            entry[name] = float(part.mean()) if len(part) else None
        entry["training_since"] = self.tally.take()
        self.indicator.history.append(entry)

    def _write(self) -> None:
        if self.state.is_main_process:
            self.indicator.write()
        self.state.wait_for_everyone()

    @torch.no_grad()
    def _measure(self, model: nn.Module, args: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """`knowledge` of the calibration rows; every process runs equally many batches."""
        size, processes = args.per_device_eval_batch_size, self.state.num_processes
        order = np.argsort(self.rows["length"], kind="stable").tolist()
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        training = model.training
        model.eval()
        found = []
        for first in range(0, len(batches), processes):
            mine = first + self.state.process_index
            chosen = batches[mine] if mine < len(batches) else batches[0]
            batch = self.collate([self.rows[i] for i in chosen])
            batch = {name: value.to(args.device) for name, value in batch.items()}
            table = model(**batch).predicted.cpu().numpy()
            if mine < len(batches):
                found.append((chosen, table))
        model.train(training)
        parts = gather_object(found)
        numbers = np.concatenate([chosen for chosen, _ in parts])
        table = np.concatenate([table for _, table in parts])[np.argsort(numbers)]
        gold = np.asarray(self.rows["label"])
        return knowledge(table.astype(np.float64), gold, self.settings.nll)


def _finish(
    trainer: JobTrainer, prepared: Prepared, indicator: Indicator, settings: Known
) -> dict[str, Any]:
    """As for ``sft``, and how the threshold of the kept epoch fares on the validation split.

    The threshold was fitted to the calibration split, so its accuracy there is optimistic. Without
    a threshold at that time the kept weights are those of plain training, and this says so.
    """
    rows = prepared.splits["validation"]
    predicted = trainer.predict(rows)
    found = validation_report(predicted, rows)
    step = trainer.kept_step
    entry = indicator.at(step)
    found["indicator"] = {"history": indicator.history, "kept_step": step}
    if entry is None:
        logging.getLogger(__name__).warning(
            "The epoch whose weights are kept ended at step %d, before the first threshold, so "
            "nothing was regularised. Lower knowledge.style_steps.",
            step,
        )
        return found
    table, gold = np.asarray(predicted.predictions, dtype=np.float64), predicted.label_ids
    nll, known = knowledge(table, gold, settings.nll)
    found["indicator"]["validation"] = asdict(rate_cut(entry["threshold"], nll, known))
    found["indicator"]["effect"] = _effect(table, gold, nll <= entry["threshold"])
    return found


def _effect(
    table: NDArray[np.float64], gold: NDArray[np.int_], low: NDArray[np.bool_]
) -> dict[str, Any]:
    """Confidence and calibration of rows with options, counted as known and as unknown."""
    effect = {}
    for name, part in (("taken_for_known", low), ("taken_for_unknown", ~low)):
        confidence, correct = confidences(table[part], gold[part])
        if len(confidence):
            scores = score(confidence, correct, ("acc", "ece", "brier"), method=METHOD)
            effect[name] = {
                "mean_confidence": float(confidence.mean()),
                **{metric: value.to_dict() for metric, value in scores.items()},
            }
    return effect


def _save(context: TrainingContext, prepared: Prepared, indicator: Indicator, folder: Path) -> None:
    save_model(context, prepared, folder)
    text = json.dumps(indicator.history, indent=1)
    (folder / "indicator.json").write_text(text + "\n", encoding="utf-8")
    draw_indicator(indicator.history, folder / "indicator")
