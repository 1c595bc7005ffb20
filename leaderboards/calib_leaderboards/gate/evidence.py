"""The tests behind the gate: has a score become worse, and what could a run of this size show?

Harm is a difference with its sign such that more is worse. Every test asks one question: is the
harm above the tolerance? Its p is one-sided; a small p indicates a regression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from calib_metrics import compare, score
from calib_metrics.intervals import percentile_interval
from calib_metrics.noise import noise_errors
from calib_metrics.resampling import draws

Floats = NDArray[np.float64]

POWER = 0.8
LEVEL = 0.95  # of the interval around the difference
CALIBRATION_ERRORS = {"ece": "l1", "rms": "l2"}  # scores that chance alone raises, and their norm
_CHUNK = 2_000_000  # signs held in memory at once; no result depends on it


@dataclass(frozen=True)
class Evidence:
    """The result of one test.

    test: its name. difference: new less baseline, with its interval low to high. p: one-sided.
    stderr: of the harm, behind `detectable`. n: questions used; n_missing: left out, as one side
    had no confidence. noise: mean and upper 5 % point of the calibration error that a perfectly
    calibrated model with the new confidences would score.
    """

    test: str
    difference: float
    low: float
    high: float
    p: float
    stderr: float
    n: int
    n_missing: int = 0
    noise: tuple[float, float] | None = None


def sign_flip(harm: Floats, resamples: int, seed: int) -> Floats:
    """One-sided p of each column of `harm`: is its mean above zero?

    Under the hypothesis that the two runs could be exchanged on every question, each harm could as
    well have had the other sign. p is the share of random sign patterns, the observed one included,
    whose mean is at least as large as the observed mean. Exact for exchangeable runs, and right in
    the limit of many questions whenever the mean harm is zero. For answers that are right or wrong
    it is McNemar's exact test.

    harm: (n, k), or (n,) for one column. resamples: patterns drawn, the same for all columns.
    Returns (k,), each at least 1 / (resamples + 1).
    Source: Fisher, The Design of Experiments, 1935, section 21.
    """
    harm = harm.reshape(len(harm), -1)
    # A pattern's sum is the observed sum less twice the harms whose sign it flips.
    slack = 1e-12 * np.abs(harm).sum(axis=0)
    reached = np.ones(harm.shape[1])
    rng = np.random.default_rng(seed)
    size = max(1, _CHUNK // len(harm))
    for done in range(0, resamples, size):
        words = rng.integers(
            0, 256, (min(size, resamples - done), -(-len(harm) // 8)), dtype=np.uint8
        )
        turned = np.unpackbits(words, axis=1, count=len(harm)).astype(np.float64)
        reached += np.sum(turned @ harm <= slack, axis=0)
    return reached / (resamples + 1)


def paired_mean(
    base: Floats,
    new: Floats,
    *,
    higher: bool,
    tolerance: float,
    resamples: int,
    seed: int,
    missing: int = 0,
) -> Evidence:
    """Test the mean of a score that every question has, on the same questions, by `sign_flip`.

    base, new: (n,), question by question. missing: questions already left out. The interval is a
    percentile bootstrap over questions.
    """
    difference = new - base
    harm = (-difference if higher else difference) - tolerance
    (p,) = sign_flip(harm, resamples, seed)
    low, high = _mean_interval(difference, resamples, seed)
    stderr = float(np.std(difference, ddof=1) / math.sqrt(difference.size))
    mean = float(np.mean(difference))
    return Evidence("sign-flip", mean, low, high, float(p), stderr, difference.size, missing)


def paired_metric(
    name: str,
    base: tuple[Floats, Floats],
    new: tuple[Floats, Floats],
    *,
    higher: bool,
    tolerance: float,
    resamples: int,
    seed: int,
) -> Evidence:
    """Test a score of all questions together, such as AUROC or ECE, by a paired bootstrap.

    base, new: confidence (NaN where missing) and correct, question by question. z is the harm above
    the tolerance by its bootstrap standard error, p that of a normal variable.

    A calibration error is biased upwards by chance, the more the wider the confidences are spread
    over the bins, and near zero it cannot fall. So z takes the debiased errors (`ece`), and a
    regression must also show against the noise floor: p is the larger of that of z and the share of
    perfectly calibrated answers with the new confidences whose error is at least the new one.
    """
    options = {"resamples": resamples, "seed": seed}
    shown = compare(*new, *base, (name,), **options)[name]
    harm, stderr, test, noise = shown.value, shown.stderr, "bootstrap", None
    if name in CALIBRATION_ERRORS:
        unbiased = compare(*new, *base, (name,), debias=True, **options)[name]
        harm, stderr, test = unbiased.value, unbiased.stderr, "bootstrap and noise floor"
    p = _normal_p((-harm if higher else harm) - tolerance, stderr)
    if name in CALIBRATION_ERRORS:
        both = ~(np.isnan(base[0]) | np.isnan(new[0]))
        by_chance, noise = _chance(name, new[0][both], new[1][both], resamples, seed)
        p = max(p, by_chance)
    return Evidence(
        test, shown.value, shown.low, shown.high, p, stderr, shown.n, shown.n_missing, noise
    )


def mean_against(
    value: float,
    new: Floats,
    *,
    stderr: float,
    higher: bool,
    tolerance: float,
    resamples: int,
    seed: int,
    missing: int = 0,
) -> Evidence:
    """Test a mean against a baseline of which only the value (and its standard error) is known.

    For answers that are right or wrong the standard error is the larger of the sample's and that of
    the binomial distribution at the limit tested, as in Wilson's interval: the sample's alone is 0
    when all answers are right.
    """
    difference = new - value
    mean = float(np.mean(difference))
    own = float(np.std(new, ddof=1) / math.sqrt(new.size))
    if np.isin(new, (0.0, 1.0)).all():
        limit = min(1.0, max(0.0, value - tolerance if higher else value + tolerance))
        own = max(own, math.sqrt(limit * (1 - limit) / new.size))
    low, high = _mean_interval(difference, resamples, seed)
    spread = math.hypot(own, stderr)
    p = _normal_p((-mean if higher else mean) - tolerance, spread)
    return Evidence("interval", mean, low, high, p, spread, new.size, missing)


def metric_against(
    name: str,
    value: float,
    new: tuple[Floats, Floats],
    *,
    stderr: float,
    higher: bool,
    tolerance: float,
    resamples: int,
    seed: int,
) -> Evidence:
    """As `mean_against`, for a score of all questions together.

    A calibration error must also be above the noise floor, as in `paired_metric`.
    """
    own = score(*new, (name,), resamples=resamples, seed=seed)[name]
    spread = math.hypot(own.stderr, stderr)
    harm = own.value - value
    p, test, noise = _normal_p((-harm if higher else harm) - tolerance, spread), "interval", None
    if name in CALIBRATION_ERRORS:
        given = ~np.isnan(new[0])
        by_chance, noise = _chance(name, new[0][given], new[1][given], resamples, seed)
        p, test = max(p, by_chance), "interval and noise floor"
    low, high = own.low - value, own.high - value
    return Evidence(test, harm, low, high, p, spread, own.n, own.n_missing, noise)


def holm(p: Sequence[float], tests: int) -> list[float]:
    """Holm's corrected p: the chance of any false alarm among `tests` stays below the level.

    The i-th smallest p (i from 0) becomes the largest of (tests - j) p_j over j <= i, at most 1.
    tests: at least len(p); those without a p, which could not be decided, count as p = 1.
    Source: Holm, Scandinavian Journal of Statistics 1979.

    >>> holm([0.01, 0.04, 0.03], 3)
    [0.03, 0.06, 0.06]
    """
    corrected, largest = [1.0] * len(p), 0.0
    for place, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, (tests - place) * p[index])
        corrected[index] = min(1.0, largest)
    return corrected


def detectable(evidence: Evidence, tolerance: float, level: float) -> float:
    """The smallest true harm that a test at `level` would find in four of five runs of this size.

    tolerance + (z(1 - level) + z(0.8)) * standard error, z the normal quantile. NaN where the two
    runs agree on every question: their difference then tells nothing about the noise to expect.
    """
    if not evidence.stderr > 0:
        return math.nan
    return float(tolerance + (ndtri(1 - level) + ndtri(POWER)) * evidence.stderr)


def _normal_p(excess: float, stderr: float) -> float:
    if math.isnan(excess) or math.isnan(stderr):
        return math.nan
    if stderr == 0:
        return 0.0 if excess > 0 else 1.0
    return float(ndtr(-excess / stderr))


def _chance(
    name: str, confidence: Floats, correct: Floats, resamples: int, seed: int
) -> tuple[float, tuple[float, float]]:
    """P(a perfectly calibrated model has at least the observed error), and the noise floor."""
    error = score(confidence, correct, (name,), resamples=0)[name].value
    errors = noise_errors(confidence, norm=CALIBRATION_ERRORS[name], draws=resamples, seed=seed)
    p = (1 + np.sum(errors >= error - 1e-12)) / (1 + errors.size)
    return float(p), (float(np.mean(errors)), float(np.quantile(errors, 0.95, method="higher")))


def _mean_interval(values: Floats, resamples: int, seed: int) -> tuple[float, float]:
    means = [counts @ values / values.size for counts in draws(values.size, resamples, seed)]
    return percentile_interval(np.concatenate(means), LEVEL)
