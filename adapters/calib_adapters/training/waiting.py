"""Work of the first process alone, while the others wait."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from accelerate import PartialState


@contextmanager
def first_with_all_threads(state: PartialState) -> Iterator[None]:
    """Let the main process go first, with the threads of the waiting processes too.

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
