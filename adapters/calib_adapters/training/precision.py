"""``dtype: auto``: bfloat16 where the device computes in it natively, else float32.

Where it does not, bfloat16 is emulated: on a processor with AVX2 alone, reading one token takes
fifty times as long as in float32.
"""

from __future__ import annotations

import platform
from typing import Literal

import torch

from calib_adapters.training.schema import Recipe

HALF = frozenset({torch.bfloat16, torch.float16})
# Processor features by torch's names. AVX512 alone is not enough: it emulates bfloat16.
_NATIVE = ("avx512_bf16", "amx_bf16", "avx10_2", "bf16", "sve_bf16")


def native_dtype(device: torch.device) -> Literal["bfloat16", "float32"]:
    """The dtype that `device` is fastest in; float32 where torch cannot tell."""
    if device.type == "cuda":
        # `is_bf16_supported` may count emulation. All AMD GPUs have it; their capability means
        # something else.
        native = bool(torch.version.hip) or torch.cuda.get_device_capability(device) >= (8, 0)
    elif device.type == "xpu":
        properties = torch.xpu.get_device_properties(device)
        native = bool(getattr(properties, "has_bfloat16_conversions", False))
    else:
        native = device.type == "cpu" and _cpu_is_native()
    return "bfloat16" if native else "float32"


def resolve_dtype(recipe: Recipe, device: torch.device) -> Recipe:
    """`recipe` with a dtype in place of ``auto``; weights that are all trained are float32."""
    if recipe.dtype != "auto":
        return recipe
    dtype = "float32" if recipe.trains_the_base else native_dtype(device)
    return recipe.model_copy(update={"dtype": dtype})


def _cpu_is_native() -> bool:
    """Whether torch was built with kernels for bfloat16, and the processor has the instructions."""
    try:
        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
    except (AttributeError, RuntimeError):  # built without oneDNN
        return False
    if found := getattr(torch.cpu, "get_capabilities", None):  # newer torch
        return any(found().get(name) for name in _NATIVE)
    if platform.machine().lower() in ("aarch64", "arm64"):
        return True  # there, oneDNN checked for the instruction
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
