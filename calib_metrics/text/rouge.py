"""ROUGE as the `rouge_score` package computes it."""

from __future__ import annotations

from collections.abc import Sequence

from calib_metrics.text._checks import check_texts

TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def rouge(
    predictions: Sequence[str], references: Sequence[Sequence[str]], *, stemmer: bool = False
) -> dict[str, float]:
    """Mean F1 over the predictions, in [0, 1], of unigrams, bigrams and longest common subsequence.

    rouge1, rouge2: F1 of the n-grams shared with the reference. rougeL: F1 of the longest common
    subsequence; rougeLsum: the same, sentence by sentence, where sentences are split by newlines
    (without newlines it equals rougeL). Of several references, the best counts, for each type.
    stemmer: whether to strip endings with the Porter stemmer (English).

    Words are runs of a-z and 0-9 after lower-casing: everything else is dropped, so text in
    another script scores 0. Raises ValueError on bad input. Source: Lin, ACL 2004.

    >>> rouge(["the cat"], [["the dog", "a cat sat"]])["rouge1"]
    0.5
    """
    from rouge_score.rouge_scorer import RougeScorer

    predictions, references = check_texts(predictions, references)
    scorer = RougeScorer(TYPES, use_stemmer=stemmer)
    scores = [
        scorer.score_multi(texts, prediction)
        for prediction, texts in zip(predictions, references, strict=True)
    ]
    return {name: sum(each[name].fmeasure for each in scores) / len(scores) for name in TYPES}
