"""Whole weights of a model whose weights are spread over processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import transformers
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor


@contextmanager
def whole_weights(trainer: transformers.Trainer) -> Iterator[None]:
    """Inside this context, every process holds the trainer's model whole, ready to be saved.

    All processes have to enter. FSDP's model cannot be trained on after that.
    """
    if trainer.is_deepspeed_enabled:
        from deepspeed.runtime.zero import GatheredParameters

        with GatheredParameters(list(trainer.model.parameters())):
            yield
        return
    if trainer.is_fsdp_enabled:
        _gather(trainer.model)
    yield


@torch.no_grad()
def _gather(model: nn.Module) -> None:
    """Put plain tensors in the place of shards; weights that modules share stay shared."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
    whole: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, shard in list(module.named_parameters(recurse=False)):
            if isinstance(shard, DTensor):
                if id(shard) not in whole:
                    whole[id(shard)] = nn.Parameter(shard.full_tensor(), shard.requires_grad)
                setattr(module, name, whole[id(shard)])
