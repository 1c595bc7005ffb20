"""The Score object, its signature, missing confidences, and the lm-eval aggregations."""

import doctest
import importlib
import json
import math
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import calib_metrics
from calib_metrics import Score, lm_eval_hooks, score

CONFIDENCE = [0.9, 0.8, 0.3, 0.6, 0.2]
CORRECT = [1, 1, 0, 0, 1]


def test_signature_says_everything_that_changes_the_number():
    rng = np.random.default_rng(0)
    confidence = rng.random(817)
    correct = rng.random(817) < confidence
    metrics = ("acc", "answered", "ece", "rms", "brier", "auroc")
    scores = score(confidence, correct, metrics, method="zero_shot_classifier")
    tail = "n:817|v:0.2|boot:1000|seed:0"
    assert {name: each.signature for name, each in scores.items()} == {
        "acc": f"acc|{tail}",
        "answered": f"answered|conf:zero_shot_classifier|{tail}",
        "ece": "ece|bins:10|strategy:width|norm:l1|conf:zero_shot_classifier|missing:exclude|"
        + tail,
        "rms": "rms|bins:10|strategy:width|norm:l2|conf:zero_shot_classifier|missing:exclude|"
        + tail,
        "brier": f"brier|conf:zero_shot_classifier|missing:exclude|{tail}",
        "auroc": f"auroc|conf:zero_shot_classifier|missing:exclude|{tail}",
    }


def test_signature_follows_the_options():
    options = {"bins": 15, "strategy": "mass", "norm": "max", "missing": "error"}
    found = score(CONFIDENCE, CORRECT, ("ece",), resamples=50, seed=7, level=0.9, **options)
    assert found["ece"].signature == (
        "ece|bins:15|strategy:mass|norm:max|missing:error|n:5|v:0.2|boot:50|seed:7|level:0.9"
    )


def test_without_resamples_there_is_no_interval_and_no_bootstrap_in_the_signature():
    found = score(CONFIDENCE, CORRECT, ("brier",), resamples=0)["brier"]
    assert math.isnan(found.low) and math.isnan(found.high) and math.isnan(found.stderr)
    assert found.signature == "brier|missing:exclude|n:5|v:0.2"


def test_directions():
    names = ("acc", "answered", "auroc", "ece", "rms", "brier", "nll")
    found = score(CONFIDENCE, CORRECT, names, resamples=0)
    assert [s.higher_is_better for s in found.values()] == [True] * 3 + [False] * 4


@pytest.mark.parametrize("gap", [None, float("nan")])
def test_missing_confidence_is_left_out_and_counted(gap):
    # Hand-worked on the four others: gaps .1, .2, .3 and .6 in bins of their own.
    found = score([0.9, 0.8, gap, 0.3, 0.6], [1, 1, 1, 0, 0], ("ece", "brier", "acc", "answered"))
    assert found["ece"].value == pytest.approx(1.2 / 4)
    assert found["brier"].value == pytest.approx((0.01 + 0.04 + 0.09 + 0.36) / 4)
    assert (found["ece"].n, found["ece"].n_missing) == (4, 1)
    # The answer itself was given and graded: accuracy is that of all five.
    assert found["acc"].value == pytest.approx(3 / 5) and found["acc"].n == 5
    assert found["answered"].value == pytest.approx(4 / 5)
    assert 0 < found["answered"].stderr < 0.5


def test_missing_can_be_refused():
    with pytest.raises(ValueError, match="missing .* in 1 of 2 rows"):
        score([0.5, None], [1, 0], missing="error")


def test_all_missing_is_nan_with_a_warning_and_accuracy_remains():
    with pytest.warns(UserWarning, match="ece is undefined .* no row has a confidence"):
        found = score([None, None], [1, 0], ("ece", "acc", "answered"))
    assert math.isnan(found["ece"].value) and found["ece"].n == 0 and found["ece"].n_missing == 2
    assert found["acc"].value == 0.5 and found["answered"].value == 0


def test_one_usable_row_has_a_value_and_no_interval():
    found = score([0.75, None], [1, 0], ("brier",))["brier"]
    assert found.value == 0.0625
    assert math.isnan(found.low) and math.isnan(found.high) and math.isnan(found.stderr)


def test_one_class_gives_nan_auroc_and_the_other_scores():
    with pytest.warns(UserWarning, match="AUROC is undefined"):
        found = score([0.5, 0.7, 0.9], [1, 1, 1], ("auroc", "brier"))
    assert math.isnan(found["auroc"].value) and math.isnan(found["auroc"].low)
    assert found["brier"].value == pytest.approx((0.25 + 0.09 + 0.01) / 3)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"metrics": ("ece", "f1")}, "metric is 'f1'.*acc.*auroc"),
        ({"missing": "impute"}, "missing is 'impute'"),
        ({"level": 95}, "level is 95"),
        ({"resamples": -1}, "resamples is -1"),
        ({"seed": 0.5}, "seed is 0.5"),
        ({"method": "a|b"}, "method is 'a|b'"),
    ],
)
def test_bad_options_are_refused_by_name(option, words):
    with pytest.raises(ValueError, match=words.replace("|", r"\|")):
        score(CONFIDENCE, CORRECT, **option)


def test_scores_survive_strict_json():
    with pytest.warns(UserWarning):
        found = [*score([1.0, 0.5], [0, 0], ("auroc", "nll", "ece"), method="verbalized").values()]
    text = json.dumps([each.to_dict() for each in found], allow_nan=False)
    back = [Score.from_dict(each) for each in json.loads(text)]
    assert math.isnan(back[0].value) and back[1].value == math.inf
    assert [str(each) for each in back] == [str(each) for each in found]
    assert back[2] == found[2]


def test_stored_score_without_a_field_is_refused():
    stored = score(CONFIDENCE, CORRECT, ("ece",))["ece"].to_dict()
    del stored["signature"], stored["n"]
    with pytest.raises(ValueError, match="lacks n, signature"):
        Score.from_dict(stored)


def test_score_prints_on_one_line_with_its_signature():
    line = str(Score("ece", 0.25, 0.2, 0.31, 0.03, 817, 3, False, "ece|bins:10"))
    assert line == "ece 0.2500 [0.2000, 0.3100] (n 817, 3 missing) ece|bins:10"


HOOKS = ("ece", "rms", "brier", "nll", "auroc")


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.filterwarnings("ignore:auroc was undefined")
def test_aggregations_agree_with_score_and_leave_out_missing(name):
    items = [*zip(CONFIDENCE, CORRECT, strict=True), (None, 1)]
    expected = score(*zip(*items, strict=True), (name,))[name]
    assert getattr(lm_eval_hooks, name)(items) == expected.value
    assert getattr(lm_eval_hooks, f"{name}_stderr")(items) == expected.stderr
    from_log = json.loads(json.dumps(items))[::-1]
    assert getattr(lm_eval_hooks, f"{name}_stderr")(from_log) == expected.stderr


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.filterwarnings("ignore:.*undefined")
def test_aggregations_of_nothing_but_missing_are_nan(name):
    assert math.isnan(getattr(lm_eval_hooks, name)([(None, 1), (None, 0)]))
    assert math.isnan(getattr(lm_eval_hooks, f"{name}_stderr")([(None, 1), (None, 0)]))


def test_aggregation_of_malformed_items_is_refused():
    with pytest.raises(ValueError, match=r"An item is \(0.5,\)"):
        lm_eval_hooks.ece([(0.5,)])


def test_mean_aggregations():
    assert lm_eval_hooks.accuracy([1, 0, 0, 1]) == lm_eval_hooks.answered([1, 0, 0, 1]) == 0.5
    # Standard deviation sqrt(1/3), over sqrt(4).
    assert lm_eval_hooks.mean_stderr([1, 0, 0, 1]) == pytest.approx(math.sqrt(1 / 3) / 2)
    assert math.isnan(lm_eval_hooks.mean_stderr([1]))


def test_import_is_light():
    code = (
        "import sys, calib_metrics, calib_metrics.lm_eval_hooks, calib_metrics.plots;"
        "heavy = {'torch', 'lm_eval', 'sklearn', 'scipy.stats', 'matplotlib', 'pandas'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


README = Path(calib_metrics.__file__).with_name("README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_readme_examples_run_as_pasted(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=UserWarning, module="calib_metrics")
        exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})
    if "verbalized" in block:
        (shown,) = re.findall(r"^    (ece .*)…$", README, re.MULTILINE)
        assert shown in capsys.readouterr().out


@pytest.mark.parametrize(
    "module", ["bins", "calibration", "discrimination", "selective", "smooth", "worst_case"]
)
def test_examples_in_docstrings_are_true(module):
    found = doctest.testmod(importlib.import_module(f"calib_metrics.{module}"))
    assert found.attempted and not found.failed
