"""Which rows are trained on together: the same ones for any number of processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

GROUP = 8  # batches whose rows are sorted by length together


class EpochBatches:
    """Batches of similar length, in an order that depends on seed and epoch alone.

    The stock samplers continue one random stream, so a resumed run would draw its first epoch's
    order again and end with other weights than an unbroken one. Only eight batches at a time are
    sorted by length, and the batches are shuffled again: questions of one template have one length
    and often one label, and sorting all rows would make batches of a single relation.

    An epoch's batches differ by at most one row, and every process takes its share of each, so that
    several processes take the same steps as one. It is a batch sampler of `DataLoader`.

    Args:
        lengths: tokens of each row.
        batch_size: rows in a batch of all processes together, at most.
        seed: of the order.
        process, processes: the process whose share is yielded, and how many there are.

    Raises:
        ValueError: fewer rows in a batch than processes.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        process: int = 0,
        processes: int = 1,
    ):
        self.lengths = torch.tensor(lengths)
        self.count = -(-len(lengths) // batch_size)
        self.seed, self.process, self.processes = seed, process, processes
        self.epoch = 0
        if len(lengths) // self.count < processes:
            raise ValueError(
                f"{len(lengths)} rows in batches of optimiser.batch_size={batch_size} cannot be "
                f"shared among {processes} processes; use fewer processes or larger batches."
            )

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator)
        drawn = order.tensor_split(self.count)
        batches: list[torch.Tensor] = []
        for start in range(0, self.count, GROUP):
            rows = torch.cat(drawn[start : start + GROUP])
            by_length = rows[self.lengths[rows].argsort(stable=True)]
            batches += by_length.tensor_split(len(drawn[start : start + GROUP]))
        for i in torch.randperm(self.count, generator=generator).tolist():
            yield batches[i].tensor_split(self.processes)[self.process].tolist()

    def __len__(self) -> int:
        return self.count
