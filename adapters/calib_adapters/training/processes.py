"""The processes of a run: which one this is, and work that the first one does alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from accelerate import PartialState


def process_state() -> PartialState:
    """Return which of the run's processes this is.

    Without a GPU, accelerate looks for other processes only if it is told to use the CPU;
    `transformers.TrainingArguments` tells it, but only after the state is first needed.
    """
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    state = PartialState(cpu=several and not torch.cuda.is_available())
    state.device = unnumbered(state.device)
    return state


def unnumbered(device: torch.device) -> torch.device:
    """Return "cpu" for "cpu:0", which is what accelerate says where there are several processes.

    To move a model from one to the other copies its weights, which all processes share as long as
    they are those of the file.
    """
    return torch.device("cpu") if device.type == "cpu" else device


@contextmanager
def first_with_all_threads(state: PartialState) -> Iterator[None]:
    """Let the main process go first, using the threads of the waiting processes as well.

    The others find what it has cached. Afterwards each has its own number of threads again.
    """
    threads = torch.get_num_threads()
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # set by accelerate and torchrun
    with state.main_process_first():
        if state.is_main_process and state.device.type == "cpu":
            torch.set_num_threads(threads * beside)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
