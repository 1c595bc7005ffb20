"""Exact match as two published evaluation scripts define it, for comparison with their numbers."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from calib_metrics.text.squad import normalize_answer

# The script of TriviaQA also counts these as punctuation.
_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}‘’´`]")
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def squad(answer: str, accepted: Sequence[str]) -> bool:
    """Exact match of the SQuAD v1.1 script (Rajpurkar et al. 2016).

    Texts are equal in lower case without ASCII punctuation, articles and spare white space. As in
    the script, two texts that become empty are equal.
    """
    return any(normalize_answer(answer) == normalize_answer(gold) for gold in accepted)


def triviaqa(answer: str, accepted: Sequence[str]) -> bool:
    """Exact match of the TriviaQA script (Joshi et al. 2017).

    As `squad`, but punctuation, typographic apostrophes and underscores separate words instead of
    vanishing ("O'Brien" is "O Brien").
    """
    return any(triviaqa_normalize(answer) == triviaqa_normalize(gold) for gold in accepted)


def triviaqa_normalize(text: str) -> str:
    """An answer as the script of TriviaQA compares it.

    >>> triviaqa_normalize("The  Jay-Z_album")
    'jay z album'
    """
    return " ".join(_ARTICLES.sub(" ", _PUNCTUATION.sub(" ", text.lower())).split())
