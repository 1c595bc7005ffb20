"""How good completions and option probabilities are on the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from calib_adapters.supervised.batch import SUMMARY
from calib_adapters.training.temperature import best_temperature
from calib_metrics import score
from calib_metrics.intervals import percentile_interval, standard_error
from calib_metrics.resampling import draws

METRICS = ("acc", "ece", "auroc", "brier")
RESAMPLES = 1000

Table = NDArray[np.float64]


def quick_scores(table: Table, gold: NDArray[np.int_]) -> dict[str, float]:
    """Scores of a validation pass, without intervals.

    Args:
        table: rows of `summarise`.
        gold: (n,), the right option of each row, -1 for rows without options.

    Returns:
        ``nll``, per token in nats, and ``perplexity``; where rows have options also the scores of
        the most probable option's probability (``acc``, ``ece``, ``auroc``, ``brier``) and
        ``option_nll``, and where rows have none ``exact``, the share for which greedy decoding
        writes an accepted answer. An AUROC of answers that are all right, or all wrong, is
        undefined and left out.
    """
    nll = float(_ratio(table, np.ones((1, len(table))))[0])
    found = {"nll": nll, "perplexity": float(np.exp(nll))}
    scores, right = _options(table, gold)
    if len(scores):
        found |= {n: s.value for n, s in _option_scores(scores, right, resamples=0).items()}
        found["option_nll"] = _mean_nll(scores, right)
    if len(exact := _exact(table, gold)):
        found["exact"] = float(exact.mean())
    return found


def full_scores(table: Table, gold: NDArray[np.int_], method: str) -> dict[str, dict[str, Any]]:
    """`quick_scores` with 95 % bootstrap intervals over rows, as JSON values.

    ``perplexity`` has the interval of ``nll``, exponentiated.
    """
    nll = _interval(
        _ratio(table, np.ones((1, len(table))))[0], len(table), lambda counts: _ratio(table, counts)
    )
    found = {"nll": nll, "perplexity": _exponential(nll)}
    scores, right = _options(table, gold)
    if len(scores):
        values = _option_scores(scores, right, method=method, resamples=RESAMPLES)
        found |= {name: value.to_dict() for name, value in values.items()}
        each = -log_softmax(scores, axis=1)[np.arange(len(right)), right]
        found["option_nll"] = _interval(
            each.mean(), len(each), lambda counts: counts @ each / counts.sum(axis=1)
        )
    if len(exact := _exact(table, gold)):
        found["exact"] = _interval(
            exact.mean(), len(exact), lambda counts: counts @ exact / counts.sum(axis=1)
        )
    return found


def scores_by_group(
    table: Table, gold: NDArray[np.int_], groups: Sequence[str], method: str
) -> dict[str, dict[str, Any]]:
    """`full_scores` of the rows of each group."""
    names = np.asarray(groups)
    return {
        str(name): {
            "n": int((names == name).sum()),
            **full_scores(table[names == name], gold[names == name], method),
        }
        for name in np.unique(names)
    }


def fit_option_temperature(table: Table, gold: NDArray[np.int_]) -> dict[str, Any]:
    """Temperature T > 0 that minimises the mean NLL of softmax(log-likelihoods / T).

    Returns:
        As `calib_adapters.training.temperature.fit_temperature`; empty if no row has options.
    """
    scores, right = _options(table, gold)
    if not len(scores):
        return {}
    return best_temperature(lambda t: _mean_nll(scores / t, right))


def confidences(table: Table, gold: NDArray[np.int_]) -> tuple[Table, NDArray[np.int_]]:
    """(confidence, correct) of the most probable option, for the rows that have options."""
    scores, right = _options(table, gold)
    chosen = scores.argmax(axis=1) if len(scores) else right
    probabilities = softmax(scores, axis=1) if len(scores) else scores
    return probabilities[np.arange(len(right)), chosen], (chosen == right).astype(int)


def _options(table: Table, gold: NDArray[np.int_]) -> tuple[Table, NDArray[np.int_]]:
    """Log-likelihoods of the options, -inf where there is none, and the right ones."""
    table, gold = np.asarray(table, dtype=np.float64), np.asarray(gold)
    has = gold >= 0
    return table[has, SUMMARY:], gold[has]


def _exact(table: Table, gold: NDArray[np.int_]) -> Table:
    """1 or 0 per row without options: does greedy decoding write an accepted answer?"""
    return np.asarray(table, dtype=np.float64)[np.asarray(gold) < 0, SUMMARY - 1]


def _option_scores(scores: Table, right: NDArray[np.int_], **settings: Any) -> dict[str, Any]:
    padded = np.concatenate([np.zeros((len(scores), SUMMARY)), scores], axis=1)
    confidence, correct = confidences(padded, right)
    # Answers that are all right, or all wrong, have no AUROC.
    metrics = [name for name in METRICS if name != "auroc" or len(set(correct.tolist())) == 2]
    return score(confidence, correct, metrics, **settings)


def _mean_nll(scores: Table, right: NDArray[np.int_]) -> float:
    return float(-log_softmax(scores, axis=1)[np.arange(len(right)), right].mean())


def _ratio(table: Table, counts: Table) -> NDArray[np.float64]:
    """Total NLL over total tokens, the ends of texts included, for each row of `counts`."""
    text, tokens, end, ends = np.asarray(table[:, :4], dtype=np.float64).T
    return counts @ (text + end) / (counts @ (tokens + ends))


def _interval(value: float, n: int, statistic: Any) -> dict[str, Any]:
    values = np.concatenate([statistic(counts) for counts in draws(n, RESAMPLES, 0)])
    low, high = percentile_interval(values, 0.95) if n > 1 else (np.nan, np.nan)
    bounds = {"low": low, "high": high, "stderr": standard_error(values) if n > 1 else np.nan}
    numbers = {"value": float(value), **bounds}
    return {
        **{name: float(v) if np.isfinite(v) else None for name, v in numbers.items()},
        "n": n,
    }


def _exponential(found: dict[str, Any]) -> dict[str, Any]:
    bounds = {
        name: None if found[name] is None else float(np.exp(found[name]))
        for name in ("value", "low", "high")
    }
    return {**bounds, "n": found["n"]}
