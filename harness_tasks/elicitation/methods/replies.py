"""Parsers of what models write about their confidence. None of them ever raises or guesses."""

from __future__ import annotations

import math
import re

from harness_tasks.elicitation.grading import first_line
from harness_tasks.elicitation.question import Reading

_NUMBER = re.compile(r"(?<![\w.])(-?\d+(?:[.,]\d+)?)\s*(%|percent\b|/\s*\d+)?", re.IGNORECASE)

# Intelligence Community Directive 203, Analytic Standards (2015): both rows of its table of
# expressions of likelihood, under the lower and the upper end of their range in percent.
_RANGES = {
    (1, 5): ("almost no chance", "remote"),
    (5, 20): ("very unlikely", "highly improbable"),
    (20, 45): ("unlikely", "improbable", "improbably"),
    (45, 55): ("roughly even chance", "roughly even odds"),
    (55, 80): ("likely", "probable", "probably"),
    (80, 95): ("very likely", "highly probable"),
    (95, 99): ("almost certain", "almost certainly", "nearly certain"),
}
LIKELIHOOD_TERMS = {
    term: (low + high) / 200 for (low, high), terms in _RANGES.items() for term in terms
}
_LONGEST_FIRST = "|".join(sorted(LIKELIHOOD_TERMS, key=len, reverse=True))
_TERM = re.compile(rf"(?<![\w-])(?:{_LONGEST_FIRST})(?![\w-])")
# What makes a term one that the table does not have: "extremely unlikely", "not at all likely",
# "likely wrong".
_BEFORE = re.compile(
    r"\b(?:hardly|less|least|more|most|as|equally|quite|rather|fairly|somewhat|too|so|extremely"
    r"|exceptionally|highly|very|slightly|moderately|pretty|barely) $"
    r"|(?:\b(?:not|never|cannot)|n't)\b(?: [\w']+){0,2} $"
)
_AFTER = re.compile(r" (?:not|incorrect|wrong|false|untrue)\b")


def parse_probability(text: str) -> Reading:
    """Read the probability that a model wrote when it was asked for a percentage.

    "85%", "85 percent" and a bare "85" are 0.85; a fraction below or equal to one written with
    decimals ("0.85", "1.0") is a probability; "8/10" is 0.8. A bare "1" is one percent, because a
    percentage was asked for. If exactly one number carries a percent sign it wins over bare ones;
    otherwise several different numbers, a number outside the range, or none, are unreadable.

    Returns:
        A `Reading` with a confidence in [0, 1], or ``None`` and the reason.
    """
    marked, bare = set(), set()
    for number, unit in _NUMBER.findall(text):
        value = float(number.replace(",", "."))
        if unit.startswith("/"):
            whole = float(unit[1:])
            marked.add(value / whole if whole else math.inf)
        elif unit:
            marked.add(value / 100)
        else:
            is_fraction = value <= 1 and not number.isdigit()
            bare.add(value if is_fraction else value / 100)
    found = marked or bare
    shown = text.strip()[:60]
    if not found:
        return Reading(None, f"no number in {shown!r}")
    if len(found) > 1:
        return Reading(None, f"several numbers in {shown!r}")
    value = found.pop()
    if not 0 <= value <= 1:
        return Reading(None, f"out of range in {shown!r}")
    return Reading(value)


def parse_likelihood_term(text: str) -> Reading:
    """Read the likelihood term in a reply, as the middle of its range in ICD 203.

    The longest term counts ("very likely", not "likely"). A term under a modifier that the table
    does not have ("not likely", "extremely unlikely"), terms of different ranges, and none at all
    are unreadable.

    Returns:
        A `Reading` with one of the values of `LIKELIHOOD_TERMS`, or ``None`` and the reason.
    """
    words = " ".join(text.casefold().replace("\u2019", "'").split())
    shown = text.strip()[:60]
    found = set()
    for match in _TERM.finditer(words):
        if _BEFORE.search(words[: match.start()]) or _AFTER.match(words[match.end() :]):
            return Reading(None, f"a modified likelihood term in {shown!r}")
        found.add(LIKELIHOOD_TERMS[match[0]])
    if not found:
        return Reading(None, f"no likelihood term in {shown!r}")
    if len(found) > 1:
        return Reading(None, f"several likelihood terms in {shown!r}")
    return Reading(found.pop())


def parse_guesses(text: str) -> list[tuple[str, str | None]]:
    """Read lines "G1: guess", "P1: probability", "G2: ...", in the order of their numbers.

    Of two texts under the same mark the first that is not empty counts.

    Returns:
        ``(guess, text of its probability or None)`` for every guess that is not empty.
    """
    parts = re.split(r"\b([GP])\s*(\d{1,3})\s*:", text, flags=re.IGNORECASE)[1:]
    found: dict[tuple[str, int], str] = {}
    for letter, number, content in zip(parts[::3], parts[1::3], parts[2::3]):
        if line := first_line(content):
            found.setdefault((letter.upper(), int(number)), line)
    numbers = sorted(number for letter, number in found if letter == "G")
    return [(found["G", n], found.get(("P", n))) for n in numbers]
