"""How much must a computer compute at least to answer the requests of a run? From its samples.

Each token of each distinct prefix goes through the layers once, whatever the number of requests
that begin with it; the output head is computed where a token is drawn or scored. A multiplication
and an addition are two operations. What is not a matrix product (norms, softmax, sampling) is left
out, as it is from the peak of the machine, which is that of a large matrix product.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

Asked = tuple[str, str | None, list[str]]  # prompt, scored continuation, replies


def least_operations(samples: Path, model: str) -> float:
    """Floating-point operations of the least work for the requests of a samples file."""
    from transformers import AutoConfig, AutoTokenizer

    depths, heads = least_tokens(requests_of(samples), AutoTokenizer.from_pretrained(model))
    return operations(AutoConfig.from_pretrained(model), depths, heads)


def requests_of(samples: Path) -> Iterator[Asked]:
    """The requests of a run, with what the model replied to them."""
    first: dict[int, dict] = {}  # the rows of a question, one for each method, list the same ones
    with samples.open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            first.setdefault(row["doc_id"], row)
    for row in first.values():
        for asked, replies in zip(row["arguments"].values(), row["resps"], strict=True):
            scored = asked["arg_1"] if isinstance(asked["arg_1"], str) else None
            yield asked["arg_0"], scored, [] if scored else replies


def least_tokens(requests: Iterable[Asked], tokenizer) -> tuple[list[int], int]:
    """The tokens before and at each token that is read, and the number of places with a head.

    The last token of a reply, which ends it, is drawn but never read.
    """
    known: dict[tuple[int, int], int] = {}  # number of a prefix, by that before it and its token
    depths: list[int] = []
    heads: set[int] = set()

    def read(tokens: Sequence[int], drawn: int) -> None:
        """Read `tokens`; the last `drawn` places among them have a head."""
        place = -1
        for depth, token in enumerate(tokens, 1):
            if (place, token) not in known:
                known[place, token] = len(depths)
                depths.append(depth)
            place = known[place, token]
            if depth > len(tokens) - drawn:
                heads.add(place)

    for prompt, scored, replies in requests:
        before = tokenizer(prompt)["input_ids"]
        if scored is not None:
            whole = tokenizer(prompt + scored)["input_ids"]
            read(whole[:-1], len(whole) - len(before))
        for reply in replies:
            written = tokenizer(reply, add_special_tokens=False)["input_ids"]
            read(before + written, len(written) + 1)
    return depths, len(heads)


def operations(config, depths: Sequence[int], heads: int) -> float:
    """Operations of a decoder on tokens with so many tokens before and at them."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    head = model.get_output_embeddings()
    weights = sum(
        module.weight.numel()
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    )
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    kinds = getattr(config, "layer_types", None) or ["full"] * config.num_hidden_layers
    seen = 0
    for kind in kinds:
        most = config.sliding_window if kind == "sliding_attention" else max(depths)
        seen += sum(min(depth, most) for depth in depths)
    attention = 2 * 2 * config.num_attention_heads * size * seen  # scores, and the mean of values
    return 2.0 * weights * len(depths) + attention + 2.0 * head.weight.numel() * heads


def peak(dtype: str, threads: int, clock: str, side: int = 4096, repeats: int = 5) -> float:
    """Operations per second of a product of two square matrices, the best of several."""
    import torch

    torch.set_num_threads(threads)
    now = {"wall": time.perf_counter, "processor": time.process_time}[clock]
    one = torch.randn(side, side).to(getattr(torch, dtype))
    seconds = []
    for _ in range(repeats + 1):  # the first one warms up
        started = now()
        one @ one
        seconds.append(now() - started)
    return 2.0 * side**3 / min(seconds[1:])
