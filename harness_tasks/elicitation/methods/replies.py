"""Parsers of what models write about their confidence. None of them ever raises or guesses."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness_tasks.elicitation.grading import first_line
from harness_tasks.elicitation.methods.stated_tokens import Token, sentences, tokenize
from harness_tasks.elicitation.methods.stated_values import Refused
from harness_tasks.elicitation.methods.stated_words import DEGREES, KNOWN, REASONS, denies
from harness_tasks.elicitation.question import Reading

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
_TERMS = sorted((term.split() for term in LIKELIHOOD_TERMS), key=len, reverse=True)


def parse_likelihood_term(text: str) -> Reading:
    """Read the likelihood term in a reply, as the middle of its range in ICD 203.

    The longest term counts ("very likely", not "likely"). Beside it there may be the words of
    `stated_words` and, behind "that" or "because", any words without a denial. A reply is
    unreadable if a term is modified by a word that the table does not have ("not likely",
    "extremely unlikely", "more likely than not", "likely to be wrong"), if terms have different
    ranges, or if there is no term. A question states nothing.

    Returns:
        A `Reading` with one of the values of `LIKELIHOOD_TERMS`, or ``None`` and the reason.
    """
    shown = text.strip()[:60]
    found: set[float] = set()
    try:
        for sentence, question in sentences(tokenize(text)):
            found |= set() if question else _terms(sentence)
    except Refused as refusal:
        return Reading(None, f"a modified likelihood term ({refusal}) in {shown!r}")
    if not found:
        return Reading(None, f"no likelihood term in {shown!r}")
    if len(found) > 1:
        return Reading(None, f"several likelihood terms in {shown!r}")
    return Reading(found.pop())


def _terms(sentence: Sequence[Token]) -> set[float]:
    """The values of the terms in a sentence, all of whose other words must be understood."""
    words = [token.text for token in sentence]
    found: set[float] = set()
    others: list[str] = []
    at, free = 0, False
    while at < len(words):
        term = next((term for term in _TERMS if words[at : at + len(term)] == term), None)
        if term is None:
            free = free or (bool(found) and words[at] in REASONS | {"that"})
            if not free or denies(words[at]):
                others.append(words[at])
            at += 1
            continue
        if others and (others[-1] in DEGREES or others[-1] == "-"):
            raise Refused(others[-1])
        found.add(LIKELIHOOD_TERMS[" ".join(term)])
        at += len(term)
    allowed = KNOWN | {"one", ",", "(", ")", ":", "=", "..."}
    strange = [word for word in others if word not in allowed]
    if strange and (found or any(map(denies, strange))):
        raise Refused(strange[0])
    return found


_PART = re.compile(
    r"^[ \t*_#>-]*(?:exact |final )?(answer|confidence)(?: score| level)?[ *_]*:[*_]*",
    re.IGNORECASE | re.MULTILINE,
)


def parse_one_turn(text: str) -> tuple[str, str | None]:
    r"""Read the answer and the confidence in a reply that states both, on lines with these labels.

    The answer is the first line behind the last label "Answer:" before the first "Confidence:"
    that follows an answer; "Exact Answer:" and "Final Answer:" will do, and so will Markdown.

    Returns:
        ``(answer, what stands behind "Confidence:", up to the end)``; "" and ``None`` where there
        is none.

    >>> parse_one_turn("Explanation: It is old.\nAnswer: Paris\nConfidence: 85%")
    ('Paris', ' 85%')
    """
    answer = ""
    found = list(_PART.finditer(text))
    ends = [part.start() for part in found[1:]] + [len(text)]
    for part, end in zip(found, ends, strict=False):
        if part[1].lower() == "answer":
            answer = first_line(text[part.end() : end])
        elif answer:
            return answer, text[part.end() :]
    return answer, None


def parse_guesses(text: str) -> list[tuple[str, str | None]]:
    """Read lines "G1: guess", "P1: probability", "G2: ...", in the order of their numbers.

    If two texts have the same mark, the first that is not empty counts.

    Returns:
        ``(guess, text of its probability or None)`` for every guess that is not empty.
    """
    parts = re.split(r"\b([GP])\s*(\d{1,3})\s*:", text, flags=re.IGNORECASE)[1:]
    found: dict[tuple[str, int], str] = {}
    for letter, number, content in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if line := first_line(content):
            found.setdefault((letter.upper(), int(number)), line)
    numbers = sorted(number for letter, number in found if letter == "G")
    return [(found["G", n], found.get(("P", n))) for n in numbers]
