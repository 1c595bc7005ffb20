"""Answers that are none: "I don't know", and how tasks with such answers are scored."""

from __future__ import annotations

import re

from harness_tasks.elicitation.grading import normalize

_WHOLE = re.compile(
    r"(?:unknown|unsure|uncertain|not sure|no idea|no answer|unanswerable|no comment"
    r"|i (?:really )?(?:do not|dont) know|i have no (?:idea|comment|answer)|it depends)"
    r"(?: (?:for sure|yet|sorry))?"
)
_PART = re.compile(
    r"\bi (?:am |really )?(?:do not|dont) (?:know|have)\b"
    r"|\b(?:i am|im) (?:not (?:sure|certain|aware|able)|unsure|uncertain|unable)\b"
    r"|\bi (?:can not|cannot|cant|am unable to) (?:answer|say|tell|determine|know|provide)\b"
    r"|\b(?:can not|cannot|cant) be (?:known|answered|determined|said)\b"
    r"|\b(?:is|are|remains?) (?:unknown|not known|unanswerable|uncertain|undetermined)\b"
    r"|\b(?:no one|nobody) knows\b|\bnot (?:enough|sufficient) information\b"
    r"|\bno (?:known|definite|definitive|single|scientific) (?:answer|consensus|evidence)\b"
    r"|\bimpossible to (?:know|say|tell|answer|determine|predict)\b"
    r"|\bas ai\b"
)


def abstains(answer: str) -> bool:
    """Whether `answer` says that it does not know, or says nothing.

    A list of English phrases, compared after ``normalize``: "Unknown." and "Sorry, I don't know
    that." abstain; "The Unknown Soldier" does not.
    """
    words = normalize(answer)
    return not words or bool(_WHOLE.fullmatch(words) or _PART.search(words))
