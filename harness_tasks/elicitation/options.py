"""Find the option of a multiple-choice question that a written reply names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness_tasks.elicitation.grading import same

_WORDS = {"A", "I"}  # letters that may be the first word of a sentence


def choose(text: str, labels: Sequence[str]) -> str | None:
    """The option that `text` names; ``None`` if it names none.

    A text names the option that equals it (as `grading.same` compares), else the longest one that
    it begins with, if a mark such as "." or "," or a line's end follows: "Guinea, I think" names
    Guinea, "Guinea Bissau" and "Guinea-Bissau" do not. After a letter a space is enough ("B
    Paris"), but not after A and I, which may be words. A label may be in brackets.
    """
    for label in labels:
        if same(text, label):
            return label
    fitting = [label for label in labels if _begins(text, label)]
    return max(fitting, key=len, default=None)


def _begins(text: str, label: str) -> bool:
    letter = len(label) == 1 and label.isalpha() and label.upper() not in _WORDS
    after = r"(?=[\s.,;:!?)\]*]|$)" if letter else r"(?=[ \t*]*(?:[.,;:!?)\]\n](?!\w)|$))"
    return re.match(rf"[\s(\[*\"'`]*{re.escape(label)}{after}", text, re.IGNORECASE) is not None
