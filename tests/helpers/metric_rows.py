"""Rows of (confidence, correct) that the tests of the metrics draw, with all that is awkward."""

import warnings

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from calib_metrics.recalibration import fit

# What models write (hundredths, full of ties, 0 and 1) and what read-outs give (any float).
CONFIDENCE = st.integers(0, 100).map(lambda k: k / 100) | st.floats(0, 1)


@st.composite
def rows(draw, min_size=1, max_size=60, confidence=CONFIDENCE):
    pairs = st.tuples(confidence, st.integers(0, 1))
    data = draw(st.lists(pairs, min_size=min_size, max_size=max_size))
    return np.array([c for c, _ in data], float), np.array([y for _, y in data], int)


def shuffled(data, random):
    order = list(range(len(data[0])))
    random.shuffle(order)
    return tuple(column[order] for column in data)


def calibrated(n, seed=0):
    rng = np.random.default_rng(seed)
    confidence = rng.random(n)
    return confidence, (rng.random(n) < confidence).astype(int)


def overconfident(n, seed=0, sharpen=2.5):
    """Confidences whose log-odds are `sharpen` times those of the truth."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0.5, 1, n)
    correct = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(int)
    return 1 / (1 + np.exp(-sharpen * log_odds)), correct


@st.composite
def interior_rows(draw):
    confidence = st.integers(1, 99).map(lambda k: k / 100)
    data = draw(st.lists(st.tuples(confidence, st.integers(0, 1)), min_size=4, max_size=40))
    return np.array([c for c, _ in data]), np.array([y for _, y in data])


def quiet_fit(data, method, **options):
    """Fit, passing over data for which no finite fit exists."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The temperature stopped")
        try:
            return fit(*data, method, **options)
        except ValueError as error:
            assume("no finite fit" not in str(error) and "cannot determine" not in str(error))
            raise
