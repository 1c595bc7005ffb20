"""Dispatch lm-eval's requests to the fast paths where they apply, else to the stock ``hf``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import normalize_gen_kwargs
from tqdm import tqdm

from calib_adapters.serving.fast.coverage import (
    choice_of,
    limit_of,
    network_of,
    stops_of,
    why_not_generated,
    why_not_scored,
)
from calib_adapters.serving.fast.decode import Prompt, decode
from calib_adapters.serving.fast.draws import numbers_of
from calib_adapters.serving.fast.memory import Memory
from calib_adapters.serving.fast.network import Network
from calib_adapters.serving.fast.score import score
from calib_adapters.serving.fast.segments import NotServed
from calib_adapters.serving.fast.sharing import Tokens, by_length, group
from calib_adapters.serving.fast.sizes import sizes, stock_rows
from calib_adapters.serving.fast.texts import encoded, ending, text_of
from harness_tasks.elicitation.late import ANSWER

# What is written here is asked about later in the run; the first also begins a new run.
FIRST, SAMPLES = (ANSWER, "generate_until"), "generate_samples"
eval_logger = logging.getLogger(__name__)
Pair = tuple[Any, list[int], list[int]]
Scored = tuple[float, bool]


class Fast:
    """Serves requests to the back end `lm` under its active adapter.

    Requests that cannot be served go to the `stock` function of the call; the log says why, once.
    """

    def __init__(self, lm: HFLM):
        self._lm = lm
        self._said: set[str] = set()
        self._network: Network | None = None
        try:
            self._network = network_of(lm)
        except NotServed as error:
            eval_logger.warning(f"calib-hf: the model runs as in hf, because {error}.")
            return
        self._memory = Memory(self._network, sizes(self._network, lm.batch_size).kept)
        self._limit = limit_of(lm, self._network)

    @property
    def serves(self) -> bool:
        """Whether the fast paths can run the model at all."""
        return self._network is not None

    def _say(self, reason: str, what: str) -> None:
        if reason not in self._said:
            self._said.add(reason)
            eval_logger.info(f"calib-hf: {what} runs as in hf, because {reason}.")

    def fitting(self, longest: int) -> int:
        """Return how many rows of that many tokens the stock code has memory for."""
        lm = self._lm
        return stock_rows(lm.device, max(1, longest), len(lm.tokenizer), lm.max_batch_size)

    @contextmanager
    def _sized(self, longest: int) -> Iterator[None]:
        """Context manager: the stock back end batches rows of `longest` tokens as memory allows.

        Its own search tries batches that fill the context window, which exhausts a CPU's memory.
        """
        lm = self._lm
        before = lm.batch_size_per_gpu
        if before == "auto":
            lm.batch_size_per_gpu = self.fitting(min(longest, lm.max_length))
        try:
            yield
        finally:
            lm.batch_size_per_gpu = before

    def _bar(self, what: str, total: int, quiet: bool) -> tqdm:
        hidden = quiet or self._lm.rank != 0
        return tqdm(total=total, disable=hidden, desc=f"Running {what} requests")

    # -------------------------------------------------------------------------------- generation

    def generate(
        self,
        requests: Sequence[Instance],
        adapter: str | None,
        stock: Callable[[list[Instance]], list[str]],
        quiet: bool = False,
    ) -> list[str]:
        """Generate a text for each request, as `HFLM.generate_until` does, under `adapter`."""
        if self.serves and any(request.request_type in FIRST for request in requests):
            self._memory.forget()
        rows = encoded(self._lm, [request.args[0] for request in requests])
        alike: dict[str, list[int]] = {}  # requests with the same generation arguments
        left: list[int] = []
        for place, request in enumerate(requests):
            if reason := self._why_not(request, len(rows[place])):
                self._say(reason, f"a text of {request.task_name}")
                left.append(place)
            else:
                alike.setdefault(repr(request.args[1]), []).append(place)
        texts: dict[int, str] = {}
        if left:
            longest = max(len(rows[place]) + self._most(requests[place].args[1]) for place in left)
            with self._sized(longest):
                texts.update(zip(left, stock([requests[place] for place in left]), strict=True))
        with self._bar("generate_until", len(requests) - len(left), quiet) as bar:
            for places in alike.values():
                chosen = {place: rows[place] for place in places}
                for place, text in self._write(requests, chosen, adapter):
                    texts[place] = text
                    self._lm.cache_hook.add_partial("generate_until", requests[place].args, text)
                    bar.update()
        return [texts[place] for place in range(len(requests))]

    def _most(self, generation: Mapping[str, Any]) -> int:
        return normalize_gen_kwargs(dict(generation), self._lm.max_gen_toks)["max_gen_toks"]

    def _why_not(self, request: Instance, tokens: int) -> str | None:
        """Return why the stock back end must write the text, or ``None``."""
        if not self.serves:
            return "the whole model runs there"
        generation = request.args[1]
        if reason := why_not_generated(self._lm, generation):
            return reason
        if not tokens:
            return "its prompt is empty"
        if tokens + self._most(generation) > self._limit:
            return "prompt and reply are longer than the window"
        return None

    def _write(
        self, requests: Sequence[Instance], rows: Mapping[int, Tokens], adapter: str | None
    ) -> Iterator[tuple[int, str]]:
        """Yield ``(place, text)`` for requests that have the same generation arguments."""
        lm, memory = self._lm, self._memory
        request = requests[next(iter(rows))]
        choice, stops = choice_of(lm, request.args[1]), stops_of(lm, request.args[1])
        most = self._most(request.args[1])
        key = repr((torch.initial_seed(), request.request_type, request.args[1]))
        same: dict[Tokens, list[int]] = {}
        for place, row in rows.items():
            same.setdefault(row, []).append(place)
        questions = list(same)
        for found in group(questions):
            cut = len(found.prefix)
            prompts = []
            for number in by_length(found.rows, questions):
                row = questions[number]
                count = len(same[row]) if choice.sampled else 1
                numbers = partial(numbers_of, key, row, count, most)
                prompts.append(Prompt(number, row[cut:], count, numbers))
            for number, written in decode(
                self._network,
                prompts,
                lambda rows, prefix=found.prefix: memory.read(adapter, prefix, rows),
                memory.prefix(adapter, found.prefix),
                choice,
                ending(lm, stops),
                most,
                sizes(self._network, lm.batch_size),
            ):
                if request.request_type in (*FIRST, SAMPLES):
                    memory.remember(adapter, questions[number], written)
                for i, place in enumerate(same[questions[number]]):
                    yield place, text_of(lm, written[i if choice.sampled else 0], stops)

    # ---------------------------------------------------------------------------- log-likelihood

    def score(
        self,
        requests: Sequence[Pair],
        adapter: str | None,
        stock: Callable[[list[Pair]], list[Scored]],
        quiet: bool = False,
    ) -> list[Scored]:
        """Compute log-likelihoods, as `HFLM._loglikelihood_tokens` does, under `adapter`."""
        asked: dict[Tokens, dict[Tokens, list[int]]] = {}
        left: list[int] = []
        for place, (_, context, continuation) in enumerate(requests):
            reason = "the whole model runs there"
            if self.serves:
                reason = why_not_scored(len(context), len(continuation), self._limit)
            if reason:
                self._say(reason, "a log-likelihood")
                left.append(place)
            else:
                same = asked.setdefault(tuple(context), {})
                same.setdefault(tuple(continuation), []).append(place)
        found: dict[int, Scored] = {}
        if left:
            longest = max(len(requests[place][1]) + len(requests[place][2]) for place in left)
            with self._sized(longest):
                found.update(zip(left, stock([requests[place] for place in left]), strict=True))
        with self._bar("loglikelihood", len(requests) - len(left), quiet) as bar:
            for context, continuation, scored in self._score(asked, adapter):
                for place in asked[context][continuation]:
                    found[place] = scored
                    if requests[place][0] is not None:
                        self._lm.cache_hook.add_partial("loglikelihood", requests[place][0], scored)
                    bar.update()
        return [found[place] for place in range(len(requests))]

    def _score(
        self, asked: Mapping[Tokens, Iterable[Tokens]], adapter: str | None
    ) -> Iterator[tuple[Tokens, Tokens, Scored]]:
        """Yield ``(context, continuation, scored)``; texts generated before need no pass."""
        unknown: dict[Tokens, list[Tokens]] = {}
        for row, continuations in asked.items():
            for continuation in continuations:
                if known := self._memory.look_up(adapter, row, continuation):
                    yield row, continuation, known
                else:
                    unknown.setdefault(row, []).append(continuation)
        rows = list(unknown)
        for found in group(rows):
            cut = len(found.prefix)
            for (number, continuation), scored in score(
                self._network,
                {number: rows[number][cut:] for number in found.rows},
                {number: unknown[rows[number]] for number in found.rows},
                lambda rows, prefix=found.prefix: self._memory.read(adapter, prefix, rows),
                self._memory.prefix(adapter, found.prefix),
                sizes(self._network, self._lm.batch_size),
            ):
                yield rows[number], continuation, scored
