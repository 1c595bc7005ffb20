"""ECE as other code computes it, to reproduce published numbers.

None of these definitions is recommended: the docstring of each mode says what it gets wrong.
Compare methods with `ece`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib_metrics._checks import check_choice, check_rows
from calib_metrics.bins import run_starts
from calib_metrics.bootstrap import answered_rows, totals_by_bin
from calib_metrics.cells import Cells, Drawn
from calib_metrics.metric import Metric, Resampled

Floats = NDArray[np.float64]
Reduce = Callable[[Floats, NDArray[Any], ArrayLike], Floats]
Prepared = tuple[Floats, NDArray[np.int64], Reduce]


def compat_ece(confidence: ArrayLike, correct: ArrayLike, mode: str) -> float:
    """Return the calibration error that the code behind `mode`, one of MODES, would print.

    mode: "guo17", "kapoor24", "helm_em10", "hle_rms_b100", "quantile_unweighted", "left_open" or
    "left_open_float32"; each is described at the function of its name in this module.
    confidence: (n,) in [0, 1]. correct: (n,) in {0, 1}. Where that code fails or returns NaN: NaN,
    and a UserWarning that says why. Does not depend on the order of the rows, even where that code
    does. Raises ValueError on bad input.
    """
    gap, index, reduce = prepare(confidence, correct, mode)
    kept = index >= 0
    bins = int(index.max()) + 1
    sums: Any = np.bincount(index[kept], gap[kept], bins)  # floats, as the weights
    value = float(reduce(sums, np.bincount(index[kept], minlength=bins), gap.size))
    if math.isnan(value):
        warnings.warn(f"{mode} is undefined (NaN): {_FAILS[mode]}.", stacklevel=2)
    return value


def prepare(confidence: ArrayLike, correct: ArrayLike, mode: str) -> Prepared:
    """Return (gap, index, reduce) of a mode, to compute sums separately, as a bootstrap does.

    gap: (n,), correct - confidence as the mode sees them. index: (n,), the bin from 0, or -1 for a
    row that the mode loses. Both have the order of the rows sorted by (confidence, correct).
    reduce(gap sums (..., bins), rows in the bin (..., bins), all rows, lost ones too): the error
    (...,). Raises ValueError on bad input.
    """
    check_choice(mode, "mode", tuple(MODES))
    return MODES[mode](*check_rows(confidence, correct))


def guo17(confidence: Floats, correct: Floats) -> Prepared:
    """Guo et al., ICML 2017, and its temperature_scaling code: 15 bins (lo, hi] of equal width.

    A confidence of exactly 0 is in no bin, but still counts in the divisor n. Most tables do not
    state the number of bins, and 15 bins give a larger error by chance than 10.
    """
    return correct - confidence, _right_closed(confidence, 15), _mean_gap


def left_open(confidence: Floats, correct: Floats) -> Prepared:
    """As `guo17` with 10 bins, as in much code derived from it: loses confidences of exactly 0.

    The edges are decimals; for code that makes them with torch, use `left_open_float32`.
    """
    return correct - confidence, _right_closed(confidence, 10), _mean_gap


def left_open_float32(confidence: Floats, correct: Floats) -> Prepared:
    """As `left_open`, with the edges that torch.linspace gives: float32, compared in float64.

    The edges .7 and .9 are slightly too low, so a confidence of .7 or .9 written as a decimal moves
    up a bin. This is what such code prints when the confidences come from a file. When they are
    float32 themselves, it equals `left_open` of their decimals.
    """
    edges = (np.arange(11) / 10).astype(np.float32).astype(np.float64)
    return correct - confidence, np.searchsorted(edges, confidence, side="left") - 1, _mean_gap


def kapoor24(confidence: Floats, correct: Floats) -> Prepared:
    """Kapoor et al., NeurIPS 2024, calibration-tuning code: 10 bins [lo, hi) of max(p, 1 - p).

    The confidence p that the answer is right becomes that of a yes-or-no classifier: conf =
    max(p, 1 - p), and right means that (p > 0.5) agrees with correct (a tie says "wrong", its
    argmax). Only bins from 0.5 are used, a confident "wrong" counts as much as a confident
    "right", and the numbers are not comparable with an ECE of p. A conf of exactly 1 is in no bin
    and is left out. Edges are those of numpy.linspace, a rounding error away from decimals.
    """
    conf = np.maximum(confidence, 1 - confidence)
    agrees = ((confidence > 0.5) == (correct == 1)).astype(np.float64)
    index = np.searchsorted(np.linspace(0, 1, 11), conf, side="right") - 1
    return agrees - conf, np.where(index == 10, -1, index), _mean_gap_of_kept


def helm_em10(confidence: Floats, correct: Floats) -> Prepared:
    """HELM's ece_10_bin: get_ece_em of uncertainty-calibration 0.1.4 with 10 bins of equal mass.

    The sorted rows are cut into min(10, n) parts of equal size, the first ones a row longer; the
    edges are halfway between neighbours, equal edges count once, and bins are (lo, hi]. Ties stay
    together, in whichever part the cut reaches first. HELM recommends n >= 300.
    """
    n = confidence.size
    parts = min(10, n)
    size = np.full(parts, n // parts)
    size[: n % parts] += 1
    cut = np.cumsum(size)[:-1]
    edges = np.unique(np.append((confidence[cut - 1] + confidence[cut]) / 2, 1.0))
    return correct - confidence, np.searchsorted(edges, confidence), _mean_gap


def hle_rms_b100(confidence: Floats, correct: Floats) -> Prepared:
    """Humanity's Last Exam: RMS over runs of 100 rows in order of confidence, the last run lost.

    Its code never visits the last bin, the 100 to 199 most confident answers, yet divides by all n:
    with n from 100 to 199 it is 0 whatever the data, and below 100 it stops with an IndexError
    (NaN here). Tied answers fall into bins by their order in the file; here each takes the mean of
    correct over its ties, which no order changes.
    """
    start = run_starts(confidence)
    count = np.diff(start, append=confidence.size)
    shared = np.repeat(np.add.reduceat(correct, start) / count, count)
    n = confidence.size
    index = np.arange(n) // 100
    index[index >= n // 100 - 1] = -1

    def reduce(gap: Floats, rows: NDArray[Any], all_rows: ArrayLike) -> Floats:
        squares = np.sum(gap**2 / np.maximum(rows, 1), axis=-1)
        return np.sqrt(squares / all_rows) if n >= 100 else np.full(np.shape(squares), np.nan)

    return shared - confidence, index, reduce


def quantile_unweighted(confidence: Floats, correct: Floats) -> Prepared:
    """Plaut et al. 2024 (bplaut/llm-calibration-and-correctness-prediction): 10 quantile bins.

    Edges are numpy.quantile's, with 0 and 1 at the ends, and bins [lo, hi): a confidence of
    exactly 1 is lost. The gaps of the bins that hold rows are averaged without weights, so one
    answer alone in a bin counts as much as hundreds; ties leave bins empty.
    """
    edges = np.quantile(confidence, np.linspace(0, 1, 11))
    edges[0], edges[-1] = 0, 1
    index = np.searchsorted(edges, confidence, side="right") - 1
    return correct - confidence, np.where(index == 10, -1, index), _mean_over_bins


MODES: dict[str, Callable[[Floats, Floats], Prepared]] = {
    "guo17": guo17,
    "kapoor24": kapoor24,
    "helm_em10": helm_em10,
    "hle_rms_b100": hle_rms_b100,
    "quantile_unweighted": quantile_unweighted,
    "left_open": left_open,
    "left_open_float32": left_open_float32,
}

_FAILS = {
    "kapoor24": "max(p, 1 - p) is exactly 1 in every row, and its half-open bins lose those",
    "hle_rms_b100": "with fewer than 100 rows its code stops with an IndexError",
    "quantile_unweighted": "every confidence is exactly 1, and its half-open bins lose those",
}


def _right_closed(confidence: Floats, bins: int) -> NDArray[np.int64]:
    return np.searchsorted(np.arange(bins + 1) / bins, confidence, side="left") - 1


def _mean_gap(gap: Floats, rows: NDArray[Any], all_rows: ArrayLike) -> Floats:
    return np.sum(np.abs(gap), axis=-1) / all_rows


def _mean_gap_of_kept(gap: Floats, rows: NDArray[Any], all_rows: ArrayLike) -> Floats:
    return _divide(np.sum(np.abs(gap), axis=-1), np.sum(rows, axis=-1))


def _mean_over_bins(gap: Floats, rows: NDArray[Any], all_rows: ArrayLike) -> Floats:
    used = rows > 0
    return _divide(np.sum(np.abs(gap) / np.maximum(rows, 1), axis=-1), np.sum(used, axis=-1))


def _divide(over: Floats, under: NDArray[Any]) -> Floats:
    return np.divide(over, under, out=np.full(np.shape(over), np.nan), where=under > 0)


def _resampled(cells: Cells, mode: str) -> Resampled:
    gap, index, reduce = prepare(*answered_rows(cells), mode)  # rows are cells here: see make_cells
    totals = totals_by_bin(index, np.stack([gap, np.ones(gap.size)], axis=1))

    def calibration_error(drawn: Drawn) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            over, rows = totals(drawn)
            error = reduce(over, rows, drawn.n)
        return np.where(drawn.n > 0, error, np.nan)

    return calibration_error


METRICS = tuple(
    Metric(
        f"ece:{mode}",
        f"ECE ({mode})",
        compat_ece,
        _resampled,
        higher_is_better=False,
        fixed={"mode": mode},
        describe=lambda mode: [],  # its name says it
        merges=False,
        chance_raises=True,
        documented=MODES[mode],
    )
    for mode in MODES
)
