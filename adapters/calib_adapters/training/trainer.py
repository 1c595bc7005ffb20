"""The Hugging Face Trainer with the loss of a job, and its arguments."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate.data_loader import prepare_data_loader
from torch import Tensor, nn
from torch.utils.data import DataLoader

from accelerate import PartialState
from calib_adapters.training.batches import EpochBatches
from calib_adapters.training.job import Job
from calib_adapters.training.processes import unnumbered
from calib_adapters.training.schema import Recipe

LOGS = ("tensorboard", "wandb")
RUNS = "runs"  # where the Hub looks for TensorBoard's files


class JobTrainer(transformers.Trainer):
    """`transformers.Trainer` for a `Job`."""

    def __init__(
        self,
        job: Job,
        recipe: Recipe,
        args: transformers.TrainingArguments,
        callbacks: Sequence[transformers.TrainerCallback] = (),
    ):
        # DDP and FSDP synchronise only what happens in the forward of the module they wrap.
        job.model.forward = lambda **batch: job.loss(job.model, batch)
        callbacks = [*job.callbacks, *callbacks]
        if recipe.evaluation.patience:
            callbacks.append(transformers.EarlyStoppingCallback(recipe.evaluation.patience))
        super().__init__(
            model=job.model,
            args=args,
            train_dataset=job.train,
            eval_dataset=job.validation,
            data_collator=job.collate,
            compute_metrics=job.validate,
            callbacks=callbacks,
        )
        self.model_accepts_loss_kwargs = False
        self.batch_size = recipe.optimiser.batch_size
        self.nll, self.units = 0.0, 0.0  # sums since the last entry of the log

    def get_train_dataloader(self) -> DataLoader:
        """Return this process's share of every batch; see `EpochBatches`."""
        batches = EpochBatches(
            self.train_dataset["length"],
            self.batch_size,
            self.args.seed,
            self.args.process_index,
            self.args.world_size,
        )
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=batches,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # The batches are shared out already: for accelerate, this is the only process.
        return prepare_data_loader(
            loader, self.args.device, num_processes=1, process_index=0, put_on_device=True
        )

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Mean loss over the units of the batches of all processes.

        Each process divides by the mean count, since their gradients are averaged: the sum of the
        totals over the sum of the counts, whatever each of them holds.

        Raises:
            ValueError: the loss is not a number, in whichever process.
        """
        found = model(**inputs)
        nll = torch.zeros_like(found.total) if found.nll is None else found.nll
        parts = (found.count, found.total, nll)
        sums = torch.stack([part.detach().float() for part in parts])
        count, total, nll = self.accelerator.reduce(sums, "mean").tolist()
        if not math.isfinite(total):
            raise ValueError(
                f"the loss became {total} at step {self.state.global_step}; lower "
                "optimiser.learning_rate, or use dtype=float32. Earlier checkpoints are in "
                f"{self.args.output_dir}."
            )
        if model.training and found.nll is not None:
            self.nll, self.units = self.nll + nll, self.units + count
        loss = found.total / count
        return (loss, found.predicted) if return_outputs else loss

    @property
    def kept_step(self) -> int:
        """After training: the step whose weights the model has."""
        best = self.args.load_best_model_at_end and self.state.best_global_step
        return best or self.state.global_step

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the NLL since the last entry to the loss."""
        if "loss" in logs and self.units:
            logs["nll"] = self.nll / self.units
            self.nll, self.units = 0.0, 0.0
        super().log(logs, start_time)

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        prediction_loss_only: bool,
        ignore_keys: Any = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, predictions and labels of a validation batch."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad():
            loss, predicted = self.compute_loss(model, inputs, return_outputs=True)
        return loss, predicted, inputs["label"]


class TrainingArguments(transformers.TrainingArguments):
    """Those of transformers, with a device that the model has not to be copied to."""

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return unnumbered(super().device)


def training_arguments(
    recipe: Recipe, folder: Path, log: Sequence[str] = ()
) -> transformers.TrainingArguments:
    """Trainer arguments of `recipe`: validation and a checkpoint every epoch, one of them kept.

    "Best" is the lowest validation NLL, the proper score that the losses estimate.

    Args:
        recipe: the recipe.
        folder: for checkpoints, and for TensorBoard's files (``runs``).
        log: services to log to, of `LOGS`.

    Raises:
        ValueError: a service whose package is not installed, or FSDP without a GPU.
    """
    optimiser = recipe.optimiser
    for name in log:
        if importlib.util.find_spec(name) is None:
            raise ValueError(f"--log {name} needs the package {name}: pip install {name}")
    if os.environ.get("ACCELERATE_USE_FSDP") == "true" and not torch.cuda.is_available():
        raise ValueError(
            "accelerate is configured for FSDP, which it supports only on GPUs; here it would "
            "silently put the whole model into every process. Use cpu.yaml."
        )
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / RUNS)
    share = -(-optimiser.batch_size // PartialState().num_processes)
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=optimiser.epochs,
        per_device_train_batch_size=share,
        per_device_eval_batch_size=2 * share,
        learning_rate=optimiser.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=optimiser.warmup_steps,
        weight_decay=optimiser.weight_decay,
        adam_beta2=optimiser.beta2,
        max_grad_norm=optimiser.max_grad_norm,
        seed=recipe.seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_steps=0.01,  # a fraction of all steps: a hundred entries
        load_best_model_at_end=recipe.evaluation.keep == "best",
        metric_for_best_model="nll",
        greater_is_better=False,
        save_total_limit=2,
        restore_callback_states_from_checkpoint=True,
        remove_unused_columns=False,
        label_names=["label"],
        report_to=list(log) or "none",
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
    )
