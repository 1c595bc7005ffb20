"""The random stream from which a model in this process draws, written down and set again."""

from __future__ import annotations

import base64
import sys
import zlib
from functools import partial
from typing import Any

from lm_eval.api.model import LM


def stream_of(lm: LM) -> RandomStream | None:
    """Return the stream of a PyTorch model in this process; ``None`` of any other back end."""
    torch, device = sys.modules.get("torch"), getattr(lm, "device", None)
    return RandomStream(device) if torch and isinstance(device, torch.device) else None


class RandomStream:
    """PyTorch's default generator on `device`."""

    def __init__(self, device: Any):
        import torch

        module = torch if device.type == "cpu" else torch.get_device_module(device)
        of = () if device.type in ("cpu", "mps") else (device,)
        self._get, self._set = partial(module.get_rng_state, *of), module.set_rng_state
        self._of = of

    def state(self) -> bytes:
        """Return what decides all further numbers."""
        return self._get().numpy().tobytes()

    def restore(self, written: str) -> None:
        """Go on from a state that `written` returned; one of another kind of device is ignored."""
        import torch

        state = zlib.decompress(base64.b64decode(written))
        if len(state) == len(self.state()):
            self._set(torch.frombuffer(bytearray(state), dtype=torch.uint8), *self._of)


def written(state: bytes) -> str:
    """Return a state as text."""
    return base64.b64encode(zlib.compress(state)).decode("ascii")
