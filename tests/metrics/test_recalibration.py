"""Recalibration: which rows can be fitted, which are refused, what it promises, and its files."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib_metrics.recalibration import METHODS, Recalibration, fit, load
from helpers.metric_rows import interior_rows, overconfident, quiet_fit

LOG_ODDS_METHODS = ("temperature", "platt", "beta")


# Zero and one.
@pytest.mark.parametrize("method", LOG_ODDS_METHODS)
def test_certainty_is_refused_by_log_odds_methods_unless_clipped(method):
    confidence = [0.0, 0.3, 0.6, 0.8, 1.0, 1.0]
    correct = [0, 1, 0, 1, 1, 0]
    with pytest.raises(ValueError, match=rf"3 of 6 .* exactly 0 or 1.*{method}.*clip"):
        fit(confidence, correct, method)
    clipped = fit(confidence, correct, method, clip=0.01)
    inside = fit(np.clip(confidence, 0.01, 0.99), correct, method)
    assert clipped.parameters == inside.parameters and clipped.clip == 0.01
    assert clipped.apply([0.0, 1.0]).tolist() == clipped.apply([0.01, 0.99]).tolist()


@pytest.mark.parametrize("method", ["isotonic", "histogram"])
def test_clip_is_refused_where_it_has_no_meaning(method):
    with pytest.raises(ValueError, match=f"{method} takes 0 and 1 as they are"):
        fit([0.2, 0.8], [0, 1], method, clip=0.01)
    fit([0.0, 1.0], [0, 1], method)


@pytest.mark.parametrize("clip", [0, 0.5, -0.1, 1, "0.1", True, float("nan")])
def test_clip_out_of_range_is_refused(clip):
    with pytest.raises(ValueError, match="clip is .* between 0 and 0.5"):
        fit([0.2, 0.8], [0, 1], "temperature", clip=clip)


def test_without_clip_certainty_goes_to_the_limit_of_the_curve():
    rows = overconfident(400)
    for method in LOG_ODDS_METHODS:
        assert fit(*rows, method).apply([0.0, 1.0]).tolist() == [0, 1]
    flat = Recalibration("beta", {"a": 1.0, "b": 0.0, "c": 0.5}, None, 2, None, "0" * 64)
    # Without b, the curve at 1 is sigmoid(a ln 1 + c).
    assert flat.apply([0.0, 1.0]) == pytest.approx([0, 1 / (1 + math.exp(-0.5))])


# No finite fit.
@pytest.mark.parametrize("method", ["platt", "beta"])
def test_separable_answers_have_no_finite_fit(method):
    with pytest.raises(ValueError, match=f"{method} has no finite fit.*separates"):
        fit([0.2, 0.3, 0.7, 0.8], [0, 0, 1, 1], method)
    # Touching at one confidence is still separable: the likelihood rises for ever.
    with pytest.raises(ValueError, match=f"{method} has no finite fit.*separates"):
        fit([0.2, 0.5, 0.5, 0.8], [0, 0, 1, 1], method)
    with pytest.raises(ValueError, match=f"{method} has no finite fit.*all 4 answers are right"):
        fit([0.2, 0.3, 0.7, 0.8], [1, 1, 1, 1], method)
    with pytest.raises(ValueError, match=f"{method}.*1 distinct"):
        fit([0.8, 0.8, 0.8, 0.8], [1, 0, 1, 1], method)


def test_backward_separation_stops_platt_but_not_beta():
    rows = [0.2, 0.3, 0.7, 0.8], [1, 1, 0, 0]
    with pytest.raises(ValueError, match="platt has no finite fit.*separates"):
        fit(*rows, "platt")
    assert fit(*rows, "beta").apply([0.2, 0.8]) == pytest.approx([0.5, 0.5], abs=1e-6)


def test_two_confidences_determine_platt_but_not_beta():
    rows = [0.2, 0.2, 0.8, 0.8, 0.8], [0, 1, 0, 1, 1]
    fit(*rows, "platt")
    with pytest.raises(ValueError, match="beta has 3 parameters, and 2 distinct"):
        fit(*rows, "beta")


@pytest.mark.parametrize(
    ("correct", "bound", "why"), [([0, 1], 0.01, "is right"), ([1, 0], 100.0, "no information")]
)
def test_temperature_at_its_bound_warns(correct, bound, why):
    with pytest.warns(UserWarning, match=f"stopped at its bound, {bound:g}, .*{why}"):
        found = fit([0.2, 0.8], correct, "temperature")
    assert found.parameters["temperature"] == bound


# What the fit has seen.
@pytest.mark.parametrize("method", METHODS)
def test_the_fitted_confidences_are_refused_in_any_order(method):
    confidence, correct = overconfident(60)
    found = fit(confidence, correct, method)
    for use in (found.apply, lambda c: found.evaluate(c, correct[::-1])):
        with pytest.raises(ValueError, match=f"exactly the 60 confidences .*{method} was fitted"):
            use(confidence[::-1])
    assert found.apply(confidence, allow_fitted_rows=True).shape == (60,)
    assert found.apply(confidence[:59]).shape == (59,)


def test_the_sign_of_zero_does_not_hide_fitted_rows():
    found = fit([0.0, 0.5, 0.9], [0, 1, 1], "isotonic")
    with pytest.raises(ValueError, match="exactly the 3 confidences"):
        found.apply([0.9, 0.5, -0.0])


def test_shared_row_ids_are_refused_even_one_among_new_ones():
    confidence, correct = overconfident(60)
    found = fit(confidence[:30], correct[:30], "temperature", rows=range(30))
    with pytest.raises(ValueError, match="fitted on 1 of the row ids .*'29'"):
        found.apply(confidence[29:], rows=[str(i) for i in range(29, 60)])
    fresh = found.apply(confidence[30:], rows=range(30, 60))
    assert fresh.tolist() == found.apply(confidence[30:]).tolist()


def test_ids_decide_over_equal_confidences():
    # A verbalized 0.9 everywhere: other rows, same numbers.
    found = fit([0.9] * 4, [1, 1, 1, 0], "histogram", rows=["a", "b", "c", "d"])
    assert found.apply([0.9] * 4, rows=["e", "f", "g", "h"]).tolist() == [0.75] * 4
    with pytest.raises(ValueError, match="exactly the 4 confidences .*pass rows="):
        found.apply([0.9] * 4)


@pytest.mark.parametrize(
    ("rows", "words"),
    [(["a"], "1 ids and confidence 2 values"), (["a", None], "rows holds None"),
     ([0.5, 1.0], "rows holds 0.5"), ([True, False], "rows holds True")],
)  # fmt: skip
def test_malformed_row_ids_are_refused(rows, words):
    with pytest.raises(ValueError, match=words):
        fit([0.4, 0.6], [0, 1], "isotonic", rows=rows)


# Did it help?
@pytest.mark.parametrize("method", METHODS)
def test_overconfidence_is_reduced_on_new_rows(method):
    found = fit(*overconfident(2000, seed=1), method)
    check = found.evaluate(*overconfident(2000, seed=2))
    if method in LOG_ODDS_METHODS:
        assert check.lowered and check.nll_after < check.nll_before - 0.05
        assert str(check).startswith(f"{method} lowers the NLL of these 2000 rows from")
    assert check.n == 2000 and not check.fitted_rows


def test_a_recalibration_that_does_not_help_says_so():
    found = fit(*overconfident(500, seed=1, sharpen=3), "temperature")
    check = found.evaluate(*overconfident(500, seed=2, sharpen=1))
    assert not check.lowered
    assert "does not lower the NLL" in str(check) and "keep the confidences" in str(check)


def test_check_is_the_nll_before_and_after():
    found = fit([0.9, 0.9, 0.1, 0.1], [1, 1, 0, 1], "temperature")  # T = 2: .9 becomes .75
    check = found.evaluate([0.9, 0.9], [1, 0])
    assert check.nll_before == pytest.approx(-(math.log(0.9) + math.log(0.1)) / 2)
    assert check.nll_after == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2)


def test_infinite_nll_of_isotonic_is_reported():
    found = fit([0.2, 0.4, 0.6, 0.8], [0, 1, 0, 1], "isotonic")
    check = found.evaluate([0.1, 0.9, 0.5], [1, 0, 1])
    assert check.nll_after == math.inf and check.impossible == 2 and not check.lowered
    assert "infinite because of 2 row(s)" in str(check)


def test_check_on_fitted_rows_says_that_it_proves_nothing():
    confidence, correct = overconfident(100)
    check = fit(confidence, correct, "platt").evaluate(confidence, correct, allow_fitted_rows=True)
    assert check.fitted_rows and "nothing about new ones" in str(check)


# Properties.
@given(interior_rows(), st.sampled_from(LOG_ODDS_METHODS))
@settings(deadline=None)
def test_on_its_own_rows_a_likelihood_fit_never_raises_the_nll(data, method):
    check = quiet_fit(data, method).evaluate(*data, allow_fitted_rows=True)
    assert check.nll_after <= check.nll_before + 1e-9


@given(interior_rows(), st.sampled_from(METHODS), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_of_rows_changes_nothing_at_all(data, method, random):
    order = list(range(len(data[0])))
    random.shuffle(order)
    first, second = quiet_fit(data, method), quiet_fit((data[0][order], data[1][order]), method)
    assert first == second


@given(interior_rows(), st.sampled_from(METHODS), st.lists(st.floats(0, 1), min_size=1))
@settings(deadline=None)
def test_results_are_confidences_in_the_order_given(data, method, new):
    found = quiet_fit(data, method)
    values = found.apply(new, allow_fitted_rows=True)
    assert ((values >= 0) & (values <= 1)).all()
    singly = [found.apply([each], allow_fitted_rows=True)[0] for each in new]
    assert values.tolist() == singly
    if method not in ("platt", "histogram"):
        assert (np.diff(found.apply(np.linspace(0, 1, 101))) >= 0).all()


def test_missing_confidences_stay_missing():
    for method in METHODS:
        values = fit(*overconfident(60), method).apply([0.3, None, float("nan"), 0.9])
        assert np.isnan(values).tolist() == [False, True, True, False]


@pytest.mark.parametrize("bad", [[50, 90], ["0.5"], [[0.5]], []])
def test_what_is_no_confidence_is_refused(bad):
    found = fit(*overconfident(60), "temperature")
    with pytest.raises(ValueError, match="confidence"):
        found.apply(bad)


def test_fit_refuses_missing_confidences_and_unknown_methods():
    with pytest.raises(ValueError, match="missing"):
        fit([0.5, None], [1, 0], "isotonic")
    with pytest.raises(ValueError, match="method is 'plat'.*temperature, platt"):
        fit([0.5, 0.6], [1, 0], "plat")


# Files.
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [None, range(60)])
def test_saved_and_loaded_is_equal(method, rows, tmp_path):
    found = fit(*overconfident(60), method, rows=rows)
    found.save(tmp_path / "r.json")
    back = load(tmp_path / "r.json")
    grid = np.linspace(0, 1, 1001)
    assert back == found and back.apply(grid).tobytes() == found.apply(grid).tobytes()
    with pytest.raises(ValueError, match="fitted on"):
        back.apply(overconfident(60)[0], rows=rows)
    assert [each.name for each in tmp_path.iterdir()] == ["r.json"]


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="r.json"):
        load(tmp_path / "r.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "other"}, '"format" is not'),
        ({"extra": 1}, "exactly the fields"),
        ({"n": None}, "n is None"),
        ({"n": 0}, "n is 0"),
        ({"method": "magic"}, "method is 'magic'"),
        ({"method": "beta"}, "parameters of beta must be a and b and c"),
        ({"parameters": {"temperature": -1.0}}, "above 0"),
        ({"parameters": {"temperature": float("nan")}}, "finite"),
        ({"parameters": {"temperature": "2"}}, "finite"),
        ({"parameters": [2.0]}, "parameters of temperature"),
        ({"clip": 0.7}, "clip is 0.7"),
        ({"fitted_rows": [1, 2]}, "list of text"),
        ({"fitted_digest": "abc"}, "SHA-256"),
        ({"method": "isotonic", "parameters": {"confidence": [0.2], "accuracy": []}}, "lengths"),
        ({"method": "histogram", "parameters": {"edges": [], "accuracy": [0, 1]}}, "lengths"),
        (
            {"method": "isotonic", "parameters": {"confidence": [0.2, 0.1], "accuracy": [0, 1]}},
            "must ascend",
        ),
        (
            {"method": "isotonic", "parameters": {"confidence": [0.1, 0.2], "accuracy": [1, 0]}},
            "not descend",
        ),
        (
            {"method": "histogram", "parameters": {"edges": [0.5], "accuracy": [0.1, 2]}},
            r"\[0, 1\]",
        ),
    ],
)
def test_a_file_that_is_not_one_of_ours_is_refused(change, words, tmp_path):
    path = tmp_path / "r.json"
    fit(*overconfident(60), "temperature").save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=rf"r\.json is not a saved recalibration.*{words}"):
        load(path)


def test_text_that_is_not_json_is_refused(tmp_path):
    (tmp_path / "r.json").write_text("temperature: 2")
    with pytest.raises(ValueError, match="is not a saved recalibration"):
        load(tmp_path / "r.json")
