"""Late-bound requests: prompts that contain an earlier response of the same run.

lm-eval builds every request before the model runs, then executes one request type at a time in
the order in which the types were first seen, and reads ``Instance.args`` only at that moment.
A second turn ("Is the proposed answer correct?") therefore needs two things:

* an ``Instance`` whose ``arguments`` are computed when they are read (`LateInstance`);
* a request type of its own, named after the type it waits for, which runs after that type
  whatever other tasks share the run. ``loglikelihood_after_generate_answer`` is first seen in a
  task that asked for ``generate_answer`` just before, so it can never be scheduled earlier.

Nothing else in the project depends on lm-eval's scheduling; ``tests/tasks/test_late_requests.py``
fails if a new lm-eval changes it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, CachingLM

import harness_tasks.elicitation.response_cache  # noqa: F401  (the model is in the cache's keys)
from harness_tasks.elicitation.ending import generate
from harness_tasks.elicitation.harness import request, shared
from harness_tasks.elicitation.lengths import note_lengths

eval_logger = logging.getLogger(__name__)


class LateInstance(Instance):
    """An lm-eval request whose arguments are built from other responses when first needed.

    Args:
        build: called without arguments when the request runs; returns the usual argument tuple.
        after: request type of the parent, or ``None`` if the arguments depend on no response.
        kind: name of the model's method that runs it, such as ``loglikelihood``.
        **kwargs: ``idx``, and what the requests of a document share.
    """

    def __init__(self, kind: str, build: Callable[[], tuple], *, after: str | None, **kwargs: Any):
        self._build = build
        self._built: tuple | None = None
        super().__init__(request_type=late_type(kind, after), arguments=(), **kwargs)

    @property
    def arguments(self) -> tuple:
        """The arguments, built on first access."""
        # Read many times (sorting, batching, logging), and always after the parent has run.
        if self._built is None:
            self._built = self._build()
        return self._built

    @arguments.setter
    def arguments(self, value: tuple) -> None:
        # The dataclass initialiser assigns the field; a late request has no value to keep.
        pass


def add_request_type(name: str, run: Callable[[LM, list[Instance]], list]) -> None:
    """Make `name` a request type that every back end executes by ``run(lm, requests)``."""
    # CachingLM is a proxy, not a subclass of LM: if the method is defined there, calls go through
    # its cache; its __getattr__ would pass them to the model uncached.
    for cls in (LM, CachingLM):
        setattr(cls, name, run)


def late_type(kind: str, after: str | None) -> str:
    """Name of the request type that runs `kind` once all requests of type `after` have run."""
    name = f"{kind}_at_once" if after is None else f"{kind}_after_{after}"
    if not hasattr(LM, name):
        add_request_type(name, _runner(kind))
    return name


def _runner(kind: str) -> Callable[[LM, list[Instance]], list]:
    def run(lm: LM, requests: list[Instance]) -> list:
        note_lengths(lm, requests)
        if kind != "generate_until":
            return getattr(lm, kind)(requests)
        return generate(lm, requests)

    return run


def token_loglikelihood(lm: LM, requests: list[Instance]) -> list[tuple[float, int | None]]:
    """Log-likelihood of each continuation together with its length in tokens.

    lm-eval's ``loglikelihood`` returns the sum only, and a length-normalised probability needs
    the number of tokens. It also scores white space that ends a prompt, as that of a chat template
    does, with the continuation; here that belongs to the prompt.

    Returns:
        ``(log-probability in nats, number of tokens or None)`` per request; ``None`` on a back end
        without a tokenizer.
    """
    scored = lm.loglikelihood(requests)
    encode = getattr(lm, "tok_encode", None)
    if encode is None:
        return [(logprob, None) for logprob, _ in scored]
    encoded: dict[str, list[int]] = {}  # contexts repeat when several samples are scored

    def tokens(text: str) -> list[int]:
        if text not in encoded:
            encoded[text] = list(encode(text))
        return encoded[text]

    pairs = [each.args for each in requests]
    contexts = dict.fromkeys(context for context, _ in pairs if context != context.rstrip())
    # White space can be told from the continuation only where it has tokens of its own.
    apart = [
        context
        for context in contexts
        if context.rstrip() and len(tokens(context)) > len(tokens(context.rstrip()))
    ]
    spaces = [request("loglikelihood", _at_its_end(context)) for context in apart]
    scores = lm.loglikelihood(spaces) if spaces else []
    before = {context: logprob for context, (logprob, _) in zip(apart, scores, strict=True)}
    found: list[tuple[float, int | None]] = []
    for (context, continuation), (logprob, _) in zip(pairs, scored, strict=True):
        whole, prompt = tokens(context + continuation), tokens(context)
        if context in before and whole[: len(prompt)] == prompt:
            found.append((logprob - before[context], len(whole) - len(prompt)))
        else:
            found.append((logprob, len(whole) - len(tokens(context.rstrip()))))
    return found


def _at_its_end(context: str) -> tuple[str, str]:
    """`context` without the white space that ends it, and that white space."""
    bare = context.rstrip()
    return bare, context[len(bare) :]


def generate_samples(lm: LM, requests: list[Instance]) -> list[str]:
    """``generate_until`` for requests that are repeated to be sampled.

    lm-eval sends the same seed with every request to an API, and an API that uses it gives the same
    reply K times; such requests get their own seeds. So do those to vLLM, whose samples would else
    depend on what was sampled before them in the process. If all replies of an API to every prompt
    are still the same, a warning says that it may not sample at all.
    """
    note_lengths(lm, requests)
    model = lm.lm if isinstance(lm, CachingLM) else lm
    if any(kind.__name__ == "VLLM" for kind in type(model).__mro__):
        if not _dies_of_seeds(model):
            return generate(lm, _seeded(requests, model.model_args["seed"]))
        eval_logger.warning(
            "vLLM dies of seeds on a CPU if it computes prompts in parts, so these samples have "
            "none and depend on what is asked in the same run. The model argument "
            "enable_chunked_prefill=False gives each of them a seed."
        )
        return generate(lm, requests)
    if not hasattr(model, "_create_payload"):  # only API models have it
        return generate(lm, requests)
    together = getattr(model, "_concurrent", 1) * getattr(model, "_batch_size", 1)
    replies = generate(lm, _seeded(requests, model._seed, together))
    different: dict[int, set[str]] = {}
    for each, reply in zip(requests, replies, strict=True):
        different.setdefault(id(each), set()).add(reply)
    if requests[0].repeats > 1 and all(len(texts) == 1 for texts in different.values()):
        eval_logger.warning(
            "All %d replies to each of %d prompts were the same. Unless the model is that sure, "
            "the server does not sample, and these confidences mean nothing; see 'Back ends' in "
            "harness_tasks/README.md.",
            requests[0].repeats,
            len(different),
        )
    return replies


def _dies_of_seeds(model: LM) -> bool:
    """Whether `model`, a vLLM, may ask a CPU's generator for its offset, which it does not have.

    vLLM 0.32 does so for a request with a seed whose prompt it computes in parts, and ends.
    """
    engine = getattr(getattr(model, "model", None), "llm_engine", None)  # not with several replicas
    config = getattr(engine, "vllm_config", None)
    if config is None or config.device_config.device_type != "cpu":
        return False
    return bool(config.scheduler_config.enable_chunked_prefill)


def _seeded(requests: list[Instance], first: int, together: int = 1) -> list[Instance]:
    """Repeated requests, each repetition with a seed of its own, from `first` on.

    If all prompts shared their seeds, their random draws would be correlated, and a mean over many
    questions would be no more certain than one question. To an API, lm-eval sends only requests
    with the same seed at the same time, so as many neighbours share a seed as the user wants to
    send `together`: with ``num_concurrent=1``, the default, none do.
    """
    places: dict[int, int] = {}
    drawn: Counter[int] = Counter()
    seeded = []
    for each in requests:
        context, generation = each.args
        place = places.setdefault(id(each), len(places))
        seed = first + place // together * each.repeats + drawn[place]
        drawn[place] += 1
        seeded.append(
            request(
                "generate_until",
                (context, {**generation, "seed": seed}),
                shared(each.doc, each.task_name, each.doc_id),
                each.idx,
            )
        )
    return seeded


# The answer itself has a type of its own, so that it is known how it ended, as for any reply.
ANSWER = "generate_answer"
add_request_type(ANSWER, _runner("generate_until"))
add_request_type("token_loglikelihood", token_loglikelihood)
add_request_type("generate_samples", generate_samples)
