"""BLEU, chrF and TER as sacreBLEU computes them, each with sacreBLEU's signature.

`references` holds a list of texts for each prediction; the lists may differ in length.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from calib_metrics._checks import check_choice, check_count
from calib_metrics.text._checks import check_texts
from calib_metrics.text.scripts import script_of

if TYPE_CHECKING:
    from sacrebleu.metrics import BLEU
    from sacrebleu.metrics.base import Metric


AUTO = "auto"
# sacreBLEU's tokenizer for a script; all others have spaces between words, as "13a" expects. Those
# for Japanese and Thai words need a dictionary, so single characters are compared there.
_TOKENIZERS = {"chinese": "zh", "japanese": "char", "unspaced": "char"}


class TextScore(NamedTuple):
    """A score (0 to 100 for BLEU and chrF) and the signature that makes it comparable."""

    score: float
    signature: str


def bleu(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenize: str = AUTO,
    lowercase: bool = False,
) -> TextScore:
    """Corpus BLEU: brevity penalty * geometric mean of the 1- to 4-gram precisions, in percent.

    tokenize: one of sacreBLEU's tokenizers ("13a", "intl", "zh", "char", ...). "auto" chooses by
    the script of the references: "zh" for Chinese; "char" for Japanese, Thai and others without
    spaces; else "13a", sacreBLEU's default. The signature says which (`tok:`). Zero counts are
    smoothed exponentially. Higher is better. Where no reference has four words, BLEU is 0 by
    definition: a UserWarning says so. Raises ValueError on bad input.
    Sources: Papineni et al., ACL 2002; Post, WMT 2018 (sacreBLEU).
    """
    predictions, references = check_texts(predictions, references)
    tokenize = choose_tokenizer(references) if tokenize == AUTO else tokenize
    metric = _bleu(tokenize, lowercase)
    found = _corpus(metric, predictions, references)
    if found.score == 0 and not any(
        len(metric.tokenizer(text).split()) >= 4 for texts in references for text in texts
    ):
        warnings.warn(
            "BLEU is 0 whatever the answers say: no reference has four words "
            f"({found.signature}). Use chrf, or sentence_bleu for short texts.",
            stacklevel=2,
        )
    return found


def choose_tokenizer(references: Iterable[Sequence[str]]) -> str:
    """Return the sacreBLEU tokenizer that "auto" stands for, given each answer's references."""
    return _TOKENIZERS.get(script_of(text for texts in references for text in texts), "13a")


def chrf(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    word_order: int = 0,
    lowercase: bool = False,
) -> TextScore:
    """Corpus chrF2: F-score (recall weighs double) of character 1- to 6-grams, in percent.

    word_order: 2 adds word 1- and 2-grams, which is chrF++. Higher is better.
    Of several references, the one with the highest F counts, for each text, and of equals the
    first: their n-grams may differ in number, so the order of references can move a corpus chrF.
    Raises ValueError on bad input. Source: Popović, WMT 2015 and 2017.
    """
    return _corpus(_chrf(word_order, lowercase), predictions, references)


def ter(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    case_sensitive: bool = False,
) -> TextScore:
    """Translation edit rate: word edits and shifts per 100 reference words; lower is better.

    It can exceed 100. Raises ValueError on bad input. Source: Snover et al., AMTA 2006.
    """
    return _corpus(_ter(case_sensitive), predictions, references)


def sentence_bleu(
    prediction: str,
    references: Sequence[str],
    *,
    tokenize: str = AUTO,
    lowercase: bool = False,
) -> TextScore:
    """BLEU of one text; n-gram orders longer than the text are left out (effective order).

    tokenize: as in `bleu`.

    >>> round(sentence_bleu("The cat sat.", ["The cat sat."]).score, 6)
    100.0
    """
    _, (texts,) = check_texts([prediction], [references])
    tokenize = choose_tokenizer([texts]) if tokenize == AUTO else tokenize
    metric = _bleu(tokenize, lowercase, effective_order=True)
    return _corpus(metric, [prediction], [references])


def sentence_chrf(
    prediction: str, references: Sequence[str], *, word_order: int = 0, lowercase: bool = False
) -> TextScore:
    """The chrF of one text; see `chrf`."""
    return chrf([prediction], [references], word_order=word_order, lowercase=lowercase)


def sentence_ter(
    prediction: str, references: Sequence[str], *, case_sensitive: bool = False
) -> TextScore:
    """TER of one text; see `ter`."""
    return ter([prediction], [references], case_sensitive=case_sensitive)


# A metric of sacreBLEU keeps the words of the texts that it has seen, so one is used for all.
@functools.cache
def _bleu(tokenize: str, lowercase: bool, effective_order: bool = False) -> BLEU:
    from sacrebleu.metrics import BLEU

    check_choice(tokenize, "tokenize", sorted(BLEU.TOKENIZERS))
    return BLEU(tokenize=tokenize, lowercase=lowercase, effective_order=effective_order)


@functools.cache
def _chrf(word_order: int, lowercase: bool) -> Metric:
    from sacrebleu.metrics import CHRF

    word_order = check_count(word_order, "word_order", 0)
    return CHRF(word_order=word_order, lowercase=lowercase)


@functools.cache
def _ter(case_sensitive: bool) -> Metric:
    from sacrebleu.metrics import TER

    return TER(case_sensitive=case_sensitive)


def _corpus(
    metric: Metric, predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> TextScore:
    predictions, references = check_texts(predictions, references)
    # sacreBLEU wants the first reference of every text, then the second, ...; None fills gaps.
    most = max(len(texts) for texts in references)
    streams = [[texts[k] if k < len(texts) else None for texts in references] for k in range(most)]
    found = metric.corpus_score(predictions, streams)
    return TextScore(float(found.score), str(metric.get_signature()))
