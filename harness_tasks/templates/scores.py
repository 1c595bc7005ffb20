"""The values that lm-eval collects for each answer in a template's task, and their aggregation.

Scores of single answers are averaged by lm-eval, which also gives their standard errors. BLEU,
chrF, precision, recall and F1 are scores of all answers together: their items are what one answer
contributes, and ``*_stderr`` is a bootstrap standard error of 1,000 resamples (seed 0).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import harness_tasks.elicitation.response_cache  # noqa: F401  (the model is in the cache's keys)
from calib_metrics.text import rouge as rouge_scores
from calib_metrics.text import squad, translation

RESAMPLES = 1000
LOG = logging.getLogger(__name__)

ANSWER_METRICS = ("exact_match", "f1", "rouge1", "rouge2", "rougeL", "rougeLsum")
CORPUS_METRICS = ("bleu", "chrf")
TEXT_METRICS = (*ANSWER_METRICS, *CORPUS_METRICS)


def text_scores(
    answer: str, references: Sequence[str], metrics: Sequence[str] = TEXT_METRICS
) -> dict[str, Any]:
    """Score one answer against its references by the named metrics.

    exact_match, f1: after SQuAD's normalisation, against the best reference, in [0, 1].
    rouge1, rouge2, rougeL: F1 in [0, 1]; rougeLsum: the same as rougeL, sentence by sentence.
    Words are those of the references' script (see `calib_metrics.text.rouge`). bleu, chrf:
    (answer, references), for the aggregations here.

    Raises:
        ValueError: a metric has another name.
    """
    answer = answer.strip()
    scores: dict[str, Any] = {}
    rouge: dict[str, float] = {}
    for name in metrics:
        if name not in TEXT_METRICS:
            raise ValueError(f"{name!r} is not one of {', '.join(TEXT_METRICS)}.")
        if name == "exact_match":
            scores[name] = squad.exact_match(answer, references)
        elif name == "f1":
            scores[name] = squad.token_f1(answer, references)
        elif name in CORPUS_METRICS:
            scores[name] = (answer, list(references))
        else:
            split = rouge_scores.split_sentences
            rouge = rouge or rouge_scores.rouge([split(answer)], [[*map(split, references)]])
            scores[name] = rouge[name]
        if name == "bleu":
            scores["bleu_stderr"] = scores[name]
    return scores


def general(doc: dict[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """All text scores of one generated answer."""
    return text_scores(results[0], doc["references"])


def given(doc: dict[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Whether there is an answer at all, and its number of words."""
    words = len(results[0].split())
    return {"given": int(words > 0), "words": words}


def bleu(items: Sequence[tuple[str, list[str]]]) -> float:
    """Corpus BLEU in percent: sacreBLEU's defaults, but the tokenizer for the references' script.

    The log has the signature where that is not the default tokenizer.
    """
    answers, references = zip(*items, strict=True)
    found = translation.bleu(answers, references)
    if "tok:13a" not in found.signature:
        LOG.warning("bleu is %s", found.signature)
    return found.score


def bleu_stderr(items: Sequence[tuple[str, list[str]]]) -> float:
    """Bootstrap standard error of `bleu`, from each answer's n-gram counts."""
    from sacrebleu.metrics import BLEU

    tokenize = translation.choose_tokenizer(references for _, references in items)
    # As sacreBLEU asks for single sentences.
    metric = BLEU(tokenize=tokenize, effective_order=True)
    each = [metric.sentence_score(answer, references) for answer, references in items]
    counts = np.array([[*s.counts, *s.totals, s.sys_len, s.ref_len] for s in each])
    orders = len(each[0].counts)

    def score(sums: NDArray) -> float:
        matches, totals, lengths = np.split(sums, [orders, 2 * orders])
        found = BLEU.compute_bleu(
            matches.tolist(), totals.tolist(), *lengths.tolist(), smooth_method="exp"
        )
        return found.score

    return _bootstrap(counts, lambda sums: np.array([score(row) for row in sums]))


def chrf(items: Sequence[tuple[str, list[str]]]) -> float:
    """Corpus chrF2 in percent (sacreBLEU's defaults)."""
    answers, references = zip(*items, strict=True)
    return translation.chrf(answers, references).score


def classification(doc: dict[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """The scores of one classified text, from the log-likelihood of each label.

    The prediction is the likeliest label; probabilities are the softmax over all labels.
    cross_entropy: -ln of the right label's, in nats. ece: over (probability of the prediction,
    whether it is right).
    """
    logits = np.array([logprob for logprob, _ in results])
    logs = logits - np.logaddexp.reduce(logits)
    predicted, label = int(np.argmax(logs)), int(doc["gold"])
    decision = (predicted, label, len(logs))
    confidence = (float(np.exp(logs[predicted])), int(predicted == label))
    scores: dict[str, Any] = {"acc": confidence[1]}
    for name in ("precision", "recall", "f1"):
        scores |= {name: decision, f"{name}_stderr": decision}
    return scores | {
        "cross_entropy": -float(logs[label]),
        "ece": confidence,
        "ece_stderr": confidence,
    }


def precision(items: Sequence[tuple[int, int, int]]) -> float:
    """Macro precision: unweighted mean over the classes; 0 for one that is never predicted."""
    return float(_macro(_confusion(items))[0])


def recall(items: Sequence[tuple[int, int, int]]) -> float:
    """Macro recall: unweighted mean over the classes; 0 for one that no text has."""
    return float(_macro(_confusion(items))[1])


def f1(items: Sequence[tuple[int, int, int]]) -> float:
    """Macro F1: unweighted mean of the classes' F1."""
    return float(_macro(_confusion(items))[2])


def precision_stderr(items: Sequence[tuple[int, int, int]]) -> float:
    """Bootstrap standard error of `precision`."""
    return _macro_stderr(items, 0)


def recall_stderr(items: Sequence[tuple[int, int, int]]) -> float:
    """Bootstrap standard error of `recall`."""
    return _macro_stderr(items, 1)


def f1_stderr(items: Sequence[tuple[int, int, int]]) -> float:
    """Bootstrap standard error of `f1`."""
    return _macro_stderr(items, 2)


def _confusion(items: Sequence[tuple[int, int, int]]) -> NDArray[np.int64]:
    """Counts of (label, prediction)."""
    classes = items[0][2]
    counts = np.zeros((classes, classes), dtype=np.int64)
    for predicted, label, _ in items:
        counts[label, predicted] += 1
    return counts


def _macro(confusion: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Macro precision, recall and F1 of confusion matrices, along the last two axes."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    predicted, actual = confusion.sum(axis=-2), confusion.sum(axis=-1)
    # Where a denominator is 0 so is the numerator, and the score counts as 0.
    parts = (
        hits / np.maximum(predicted, 1),
        hits / np.maximum(actual, 1),
        2 * hits / np.maximum(predicted + actual, 1),
    )
    return tuple(part.mean(axis=-1) for part in parts)


def _macro_stderr(items: Sequence[tuple[int, int, int]], which: int) -> float:
    if len(items) < 2:
        return math.nan
    confusion = _confusion(items)
    cells = confusion.ravel() / len(items)
    # Resampling answers is drawing their cells of the confusion matrix anew.
    drawn = np.random.default_rng(0).multinomial(len(items), cells, size=RESAMPLES)
    return float(np.std(_macro(drawn.reshape(-1, *confusion.shape))[which], ddof=1))


def _bootstrap(rows: NDArray, score: Callable[[NDArray], NDArray]) -> float:
    """Standard deviation of `score` over resampled sums of `rows`; NaN below two rows."""
    if len(rows) < 2:
        return math.nan
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=RESAMPLES)
    return float(np.std(score(weights @ rows), ddof=1))
