"""The machine and the versions that an adapter was trained with."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from typing import Any

import torch

from accelerate import PartialState

PACKAGES = ("calibench", "torch", "transformers", "peft", "accelerate", "datasets", "numpy")


def describe_machine(state: PartialState) -> dict[str, Any]:
    """Device, its name, cores, threads and processes."""
    device = state.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    return {
        "device": device.type,
        "name": name or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": state.num_processes,
    }


def describe_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def peak_memory() -> int:
    """Bytes: the largest resident set of this process, and on a GPU what was allocated there."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
