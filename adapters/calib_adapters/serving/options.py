"""Check the arguments of back ends before anything is loaded, and explain those they refuse."""

from __future__ import annotations

import difflib
import inspect
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from calib_adapters.loading import readable
from calib_adapters.serving.early import LOCAL

_ARGUMENT = re.compile(
    r"__init__\(\) (?:got an unexpected keyword|missing \d+ required positional) arguments?:? (.+)$"
)

_TWICE = re.compile(r"multiple values for keyword argument '(\w+)'$")


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
    if ensemble is not None and len(str(ensemble).split("+")) < 2:
        raise ValueError(f"ensemble is {ensemble!r}; give at least two adapters, as A+B.")
    if passes is not None and (not isinstance(passes, int) or passes < 2):
        raise ValueError(f"mc_dropout is {passes!r}; give the number of passes, at least 2.")
    if rate is not None and (
        passes is None or not isinstance(rate, (int, float)) or not 0 < rate < 1
    ):
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


def check_device(name: str | None) -> None:
    """Check that a device is here; ``hf`` would silently use another one.

    Raises:
        ValueError: it is not.
    """
    if name is None:
        return
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"--device is {name!r}, which torch does not know; try cpu.") from None
    if device.type in ("cpu", "meta"):
        return
    kind = getattr(torch, device.type, None)
    count = kind.device_count() if kind is not None and kind.is_available() else 0
    if (device.index or 0) >= count:
        raise ValueError(
            f"--device is {name!r}, but torch sees {count} devices of that kind here; leave it "
            f"out, or say cpu."
        )


def check_arguments(model: str, given: Mapping[str, Any]) -> None:
    """Check the arguments of a back end that runs a model here, as far as it takes them unseen.

    Raises:
        ValueError: an argument has a wrong value, or an adapter of ``hf`` is not in safetensors.
    """
    if model not in LOCAL:
        return
    check_stock_options(given)
    if model != "calib-hf" and given.get("peft"):  # calib-hf checks its adapters itself
        from calib_adapters.serving.base_check import check_weights

        check_weights("peft", str(given["peft"]))


@contextmanager
def explained(model: str) -> Iterator[None]:
    """Context manager: turn tracebacks about a back end's arguments and files into one sentence."""
    with readable():
        try:
            yield
        except (TypeError, AssertionError) as error:
            if sentence := _about_options(model, error):
                raise ValueError(sentence) from error
            raise


def _about_options(model: str, error: Exception) -> str:
    """Return what is wrong with an option that `error` is about; "" if it is about none."""
    if isinstance(error, AssertionError):
        # lm-eval says nothing where an option alone is longer than the window.
        failed = str(error) or traceback.extract_tb(error.__traceback__)[-1].line or ""
        if "number of fewshot samples" in failed:
            return f"--num_fewshot: {failed.removeprefix('Error: ')}"
        if not re.search("maximum sequence length|<= self.max_length", failed):
            return ""
        reason = str(error) or "An option alone has more tokens than that."
        return f"--model_args: max_length is too small. {reason}"
    if found := _TWICE.search(str(error)):
        return f"--model_args: {found.group(1)} is an option of its own: --{found.group(1)}."
    if not (found := _ARGUMENT.search(str(error))):
        return ""
    if "missing" in str(error):
        return f"--model_args: {model} needs {found.group(1)}."
    from lm_eval.api.registry import get_model

    # transformers has further ones, so that only what it refuses is wrong.
    name = found.group(1).strip("'")
    near = nearest(name, [each.__init__ for each in get_model(model).__mro__])
    hint = f"; did you mean {near!r}?" if near else "."
    return f"--model_args: {model} does not know {name!r}{hint}"


def nearest(name: str, takers: Sequence[Callable]) -> str | None:
    """Return the parameter of one of `takers` that is spelled most like `name`, if one is close."""
    known = {each for taker in takers for each in inspect.signature(taker).parameters}
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)
