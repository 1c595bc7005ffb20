"""The Hugging Face Trainer with the loss of a job, and its arguments."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate import PartialState
from torch import Tensor, nn
from transformers.trainer_pt_utils import get_length_grouped_indices

from calib_adapters.job import Job
from calib_adapters.schema import Recipe


class EpochSampler(torch.utils.data.Sampler):
    """Rows in batches of similar length, in an order that depends on seed and epoch alone.

    The stock samplers continue one random stream, so a resumed run would draw its first epoch's
    order again and end with other weights than an unbroken one. Only eight batches at a time are
    sorted by length, and the batches are shuffled again: questions of one template have one length
    and often one label, and sorting all rows would make batches of a single relation.
    """

    def __init__(self, lengths: list[int], batch_size: int, seed: int):
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer's data loader before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = get_length_grouped_indices(
            self.lengths, self.batch_size, mega_batch_mult=8, generator=generator
        )
        batches = torch.tensor(order).split(self.batch_size)
        whole = len(self.lengths) // self.batch_size  # a shorter batch stays last
        shuffled = torch.randperm(whole, generator=generator).tolist()
        for i in [*shuffled, *range(whole, len(batches))]:
            yield from batches[i].tolist()

    def __len__(self) -> int:
        return len(self.lengths)


class JobTrainer(transformers.Trainer):
    """`transformers.Trainer` for a `Job`."""

    def __init__(self, job: Job, args: transformers.TrainingArguments):
        # DDP and FSDP synchronise only what happens in the forward of the module they wrap.
        job.model.forward = lambda **batch: job.loss(job.model, batch)
        callbacks = list(job.callbacks)
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

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        return EpochSampler(rows["length"], self.args.per_device_train_batch_size, self.args.seed)

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
        """
        total, count, predicted = model(**inputs)
        loss = total / self.accelerator.reduce(count.float(), "mean")
        if not math.isfinite(loss.item()):
            raise ValueError(
                f"the loss became {loss.item()} at step {self.state.global_step}; lower "
                f"optimiser.learning_rate, or use dtype=float32."
            )
        return (loss, predicted) if return_outputs else loss

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Tensor], prediction_loss_only: bool,
        ignore_keys: Any = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, predictions and labels of a validation batch."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad():
            loss, predicted = self.compute_loss(model, inputs, return_outputs=True)
        return loss, predicted, inputs["label"]


def training_arguments(recipe: Recipe, folder: Path) -> transformers.TrainingArguments:
    """Trainer arguments of `recipe`: validation and a checkpoint every epoch, the best one kept.

    "Best" is the lowest validation NLL, the proper score that the losses estimate.

    Raises:
        ValueError: the batch cannot be divided among the processes.
    """
    optimiser = recipe.optimiser
    processes = PartialState().num_processes
    if optimiser.batch_size % processes:
        raise ValueError(
            f"optimiser.batch_size is {optimiser.batch_size}, which {processes} processes cannot "
            f"share equally; choose a multiple."
        )
    share = optimiser.batch_size // processes
    return transformers.TrainingArguments(
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
        logging_steps=10,
        load_best_model_at_end=True,
        metric_for_best_model="nll",
        greater_is_better=False,
        save_total_limit=2,
        remove_unused_columns=False,
        label_names=["label"],
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
    )
