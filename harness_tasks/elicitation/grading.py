"""Is an answer correct? String grading against every accepted answer.

The normaliser follows SQuAD's (lower case; punctuation and the articles a, an, the removed; white
space collapsed), with three additions that closed-book answers need: accents are folded, dashes
and slashes separate words, and a text that would be normalised to nothing keeps what it had.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

F1_THRESHOLD = 0.5
JUDGE = "judge:"

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_SEPARATORS = re.compile(r"[-\u2010-\u2015/_]")


def normalize(text: str) -> str:
    """Canonical form of an answer, for comparison only.

    Returns:
        `text` case-folded, without accents, punctuation and English articles, words separated by
        single spaces. Normalising twice changes nothing. Never empty unless `text` has no visible
        character.
    """
    # Folding can produce new combining marks and decomposition new capitals: fold on both sides.
    folded = unicodedata.normalize("NFKD", text.casefold())
    folded = unicodedata.normalize("NFKD", folded.casefold())
    spaced = _SEPARATORS.sub(" ", folded)
    bare = "".join(c for c in spaced if unicodedata.category(c)[0] not in "PM" or c == " ")
    for candidate in (_ARTICLES.sub(" ", bare), bare, folded):
        if words := candidate.split():
            return " ".join(words)
    return ""


def first_line(text: str) -> str:
    """The first line of a generated text that is not blank, without surrounding white space."""
    stripped = text.strip()
    return stripped.splitlines()[0].strip() if stripped else ""


def exact(answer: str, accepted: Sequence[str]) -> bool:
    """Whether `answer` equals an accepted answer after `normalize`."""
    return normalize(answer) in {normalize(gold) for gold in accepted}


def contains(answer: str, accepted: Sequence[str]) -> bool:
    """Whether an accepted answer occurs in `answer` as a run of whole words, after `normalize`."""
    words = f" {normalize(answer)} "
    return any(f" {normalize(gold)} " in words for gold in accepted if normalize(gold))


def token_f1(answer: str, gold: str) -> float:
    """Token F1 of `answer` against one accepted answer, in [0, 1] (Rajpurkar et al. 2016)."""
    predicted, expected = normalize(answer).split(), normalize(gold).split()
    shared = sum((Counter(predicted) & Counter(expected)).values())
    return 2 * shared / (len(predicted) + len(expected)) if shared else 0.0


def f1(answer: str, accepted: Sequence[str]) -> bool:
    """Whether the best `token_f1` over the accepted answers reaches `F1_THRESHOLD`."""
    return max((token_f1(answer, gold) for gold in accepted), default=0.0) >= F1_THRESHOLD


GRADERS = {"exact": exact, "contains": contains, "f1": f1}


def string_grader(grading: str) -> Callable[[str, Sequence[str]], bool]:
    """The string rule of that name; ``exact`` where a judge grades, which compares no two texts."""
    return exact if grading.startswith(JUDGE) else GRADERS[grading]
