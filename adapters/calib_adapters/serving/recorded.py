"""Answer a model's requests from a journal where it has them, and record the others.

A back end reports each response to lm-eval's cache hook as soon as it has it; responses that it
does not report are recorded when the call returns.

Equal requests in one call, such as the K samples of a question, are kept together or not at all.
Most back ends restart their random stream in every process, so that half of the samples from one
process and half from the next could come from the same random numbers.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, CacheHook

from calib_adapters.serving.journal import Journal
from harness_tasks.elicitation.ending import Reply
from harness_tasks.elicitation.logprobs import LOGPROBS_CHECK

KINDS = ("loglikelihood", "loglikelihood_rolling", "generate_until", "correctness")
eval_logger = logging.getLogger(__name__)


@contextmanager
def recorded(lm: LM, journal: Journal) -> Iterator[None]:
    """Context manager: all requests to `lm` go through `journal`."""
    recorder = _Recorder(lm, journal)
    own = {kind: getattr(lm, kind) for kind in KINDS if hasattr(lm, kind)}
    over = {kind: recorder.through(kind, ask) for kind, ask in own.items()}
    # A trial is of the model, or the server, as it is now.
    over[LOGPROBS_CHECK] = recorder.past(getattr(lm, LOGPROBS_CHECK))
    vars(lm).update(over)
    try:
        yield
    finally:
        for name in over:
            delattr(lm, name)  # its class's method is seen again


class _Recorder:
    """Answers requests from a journal, and records what the model answers to the others."""

    def __init__(self, lm: LM, journal: Journal):
        self._lm, self._journal = lm, journal
        self._times: Counter[str] = Counter()  # that a request was put, by its digest
        self._said = self._broken = self._past = False

    def past(self, check: Callable[[Sequence[Instance]], list]) -> Callable[..., list]:
        """Return `check` such that it asks the model itself, not the journal."""

        def run(requests: Sequence[Instance]) -> list:
            self._past = True
            try:
                return check(requests)
            finally:
                self._past = False

        return run

    def through(self, kind: str, ask: Callable[..., list]) -> Callable[..., list]:
        """The model's method `ask`, of the name `kind`, over the journal."""

        def run(requests: Sequence[Instance], *args: Any, **options: Any) -> list:
            if self._past:
                return ask(requests, *args, **options)
            types = sorted({request.request_type for request in requests})
            same: dict[str, list[int]] = {}  # places, by what is asked
            for place, request in enumerate(requests):
                if digest := _digest_of_arguments(request.args):
                    same.setdefault(digest, []).append(place)
            keys = {digest: self._key(kind, types, digest) for digest in same}
            found: dict[int, Any] = {}
            missing: dict[str, list[int]] = {}
            for digest, places in same.items():
                known = self._journal.entries.get(keys[digest], ())
                if len(known) == len(places):
                    found.update(zip(places, map(_response, known), strict=True))
                else:
                    missing[digest] = places
            rest = [place for place in range(len(requests)) if place not in found]
            if found:
                self._say(f"{len(found):,} of {len(requests):,} {'/'.join(types)} responses")
                if rest and kind == "generate_until":
                    self._draw_on(len(found))
            if not rest and requests and self._lm.world_size > 1:
                rest = [0]  # the processes size their batches together, so each must have one
            if rest:
                hook = _Hook(kind, requests, missing, lambda d, r: self._keep(keys[d], r))
                with self._hooked(hook):
                    new = ask([requests[place] for place in rest], *args, **options)
                for place, response in zip(rest, new, strict=True):
                    found.setdefault(place, response)
                for digest in hook.unreported:
                    self._keep(keys[digest], [found[place] for place in missing[digest]])
            return [found[place] for place in range(len(requests))]

        return run

    def _key(self, kind: str, types: list[str], digest: str) -> str:
        """Return the key of a request that may be repeated."""
        asked = digest_of([kind, types, digest])
        self._times[asked] += 1
        return digest_of([asked, self._times[asked]])

    @contextmanager
    def _hooked(self, hook: CacheHook) -> Iterator[None]:
        before = self._lm.cache_hook
        self._lm.set_cache_hook(hook)
        try:
            yield
        finally:
            self._lm.set_cache_hook(before)

    def _keep(self, key: str, responses: list) -> None:
        if self._broken:
            return
        try:
            self._journal.add(key, [_plain(response) for response in responses])
        except OSError as error:  # no reason to lose the evaluation
            self._broken = True
            eval_logger.warning(
                f"{self._journal.path} cannot be written ({error}): if this run is killed, what it "
                f"asks from now on is asked again."
            )
        except (TypeError, ValueError):
            pass  # no response of the kinds that we know

    def _say(self, what: str) -> None:
        eval_logger.info(f"goes on: {what} are there already.")
        if not self._said:
            self._said = True
            eval_logger.info(f"They are in {self._journal.path}; delete it to ask all again.")

    def _draw_on(self, responses: int) -> None:
        """Leave behind the random numbers by which the `responses` may have been drawn."""
        torch, device = sys.modules.get("torch"), getattr(self._lm, "device", None)
        if torch is not None and isinstance(device, torch.device):
            torch.rand(responses, device=device)


class _Hook(CacheHook):
    """Collects responses that a back end reports, and passes on each request once complete."""

    def __init__(
        self,
        kind: str,
        requests: Sequence[Instance],
        missing: dict[str, list[int]],
        keep: Callable[[str, list], None],
    ):
        super().__init__(None)
        self._kind, self._keep = kind, keep
        self._wanted = {digest: len(places) for digest, places in missing.items()}
        self._reported: dict[str, list] = {digest: [] for digest in missing}
        # vLLM reports other generation settings than it was given, so the prompt must do, if it
        # was not asked with several.
        self._by_prompt: dict[str | None, list[str]] = {}
        for digest, places in missing.items() if kind == "generate_until" else ():
            prompt = _digest_of_arguments(requests[places[0]].args[:1])
            self._by_prompt.setdefault(prompt, []).append(digest)

    @property
    def unreported(self) -> list[str]:
        """Return the responses that were not passed on."""
        return list(self._wanted)

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Called by the back end: a response `res` to the arguments `req`."""
        if attr != self._kind:
            return
        digest = _digest_of_arguments(req)
        if digest not in self._reported:
            same = self._by_prompt.get(_digest_of_arguments(tuple(req)[:1]), [])
            if len(same) != 1:
                return
            digest = same[0]
        if digest not in self._wanted:
            return
        self._reported[digest].append(res)
        if len(self._reported[digest]) == self._wanted[digest]:
            del self._wanted[digest]
            self._keep(digest, self._reported[digest])


def digest_of(content: Any) -> str:
    """Return the sha256 of `content` as JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()


def _digest_of_arguments(arguments: Sequence[Any]) -> str | None:
    """Return the sha256 of a request's arguments; ``None`` if JSON cannot express them (images)."""
    try:
        return digest_of(list(arguments))
    except (TypeError, ValueError):
        return None


def _plain(response: Any) -> Any:
    """A response as JSON can express it; `_response` is the inverse.

    Raises:
        TypeError: a response of no known kind.
    """
    if isinstance(response, Reply):
        return {"text": str(response), **vars(response)}
    if isinstance(response, tuple):
        logprob, greedy = response
        return [float(logprob), bool(greedy)]
    if isinstance(response, str):
        return response
    return float(response)


def _response(plain: Any) -> Any:
    if isinstance(plain, dict):
        return Reply(**plain)
    return tuple(plain) if isinstance(plain, list) else plain
