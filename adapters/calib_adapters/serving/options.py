"""Check the model arguments of calib-hf before anything is loaded."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch


def check_options(
    confidence: str | None, ensemble: str | None, peft: str | None, passes: Any, rate: Any
) -> None:
    """Check the arguments that calib-hf adds.

    Raises:
        ValueError: an argument has a wrong value, or two of them exclude each other.
    """
    if sum(map(bool, (confidence, ensemble, peft))) > 1 or (ensemble and passes):
        raise ValueError(
            "calib-hf: peft, ensemble and confidence_adapter or probe (where the base model "
            "answers) exclude each other, and mc_dropout does not go with ensemble; give one."
        )
    if ensemble and len(str(ensemble).split("+")) < 2:
        raise ValueError(f"ensemble is {ensemble!r}; give at least two adapters, as A+B.")
    if passes is not None and (not isinstance(passes, int) or passes < 2):
        raise ValueError(f"mc_dropout is {passes!r}; give the number of passes, at least 2.")
    if rate is not None and (passes is None or not 0 < rate < 1):
        raise ValueError(
            f"mc_dropout_rate is {rate!r}; it goes with mc_dropout and lies between 0 and 1."
        )


def check_stock_options(given: Mapping[str, Any]) -> None:
    """Check arguments of ``hf`` whose wrong values it would accept, or end on with a traceback.

    Raises:
        ValueError: an argument has a wrong value.
    """
    if not isinstance(fast := given.get("fast", True), bool):
        raise ValueError(f"fast is {fast!r}; give True or False.")
    for key in ("dtype", "softmax_dtype", "mixed_precision_dtype"):
        value = given.get(key)
        if value is None or (key == "dtype" and value == "auto"):
            continue
        found = getattr(torch, value, None) if isinstance(value, str) else value
        if not (isinstance(found, torch.dtype) and found.is_floating_point):
            raise ValueError(f"{key} is {value!r}; give float32, bfloat16 or float16.")
    max_length = given.get("max_length")
    if max_length is not None and (not isinstance(max_length, int) or max_length < 1):
        raise ValueError(f"max_length is {max_length!r}; give a number of tokens.")


def nearest(name: str, takers: Sequence[Callable]) -> str | None:
    """Return the parameter of one of `takers` that is spelled most like `name`, if one is close."""
    known = {each for taker in takers for each in inspect.signature(taker).parameters}
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)
