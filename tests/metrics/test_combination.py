"""Combinations of methods: against scikit-learn, and worked by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

from calib_metrics.combination import cross_validate, fit, load


def drawn(seed, n=200, methods=2):
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.5, (n, methods))
    correct = (rng.random(n) < expit(odds @ rng.normal(0.5, 0.5, methods) - 0.3)).astype(int)
    return {f"m{k}": expit(odds[:, k]) for k in range(methods)}, correct


def test_one_method_of_two_values_takes_the_accuracy_at_each():
    # Of four answers at 0.25 one is right, of four at 0.75 two are: the fit has a parameter for
    # each, so b - w ln 3 = logit(1/4) = -ln 3 and b + w ln 3 = logit(1/2) = 0.
    found = fit({"m": [0.25] * 4 + [0.75] * 4}, [1, 0, 0, 0, 1, 1, 0, 0])
    assert found.weights == pytest.approx((0.5,), abs=1e-9)
    assert found.intercept == pytest.approx(-math.log(3) / 2, abs=1e-9)
    assert found.apply({"m": [0.75, 0.5]}) == pytest.approx([0.5, 1 / (1 + math.sqrt(3))])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_the_fit_is_scikit_learns_without_regularisation(seed, methods):
    confidences, correct = drawn(seed, methods=methods)
    features = logit(np.column_stack(list(confidences.values())))
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(features, correct)
    ours = fit(confidences, correct)
    assert ours.weights == pytest.approx(theirs.coef_[0], abs=1e-4)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-4)
    new, _ = drawn(seed + 1, methods=methods)
    predicted = theirs.predict_proba(logit(np.column_stack(list(new.values()))))[:, 1]
    assert ours.apply(new) == pytest.approx(predicted, abs=1e-4)


def test_with_a_fold_for_each_group_the_cross_validation_is_scikit_learns():
    confidences, correct = drawn(3)
    groups = np.repeat(["a", "b", "c", "d"], [70, 60, 40, 30])
    theirs = cross_val_predict(
        LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000),
        logit(np.column_stack(list(confidences.values()))),
        correct,
        groups=groups,
        cv=LeaveOneGroupOut(),
        method="predict_proba",
    )[:, 1]
    for seed in (0, 1):
        ours = cross_validate(confidences, correct, groups=groups, folds=4, seed=seed)
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_without_groups_folds_are_even_and_depend_on_the_seed():
    confidences, correct = drawn(4)
    one, same, other = (cross_validate(confidences, correct, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert np.isfinite(one).all()
    with pytest.raises(ValueError, match="2 groups cannot be divided into 3 folds"):
        cross_validate(confidences, correct, groups=[0, 1] * 100, folds=3)


def test_neither_the_order_of_rows_nor_that_of_methods_matters():
    confidences, correct = drawn(5)
    order = np.random.default_rng(0).permutation(correct.size)
    turned = {name: confidences[name][order] for name in reversed(confidences)}
    one, other = fit(confidences, correct), fit(turned, correct[order])
    assert one.weights == pytest.approx(other.weights[::-1], abs=1e-8)
    assert one.intercept == pytest.approx(other.intercept, abs=1e-8)


def test_rows_of_the_fit_are_refused():
    confidences, correct = drawn(6)
    ids = [f"q{i}" for i in range(correct.size)]
    named = fit(confidences, correct, rows=ids)
    part = {name: column[:3] for name, column in confidences.items()}
    with pytest.raises(ValueError, match="fitted on 1 of these 3 questions"):
        named.apply(part, rows=["q7", "x", "y"])
    named.apply(part, rows=["x", "y", "z"])
    unnamed = fit(confidences, correct)
    turned = {name: column[::-1] for name, column in confidences.items()}
    with pytest.raises(ValueError, match="exactly the rows"):
        unnamed.apply(turned)
    unnamed.apply(turned, allow_fitted_rows=True)


def test_where_a_method_is_silent_the_combination_is():
    confidences, correct = drawn(7)
    holes = {name: column.copy() for name, column in confidences.items()}
    holes["m0"][:5] = np.nan
    found = fit(holes, correct)
    without = fit({name: column[5:] for name, column in confidences.items()}, correct[5:])
    assert (found.n, found.n_missing) == (195, 5)
    assert found.weights == without.weights
    assert np.isnan(found.apply({"m0": [None, 0.5], "m1": [0.5, 0.5]})).tolist() == [True, False]


def test_certain_confidences_need_a_clip():
    confidences, correct = drawn(8)
    confidences["m1"][:2] = [0, 1]
    with pytest.raises(ValueError, match=r"infinite log-odds.*2 of m1"):
        fit(confidences, correct)
    clipped = {name: np.clip(column, 0.1, 0.9) for name, column in confidences.items()}
    assert fit(confidences, correct, clip=0.1).weights == fit(clipped, correct).weights
    for clip in (0, 0.5, True, "0.1"):
        with pytest.raises(ValueError, match="clip is"):
            fit(confidences, correct, clip=clip)


@pytest.mark.parametrize(
    ("confidences", "correct", "why"),
    [
        ({"m": [0.1, 0.2, 0.7, 0.8]}, [0, 0, 1, 1], "separate"),
        ({"m": [0.8, 0.7, 0.2, 0.1]}, [0, 0, 1, 1], "separate"),
        ({"m": [0.1, 0.5, 0.5, 0.8]}, [0, 0, 1, 1], "separate"),  # but for a tie
        ({"m": [0.1, 0.2, 0.7, 0.8]}, [1, 1, 1, 1], "all 4 answers are right"),
        ({"m": [0.3, 0.3, 0.3, 0.3]}, [0, 1, 0, 1], "m is the same"),
        ({"m": [0.1, 0.4, 0.7], "n": [0.1, 0.4, 0.7]}, [1, 0, 1], "n says nothing that m"),
        ({"m|n": [0.1, 0.4, 0.7]}, [1, 0, 1], "leave out"),
        ({"m": [0.1, 0.4], "n": [0.1]}, [1, 0], "m has 2 values and n has 1"),
        ({"m": [0.1, 4]}, [1, 0], "m: confidence runs"),
        ({}, [1, 0], "at least one method"),
    ],
)
def test_what_has_no_one_fit_is_refused(confidences, correct, why):
    with pytest.raises(ValueError, match=why):
        fit(confidences, correct)


def test_a_saved_fit_is_the_same_and_a_damaged_one_is_refused(tmp_path):
    confidences, correct = drawn(9)
    made = fit(confidences, correct, rows=range(correct.size), clip=0.01, seed=3)
    path = tmp_path / "fit.json"
    made.save(path)
    assert load(path) == made
    good = json.loads(path.read_text())
    for key, value in (("weights", [1]), ("format", "x"), ("intercept", "1"), ("clip", 2)):
        path.write_text(json.dumps({**good, key: value}))
        with pytest.raises(ValueError, match="is not a saved combination"):
            load(path)
    with pytest.raises(ValueError, match="There is no method 'm1', only m0"):
        made.apply({"m0": [0.5]})


def test_the_signature_has_the_weights():
    found = fit({"m": [0.25] * 4 + [0.75] * 4}, [1, 0, 0, 0, 1, 1, 0, 0])
    assert found.signature.startswith("weight:m=0.5|intercept:-0.549306|fit_n:8|fit_rows:")
