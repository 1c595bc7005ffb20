"""The teacher: any back end of lm-eval, as a function from prompts to replies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import transformers
from lm_eval.api.model import LM
from lm_eval.api.registry import get_model
from lm_eval.utils import simple_parse_args_string

from calib_adapters.serving.options import check_arguments, check_device, explained
from harness_tasks.elicitation.ending import cut_at_stops
from harness_tasks.elicitation.harness import request, shared


class Reply(NamedTuple):
    """What the teacher wrote; `finished` is None where the back end has no tokenizer to tell."""

    text: str
    finished: bool | None


class Sampling(NamedTuple):
    """How the teacher samples its replies."""

    temperature: float
    top_p: float
    max_tokens: int


# prompts, their stop strings, seed -> replies
Teacher = Callable[[Sequence[str], Sequence[list[str]], int], list[Reply]]


def load_teacher(
    model: str,
    model_args: str,
    sampling: Sampling,
    batch_size: int | str = 1,
    device: str | None = None,
    chat: bool = False,
) -> Teacher:
    """Load a back end as ``lm_eval run --model MODEL --model_args ARGS`` does.

    Args:
        model: name of the back end, such as ``hf`` or ``local-chat-completions``.
        model_args: its arguments, ``key=value`` with commas between.
        sampling: how it writes.
        batch_size: for the back end.
        device: for the back end.
        chat: show every prompt as a user's turn in the back end's chat template.

    Raises:
        ValueError: lm-eval has no back end of that name, or it does not take the arguments; the
            device is not here.
    """
    check_device(device)
    check_arguments(model, simple_parse_args_string(model_args))
    with explained(model):
        lm: LM = get_model(model).create_from_arg_string(
            model_args, {"batch_size": batch_size, "device": device}
        )
    # Only API models have it; they take a seed as an argument.
    remote = hasattr(lm, "_create_payload")
    encode = getattr(lm, "tok_encode", None) if getattr(lm, "tokenizer", None) else None

    def write(prompts: Sequence[str], stops: Sequence[list[str]], seed: int) -> list[Reply]:
        transformers.set_seed(seed)
        requests = []
        for number, (prompt, stop) in enumerate(zip(prompts, stops, strict=True)):
            if chat:
                prompt = lm.apply_chat_template([{"role": "user", "content": prompt}])
            generation = {
                "until": stop,
                "max_gen_toks": sampling.max_tokens,
                "do_sample": sampling.temperature > 0,
                "temperature": sampling.temperature,
                **({"top_p": sampling.top_p} if sampling.temperature > 0 else {}),
                **({"seed": seed} if remote else {}),
            }
            requests.append(
                request("generate_until", (prompt, generation), shared({}, "self_instruct", number))
            )
        texts = lm.generate_until(requests)
        # Counted before the stop strings are cut: a reply of the full length was cut off.
        full = [None if encode is None else len(encode(text)) for text in texts]
        return [
            Reply(
                cut_at_stops(text, asked.args[1]["until"]),
                None if length is None else length < sampling.max_tokens - 1,
            )
            for text, asked, length in zip(texts, requests, full, strict=True)
        ]

    return write
