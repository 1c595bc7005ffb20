"""Statistics of the model's next-token distributions at each token of an answer.

A request type of its own, ``token_statistics``: one forward pass over prompt and answer. It needs a
back end that holds a causal model, ``hf`` or ``calib-hf``; servers do not return whole
distributions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, CachingLM

from harness_tasks.elicitation.harness import request
from harness_tasks.elicitation.late import add_request_type
from harness_tasks.elicitation.question import Question

STATISTICS_CHECK = "statistics_check"
REQUEST = "token_statistics"
NEEDING = ("min_token_probability", "token_entropy", "token_margin", "cocoa_mte")
_LARGEST = 2**28  # bytes of the logits of a batch, in float32
_NONE = (
    "{task}: this back end does not give the distribution of each token, which {methods} need: use "
    "--model calib-hf or hf, or leave them out of 'methods'. `likelihood` and "
    "`sequence_probability` need log-probabilities alone."
)

Statistics = dict[str, list[float]]


def ask_for_statistics(question: Question) -> list[Instance]:
    """The request for the statistics of the answer's tokens, which several methods share."""

    def build() -> tuple:
        # An empty answer cannot be scored; the methods report it and ignore this score.
        return question.conversation.context, question.answer_text or "\n"

    return question.share(REQUEST, lambda: [question.late(REQUEST, build)])


def check_statistics(methods: Collection[str], instance: Mapping[str, Any]) -> list[Instance]:
    """The request that ends the run if one of the `methods` needs more than the back end has.

    `instance` holds what the requests of a document share. Put the request before all others.
    """
    needing = [name for name in NEEDING if name in methods]
    if not needing:
        return []
    return [request(STATISTICS_CHECK, tuple(needing), instance)]


def statistics_check(lm: LM, requests: list[Instance]) -> list[bool]:
    """End the run if the back end does not hold a model.

    Raises:
        NotImplementedError: names what to do.
    """
    model = lm.lm if isinstance(lm, CachingLM) else lm
    if getattr(model, "backend", None) != "causal" or not hasattr(model, "_model_call"):
        methods = ", ".join(requests[0].args)
        raise NotImplementedError(_NONE.format(task=requests[0].task_name, methods=methods))
    return [True] * len(requests)


def token_statistics(lm: LM, requests: list[Instance]) -> list[Statistics]:
    """Statistics of each token of the answers, for requests of ``(context, answer)``.

    Returns:
        For each request a dict of lists with a number for each token of the answer: ``logprob``,
        the log-probability of the token in nats; ``entropy``, that of the distribution it was drawn
        from, in nats; ``margin``, the probability of the likeliest token minus that of the second.
        White space that ends the context belongs to it.
    """
    if isinstance(lm, CachingLM):
        return lm.lm.token_statistics(requests)
    encoded = [_encode(lm, *each.args) for each in requests]
    found: list[Statistics] = [{} for _ in requests]
    # The longest first, so that too large a batch fails at once and padding is short.
    order = sorted(range(len(encoded)), key=lambda place: -len(encoded[place][0]))
    for places in _batches(lm, encoded, order):
        rows = [encoded[place] for place in places]
        for place, statistics in zip(places, _of_batch(lm, rows), strict=True):
            found[place] = statistics
    return found


def _encode(lm: Any, context: str, answer: str) -> tuple[list[int], int]:
    """The tokens of both, cut on the left to the model's window, and how many are the answer's."""
    whole, prompt = list(lm.tok_encode(context + answer)), list(lm.tok_encode(context))
    if whole[: len(prompt)] != prompt:  # a token that spans both is the answer's
        prompt = list(lm.tok_encode(context.rstrip()))
    return whole[-(lm.max_length + 1) :], len(whole) - len(prompt)


def _batches(
    lm: Any, encoded: Sequence[tuple[list[int], int]], order: Sequence[int]
) -> Iterator[list[int]]:
    size = lm.batch_size if isinstance(lm.batch_size, int) else len(order)
    start = 0
    while start < len(order):
        longest = len(encoded[order[start]][0])
        fits = max(1, _LARGEST // (4 * longest * lm.vocab_size))
        end = start + max(1, min(size, fits))
        yield list(order[start:end])
        start = end


def _of_batch(lm: Any, rows: Sequence[tuple[list[int], int]]) -> list[Statistics]:
    import torch

    longest = max(len(tokens) for tokens, _ in rows)
    # Padded on the right, which a causal model does not see from the tokens before.
    batch = torch.zeros(len(rows), longest - 1, dtype=torch.long, device=lm.device)
    for place, (tokens, _) in enumerate(rows):
        batch[place, : len(tokens) - 1] = torch.tensor(tokens[:-1])
    with torch.no_grad():
        logits = lm._model_call(batch)
    found = []
    for row, (tokens, count) in zip(logits, rows, strict=True):
        end = len(tokens) - 1
        at = row[end - count : end]
        logprobs = torch.log_softmax(at.to(torch.promote_types(at.dtype, torch.float32)), dim=-1)
        chosen = torch.tensor(tokens[len(tokens) - count :], device=logprobs.device)
        probabilities = logprobs.exp()
        top = probabilities.topk(2, dim=-1).values
        entropy = torch.special.entr(probabilities).sum(dim=-1)
        found.append(
            {
                "logprob": logprobs.gather(1, chosen[:, None])[:, 0].tolist(),
                "entropy": entropy.tolist(),
                "margin": (top[:, 0] - top[:, 1]).tolist(),
            }
        )
    return found


add_request_type(REQUEST, token_statistics)
add_request_type(STATISTICS_CHECK, statistics_check)
