"""Answer a model's requests from a journal where it has them, and record the others.

A back end reports each response to lm-eval's cache hook as soon as it has it; responses that it
does not report are recorded when the call returns.

A model in this process draws its samples from one random stream. The journal has the state of that
stream behind the last batch it holds; a run that goes on does so from there, with the batches and
the random numbers of an unbroken run. Back ends whose stream is out of sight begin it anew in every
process. There, equal requests in one call, such as the K samples of a question, are kept together
or not at all, since half of them from one process and half from the next could come from the same
random numbers.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, CacheHook

from calib_adapters.serving.journal import Journal
from calib_adapters.serving.random_stream import RandomStream, stream_of, written
from harness_tasks.elicitation.ending import Reply
from harness_tasks.elicitation.logprobs import LOGPROBS_CHECK

KINDS = ("loglikelihood", "loglikelihood_rolling", "generate_until", "correctness")
PORTION = 1024  # many more than vLLM runs at a time
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
        with _in_portions(lm):
            yield
    finally:
        for name in over:
            delattr(lm, name)  # its class's method is seen again


@contextmanager
def _in_portions(lm: LM) -> Iterator[None]:
    """Context manager: vLLM reports after every `PORTION` requests, not when a call ends."""
    own = getattr(lm, "batch_size", None)
    # Of several replicas, each call of the engine loads the model anew.
    portioned = own == "auto" and getattr(lm, "data_parallel_size", None) == 1
    if portioned:
        lm.batch_size = PORTION
    try:
        yield
    finally:
        if portioned:
            lm.batch_size = own


class _Recorder:
    """Answers requests from a journal, and records what the model answers to the others."""

    def __init__(self, lm: LM, journal: Journal):
        self._lm, self._journal = lm, journal
        self._stream = stream_of(lm)
        # Whether equal requests can be answered one by one, as they go on with the same stream.
        self._apart = self._stream is not None and not getattr(lm, "numbers_samples", False)
        self._times: Counter[str] = Counter()  # that something was put, by its digest
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
            call = self._key([kind, types])
            found: dict[int, Any] = {}
            missing = []
            for group in self._groups([kind, types], requests):
                known = self._journal.entries.get(group.key, ())
                if len(known) == len(group.places):
                    found.update(zip(group.places, map(_response, known), strict=True))
                else:
                    missing.append(group)
            rest = [place for place in range(len(requests)) if place not in found]
            if found:
                self._say(f"{len(found):,} of {len(requests):,} {'/'.join(types)} responses")
                self._go_on(call)
            if rest:
                writer = _Writer(self._keep, call, self._stream)
                hook = _Hook(kind, requests, missing, writer.put)
                with self._hooked(hook):
                    new = ask([requests[place] for place in rest], *args, **options)
                for place, response in zip(rest, new, strict=True):
                    found.setdefault(place, response)
                for group in hook.unreported:
                    writer.put(group.key, [found[place] for place in group.places])
                writer.flush()
            elif requests and self._lm.world_size > 1:
                # The processes size their batches together, so each must have a request.
                ask([requests[0]], *args, **options)
                self._go_on(call)
            return [found[place] for place in range(len(requests))]

        return run

    def _groups(self, call: list, requests: Sequence[Instance]) -> Iterator[_Group]:
        """Yield the requests in groups that are kept whole or not at all."""
        same: dict[str, list[int]] = {}  # places, by what is asked
        for place, request in enumerate(requests):
            if digest := _digest_of_arguments(request.args):
                same.setdefault(digest, []).append(place)
        for digest, places in same.items():
            for part in [[place] for place in places] if self._apart else [places]:
                yield _Group(self._key([*call, digest]), digest, part)

    def _key(self, asked: list) -> str:
        """Return the key of something that may be repeated."""
        digest = digest_of(asked)
        self._times[digest] += 1
        return digest_of([digest, self._times[digest]])

    @contextmanager
    def _hooked(self, hook: CacheHook) -> Iterator[None]:
        before = self._lm.cache_hook
        self._lm.set_cache_hook(hook)
        try:
            yield
        finally:
            self._lm.set_cache_hook(before)

    def _keep(self, entries: Mapping[str, list]) -> None:
        if self._broken:
            return
        plain = {}
        for key, responses in entries.items():
            with suppress(TypeError, ValueError):  # no response of the kinds that we know
                plain[key] = [_plain(response) for response in responses]
        try:
            self._journal.add(plain)
        except OSError as error:  # no reason to lose the evaluation
            self._broken = True
            eval_logger.warning(
                f"{self._journal.path} cannot be written ({error}): if this run is killed, what it "
                f"asks from now on is asked again."
            )

    def _say(self, what: str) -> None:
        eval_logger.info(f"goes on: {what} are there already.")
        if not self._said:
            self._said = True
            eval_logger.info(f"They are in {self._journal.path}; delete it to ask all again.")

    def _go_on(self, call: str) -> None:
        """Leave behind the random numbers by which the responses of `call` were drawn."""
        if self._stream and (state := self._journal.entries.get(call)):
            self._stream.restore(state[0])


@dataclass(frozen=True)
class _Group:
    """Equal requests of a call: the key in the journal, the digest of their arguments, places."""

    key: str
    digest: str
    places: list[int]


class _Writer:
    """Writes the responses of a call, and after samples where the random stream is then.

    A batch of samples is written, at once, when the next one is there: then it is whole, and a run
    that goes on behind it makes the same batches from the same random numbers.
    """

    def __init__(
        self, keep: Callable[[Mapping[str, list]], None], call: str, stream: RandomStream | None
    ):
        self._keep, self._call = keep, call
        self._state = stream.state if stream else lambda: b""
        self._written = self._now = self._state()
        self._held: dict[str, list] = {}

    def put(self, key: str, responses: list) -> None:
        """Write the responses of a group, or hold them until the next batch."""
        if (state := self._state()) != self._now:
            self.flush()
            self._now = state
        if state == self._written:  # nothing was drawn
            self._keep({key: responses})
        else:
            self._held[key] = responses

    def flush(self) -> None:
        """Write what is held."""
        if self._now != self._written:
            self._keep({self._call: [written(self._now)], **self._held})
            self._written, self._held = self._now, {}


class _Hook(CacheHook):
    """Collects responses that a back end reports, and passes on each group once complete."""

    def __init__(
        self,
        kind: str,
        requests: Sequence[Instance],
        missing: Sequence[_Group],
        put: Callable[[str, list], None],
    ):
        super().__init__(None)
        self._kind, self._put = kind, put
        self._open: dict[str, list[_Group]] = {}  # by the digest of their arguments, in turn
        for group in reversed(missing):
            self._open.setdefault(group.digest, []).append(group)
        self._reported: dict[str, list] = {group.key: [] for group in missing}
        # vLLM reports other generation settings than it was given, so prompt and seed must do, if
        # it was not asked with several others.
        self._by_prompt: dict[str | None, set[str]] = {}
        for group in missing if kind == "generate_until" else ():
            prompt = _digest_of_prompt(requests[group.places[0]].args)
            self._by_prompt.setdefault(prompt, set()).add(group.digest)

    @property
    def unreported(self) -> list[_Group]:
        """Return the groups that were not passed on."""
        return [group for groups in self._open.values() for group in groups]

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Called by the back end: a response `res` to the arguments `req`."""
        if attr != self._kind:
            return
        digest = _digest_of_arguments(req)
        if digest not in self._open:
            same = self._by_prompt.get(_digest_of_prompt(req), set())
            if len(same) != 1:
                return
            (digest,) = same
        if not (waiting := self._open[digest]):
            return
        group = waiting[-1]
        self._reported[group.key].append(res)
        if len(self._reported[group.key]) == len(group.places):
            waiting.pop()
            self._put(group.key, self._reported.pop(group.key))


def digest_of(content: Any) -> str:
    """Return the sha256 of `content` as JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()


def _digest_of_arguments(arguments: Sequence[Any]) -> str | None:
    """Return the sha256 of a request's arguments; ``None`` if JSON cannot express them (images)."""
    try:
        return digest_of(list(arguments))
    except (TypeError, ValueError):
        return None


def _digest_of_prompt(arguments: Sequence[Any]) -> str | None:
    """Return the sha256 of the prompt of a text, and of the seed by which it is drawn, if any."""
    prompt, *settings = arguments
    seeds = [each.get("seed") for each in settings if isinstance(each, dict)]
    return _digest_of_arguments([prompt, *seeds])


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
