"""The normal form of a name, used in the ids of facts and to compare forms in the build.

It must never change, because the published ids depend on it. Grading does not use it.
"""

from __future__ import annotations

import re
import unicodedata

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_SEPARATORS = re.compile(r"[-\u2010-\u2015/_]")


def normalize(text: str) -> str:
    """`text` case-folded, without marks, punctuation and English articles, in single spaces."""
    # Folding can produce new combining marks and decomposition new capitals: fold on both sides.
    folded = unicodedata.normalize("NFKD", text.casefold())
    folded = unicodedata.normalize("NFKD", folded.casefold())
    spaced = _SEPARATORS.sub(" ", folded)
    bare = "".join(c for c in spaced if unicodedata.category(c)[0] not in "PM" or c == " ")
    for candidate in (_ARTICLES.sub(" ", bare), bare, folded):
        if words := candidate.split():
            return " ".join(words)
    return ""
