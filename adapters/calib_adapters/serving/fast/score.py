"""Log-likelihoods of continuations; each prompt is read once, however many follow it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor

from calib_adapters.serving.fast.network import Network, Prefilled
from calib_adapters.serving.fast.sharing import Tokens, by_length
from calib_adapters.serving.fast.sizes import Sizes, batches

Scored = tuple[float, bool]
Key = tuple[int, Tokens]


def score(
    network: Network,
    prompts: Mapping[int, Tokens],
    continuations: Mapping[int, Sequence[Tokens]],
    read: Callable[[Sequence[Tokens]], Prefilled],
    prefix: Tensor | None,
    limits: Sizes,
) -> Iterator[tuple[Key, Scored]]:
    """Compute log p(continuation | prefix, prompt) in nats, and whether it is the greedy text.

    Args:
        network: the model.
        prompts: tokens of each prompt after the prefix, by place; at least one each.
        continuations: distinct continuations by place, at least one token each.
        read: prefills some of the prompts.
        prefix: keys of the prefix that all prompts share.
        limits: batch sizes.

    Yields:
        ``((place, continuation), (log-likelihood, greedy))``.
    """
    lengths = {place: len(row) for place, row in prompts.items()}
    for places in batches(by_length(list(prompts), prompts), lengths, limits):
        state = read([prompts[place] for place in places])
        number = {place: i for i, place in enumerate(places)}
        keys = [(place, text) for place in places for text in continuations[place]]
        # All first tokens from the state at the prompts' ends, for options of one token the only
        # pass; what follows them goes on from there.
        ends, firsts = [number[place] for place, _ in keys], [text[0] for _, text in keys]
        first = _read_off(network, state.last, ends, firsts)
        found = {key: [start] for key, start in zip(keys, first, strict=True)}
        longer = sorted((key for key in keys if len(key[1]) > 1), key=lambda key: -len(key[1]))
        sizes = [len(text) - 1 for _, text in longer]
        for batch in batches(range(len(longer)), sizes, limits):
            chosen = [longer[i] for i in batch]
            question = network.numbers([number[place] for place, _ in chosen])
            hidden = network.follow(state, question, [text[:-1] for _, text in chosen], prefix)
            where = [(i, j) for i, (_, text) in enumerate(chosen) for j in range(len(text) - 1)]
            states = hidden[tuple(network.numbers(where).T)]
            targets = [token for _, text in chosen for token in text[1:]]
            values = iter(_read_off(network, states, range(len(where)), targets))
            for key in chosen:
                found[key] += [next(values) for _ in key[1][1:]]
        for key, values in found.items():
            yield key, (sum(value for value, _ in values), all(greedy for _, greedy in values))


def _read_off(
    network: Network, states: Tensor, rows: Sequence[int], targets: Sequence[int]
) -> list[Scored]:
    """Return log p(targets[i]) after states[rows[i]], and whether that token is the most likely."""
    logprobs, greedy = network.read_off(
        states, network.numbers(list(rows)), network.numbers(list(targets))
    )
    return list(zip(logprobs.tolist(), greedy.tolist(), strict=True))
