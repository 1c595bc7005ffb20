"""Strict parsing of a judge's replies: a reply in another form gives no verdict.

The tasks ask for lines such as ``Rating: 4``. A reply without that line, with two different ones,
or with anything that could mean two things, is None and is counted; nothing is guessed.
"""

from __future__ import annotations

import re

from harness_tasks.elicitation.methods.stated import parse_probability

_DRESS = r"[\s*_`\"'“”()\[\]]*"  # Markdown and brackets around a name or a value
_ALONE = re.compile(r"\W*\w+\W*(?:/\s*5\W*)?")
_RATING = re.compile(rf"{_DRESS}(\d+)(?!\d|[.,]\d|\s*%){_DRESS}(?:(?:/|out of){_DRESS}5\b)?\D*")
_VERDICT = re.compile(rf"{_DRESS}(correct|incorrect){_DRESS}(?:[.,;:(–-].*)?", re.IGNORECASE)
# Words after "correct" that could take it back.
_DOUBT = {"correct", "incorrect", "not", "no", "wrong", "right", "partly", "partially", "but"}
_PLACE = re.compile(rf"{_DRESS}(?:answer{_DRESS})?(1|2|tie)\b\D*", re.IGNORECASE)


def read_rating(reply: str) -> int | None:
    """The whole number from 1 to 5 in the line ``Rating: …``, or in a reply of just the number.

    "4/5" and "4 out of 5" are 4; "4.5", "4-5" and "8/10" are unreadable.
    """
    found = {_rating(value) for value in _values(reply, "rating")}
    return found.pop() if len(found) == 1 else None


def read_verdict(reply: str) -> bool | None:
    """True for ``Verdict: correct``, False for ``Verdict: incorrect``."""
    found = {_verdict(value) for value in _values(reply, "verdict")}
    return found.pop() if len(found) == 1 else None


def read_preference(reply: str) -> str | None:
    """Read "1", "2" or "tie" from the line ``Better answer: …``."""
    found = {_preference(value) for value in _values(reply, "better answer")}
    return found.pop() if len(found) == 1 else None


def read_confidence(reply: str) -> float | None:
    """The probability in [0, 1] in the line ``Confidence: …``, read like a stated probability."""
    found = {parse_probability(value).confidence for value in _fields(reply, "confidence")}
    return found.pop() if len(found) == 1 else None


def _values(reply: str, name: str) -> list[str]:
    """The lines of that name; if there is none, a reply of a single word stands for itself."""
    return _fields(reply, name) or ([reply] if _ALONE.fullmatch(reply) else [])


def _fields(reply: str, name: str) -> list[str]:
    """The text after ``name:`` at the beginning of a line, in any case and Markdown."""
    pattern = rf"^[\s*_#>-]*{re.escape(name)}{_DRESS}[:：](.*)$"
    return re.findall(pattern, reply, re.IGNORECASE | re.MULTILINE)


def _rating(value: str) -> int | None:
    match = _RATING.fullmatch(value)
    rating = int(match[1]) if match else 0
    return rating if 1 <= rating <= 5 else None


def _verdict(value: str) -> bool | None:
    match = _VERDICT.fullmatch(value)
    if not match or _DOUBT & set(re.findall(r"[a-z]+", value[match.end(1) :].lower())):
        return None
    return match[1].lower() == "correct"


def _preference(value: str) -> str | None:
    match = _PLACE.fullmatch(value)
    # "1 or a tie" has no second number, but still two meanings.
    named = re.findall(r"\b(?:1|2|one|two|tie|both|neither)\b", value.lower())
    return match[1].lower() if match and len(set(named)) == 1 else None
