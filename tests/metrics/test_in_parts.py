"""Metrics that read their rows in parts: the same numbers as at once, to the last bit."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from calib_metrics import calibration, discrimination
from calib_metrics._checks import check_rows


@pytest.mark.parametrize("ties", [1, 3, 40, 1000])
@pytest.mark.parametrize("size", [2, 7, 64])
def test_auroc_of_parts_counts_pairs_across_them(monkeypatch, ties, size):
    monkeypatch.setattr(discrimination, "_CHUNK", size)
    rng = np.random.default_rng(ties)
    confidence = rng.permutation(np.arange(1000) // ties) / 1000
    correct = rng.random(1000) < confidence
    correct[0] = True  # where all confidences are 0 too
    expected = roc_auc_score(correct, confidence)
    assert discrimination.auroc(confidence, correct) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rows", [1, 9, 1000, 12_345, 100_003])
@pytest.mark.parametrize("part", [129, 1000])
def test_means_of_parts_are_those_of_numpy(monkeypatch, rows, part):
    monkeypatch.setattr(calibration, "_PART", part)
    rng = np.random.default_rng(rows)
    confidence, correct = check_rows(rng.random(rows), rng.integers(0, 2, rows))
    assert calibration.brier(confidence, correct) == np.mean((confidence - correct) ** 2)
    told = np.where(correct == 1, confidence, 1 - confidence)
    assert calibration.nll(confidence, correct) == pytest.approx(-np.mean(np.log(told)), rel=1e-9)
