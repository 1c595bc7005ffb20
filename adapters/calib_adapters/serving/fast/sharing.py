"""Group rows of tokens by their common prefix."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Tokens = tuple[int, ...]
# Rows that share so many first tokens are taken together; tasks with several few-shot prefixes,
# such as MMLU's, have a group for each.
ALIKE = 32
FEWEST = 4  # rows for a group of their own
WORTH_A_RUN = 64  # tokens saved; a pass over a prefix alone costs about as much


@dataclass(frozen=True)
class Group:
    """Indices of rows that begin with `prefix` and have at least one more token."""

    prefix: Tokens
    rows: list[int]


def group(rows: Sequence[Tokens]) -> list[Group]:
    """Group `rows` by common prefix; every row keeps at least one token of its own."""
    alike: dict[Tokens, list[int]] = {}
    for place, row in enumerate(rows):
        alike.setdefault(row[:ALIKE], []).append(place)
    groups = [places for places in alike.values() if len(places) >= FEWEST]
    rest = [place for places in alike.values() if len(places) < FEWEST for place in places]
    return [
        Group(common([rows[place] for place in places]), places)
        for places in (*groups, rest)
        if places
    ]


def common(rows: Sequence[Tokens]) -> Tokens:
    """Return the common prefix of all `rows`, or nothing if it is too short to pay for a pass."""
    # What the first and the last in order share, all between them share.
    first, last = min(rows), max(rows)
    number = min(shared(first, last), min(map(len, rows)) - 1)
    return first[:number] if number * (len(rows) - 1) >= WORTH_A_RUN else ()


def shared(one: Tokens, other: Tokens) -> int:
    """Return the length of the common prefix of two rows."""
    same = (a == b for a, b in zip(one, other, strict=False))  # up to the end of the shorter
    return sum(1 for _ in itertools.takewhile(bool, same))


def by_length(places: Sequence[int], rows: Mapping[int, Tokens] | Sequence[Tokens]) -> list[int]:
    """Sort `places` by length, longest first, so that a lack of memory shows at once."""
    return sorted(places, key=lambda place: (-len(rows[place]), rows[place]))
