"""Checkpoints that an interrupted run can resume from: only complete ones."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from transformers.trainer import TRAINER_STATE_NAME

from accelerate import PartialState

MARK = "whole.json"  # the last file of a checkpoint
EPOCHS = "epochs"  # folder of the weights after each epoch, if they are kept


@dataclass(frozen=True)
class Checkpoint:
    """The last complete checkpoint of an interrupted run.

    Attributes:
        folder: with weights, optimiser, random states and the Trainer's state.
        seconds: of training before it.
        epochs: trained before it, a fraction.
        failures: evaluations in a row without a better one, for early stopping.
    """

    folder: Path
    seconds: float
    epochs: float
    failures: int


class Checkpoints(transformers.TrainerCallback):
    """Asks for a checkpoint every `every` steps (besides those of epochs), and marks complete ones.

    A checkpoint is many files of several processes; the mark is written when all of them are there.
    """

    def __init__(self, every: int | None, seconds: float = 0.0):
        self.every = every
        self.before = seconds
        self.started = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for a checkpoint if one is due."""
        if self.every and state.global_step % self.every == 0:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the checkpoint as complete."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            part = folder / f"{MARK}.part"
            part.write_text(json.dumps({"seconds": self.seconds}), encoding="utf-8")
            os.replace(part, folder / MARK)

    @property
    def seconds(self) -> float:
        """Seconds of training, those before an interruption included."""
        return self.before + time.monotonic() - self.started


class Epochs(transformers.TrainerCallback):
    """Keeps the weights after every epoch, for curves over the epochs."""

    def __init__(self, save: Callable[[Path], None], folder: Path):
        self.save, self.folder = save, folder

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write them before the epoch's checkpoint, so that a resumed run has them all."""
        if state.is_world_process_zero:
            self.save(self.folder / str(round(state.epoch)))
        PartialState().wait_for_everyone()


def last_checkpoint(work: Path) -> Checkpoint | None:
    """The last complete checkpoint in `work`; None if there is none."""
    whole = [folder for folder in work.glob("checkpoint-*") if (folder / MARK).exists()]
    if not whole:
        return None
    folder = max(whole, key=lambda path: int(path.name.rpartition("-")[2]))
    state = json.loads((folder / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    stopping = state["stateful_callbacks"].get("EarlyStoppingCallback", {}).get("attributes", {})
    return Checkpoint(
        folder,
        json.loads((folder / MARK).read_text(encoding="utf-8"))["seconds"],
        state["epoch"],
        stopping.get("early_stopping_patience_counter", 0),
    )


def tidy(work: Path) -> None:
    """Remove half-written checkpoints, and repair the path of the best one if `work` was moved."""
    for folder in work.glob("checkpoint-*"):
        if not (folder / MARK).exists():
            shutil.rmtree(folder)
            continue
        file = folder / TRAINER_STATE_NAME
        state = json.loads(file.read_text(encoding="utf-8"))
        best = state["best_model_checkpoint"]
        if best and Path(best).parent != work:
            state["best_model_checkpoint"] = str(work / Path(best).name)
            part = file.with_suffix(".part")
            part.write_text(json.dumps(state), encoding="utf-8")
            os.replace(part, file)
