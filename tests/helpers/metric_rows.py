"""Rows of (confidence, correct) that the tests of the metrics draw, with all that is awkward."""

import numpy as np
from hypothesis import strategies as st

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
