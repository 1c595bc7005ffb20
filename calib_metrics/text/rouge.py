"""ROUGE as the `rouge_score` package computes it."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from calib_metrics._checks import check_choice
from calib_metrics.text._checks import check_texts
from calib_metrics.text.scripts import script_of, words

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
TOKENIZERS = ("auto", "default", "unicode")
# Between Latin sentences there is a space, between Chinese and Japanese ones there need not be.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？｡])\s*(?!$)")


def rouge(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    stemmer: bool = False,
    tokenize: str = "auto",
    types: Sequence[str] = TYPES,
) -> dict[str, float]:
    """Mean F1 over the predictions, in [0, 1], of unigrams, bigrams and longest common subsequence.

    rouge1, rouge2: F1 of the n-grams shared with the reference. rougeL: F1 of the longest common
    subsequence; rougeLsum: the same, sentence by sentence, where sentences are split by newlines
    (without newlines it equals rougeL; `split_sentences` puts them in). Of several references, the
    best counts, for each type.
    stemmer: whether to strip endings with the Porter stemmer (English, "default" alone).
    tokenize: "default" is that of rouge_score: words are runs of a-z and 0-9 after lower-casing,
    and everything else is dropped, so a text in another script would score 0. "unicode": runs of
    letters, marks and digits of any script; where a script has no spaces, every letter. "auto":
    "default" for each answer whose references are mostly in Latin letters, else "unicode";
    `signature` says which.
    types: those of `TYPES` to compute; rougeL and rougeLsum take most of the time.

    A reference without a single word scores 0: a UserWarning says so.
    Raises ValueError on bad input. Source: Lin, ACL 2004.

    >>> rouge(["the cat"], [["the dog", "a cat sat"]])["rouge1"]
    0.5
    """
    predictions, references = check_texts(predictions, references)
    check_choice(tokenize, "tokenize", TOKENIZERS)
    for name in types:
        check_choice(name, "a type of ROUGE", TYPES)
    scores = []
    for prediction, texts in zip(predictions, references, strict=True):
        chosen = choose_tokenizer(texts) if tokenize == "auto" else tokenize
        scorer, tokenizer = _scorer(chosen, stemmer, tuple(types))
        scores.append(scorer.score_multi(texts, prediction))
        if not any(tokenizer.tokenize(text) for text in texts):
            warnings.warn(
                f"ROUGE is 0 whatever the answer says: the reference {texts[0]!r} has no word.",
                stacklevel=2,
            )
    return {name: sum(each[name].fmeasure for each in scores) / len(scores) for name in types}


@functools.cache
def _scorer(tokenize: str, stemmer: bool, types: tuple[str, ...]) -> tuple[RougeScorer, _Words]:
    """Return one scorer for all texts, since its tokenizer keeps the words of those it has seen."""
    from rouge_score.rouge_scorer import RougeScorer
    from rouge_score.tokenizers import DefaultTokenizer

    tokenizer = _Words(words if tokenize == "unicode" else DefaultTokenizer(stemmer).tokenize)
    return RougeScorer(types, tokenizer=tokenizer), tokenizer


def signature(
    references: Iterable[Sequence[str]], *, stemmer: bool = False, tokenize: str = "auto"
) -> str:
    """Return all that changes `rouge` for these references, as "key:value" joined by "|"."""
    check_choice(tokenize, "tokenize", TOKENIZERS)
    chosen = {tokenize} if tokenize != "auto" else {choose_tokenizer(each) for each in references}
    version = metadata.version("rouge_score")
    stem = "porter" if stemmer else "no"
    return f"rouge|tok:{'+'.join(sorted(chosen))}|stem:{stem}|version:{version}"


def choose_tokenizer(texts: Sequence[str]) -> str:
    """Return the tokenizer that "auto" stands for, given an answer's references."""
    return "default" if script_of(texts) == "latin" else "unicode"


def split_sentences(text: str) -> str:
    """Return the text with its sentences on lines of their own, as rougeLsum wants them.

    >>> split_sentences("It rained. The dog slept.").splitlines()
    ['It rained.', 'The dog slept.']
    """
    return "\n".join(_SENTENCE_END.split(text.strip()))


class _Words:
    """A tokenizer as rouge_score takes it, which keeps the words of the latest texts."""

    def __init__(self, split: Callable[[str], list[str]]):
        self.tokenize = functools.lru_cache(maxsize=1 << 14)(split)
