"""The modules for Hugging Face `evaluate`: loaded by path, told the same numbers as `score`."""

import doctest
import math
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
import yaml

from calib_metrics import modules, score

evaluate = pytest.importorskip("evaluate")

RNG = np.random.default_rng(0)
CONFIDENCE = RNG.uniform(0.01, 0.99, 200)
CORRECT = (RNG.random(200) < CONFIDENCE).astype(int)


@pytest.fixture(scope="module")
def load():
    """Load modules once each, from their folders."""
    return {name: evaluate.load(modules.path(name)) for name in modules.NAMES}.__getitem__


def test_every_folder_is_a_module_and_every_module_has_a_folder():
    folder = Path(modules.__file__).parent
    assert {each.parent.name for each in folder.glob("*/README.md")} == set(modules.NAMES)
    assert {each.stem for each in folder.glob("*/*.py")} == set(modules.NAMES)


@pytest.mark.parametrize("name", modules.NAMES)
def test_card_has_front_matter_and_its_examples_are_true(name):
    card = Path(modules.path(name), "README.md").read_text(encoding="utf-8")
    _, front, body = card.split("---\n", 2)
    assert {"title", "emoji", "sdk", "tags", "description"} <= yaml.safe_load(front).keys()
    (example,) = re.findall(r"```python\n(.*?)```", body, re.DOTALL)
    test = doctest.DocTestParser().get_doctest(example, {}, name, None, 0)
    found = doctest.DocTestRunner().run(test)
    assert found.attempted >= 4 and not found.failed


@pytest.mark.parametrize("name", modules.NAMES)
def test_module_describes_itself(load, name):
    module = load(name)
    assert module.name == name and "@" in module.citation and module.description
    assert module.info.reference_urls[0].startswith("https://")
    assert set(module.info.features) == {"predictions", "references"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("brier", sklearn.metrics.brier_score_loss),
        ("nll", sklearn.metrics.log_loss),
        ("auroc", sklearn.metrics.roc_auc_score),
        ("average_precision", sklearn.metrics.average_precision_score),
    ],
)
def test_values_are_scikit_learns(load, name, expected):
    found = load(name).compute(predictions=CONFIDENCE, references=CORRECT)
    assert found == {name: pytest.approx(expected(CORRECT, CONFIDENCE), abs=1e-12)}


@pytest.mark.parametrize("name", modules.NAMES)
def test_interval_adds_what_score_knows(load, name):
    found = load(name).compute(
        predictions=CONFIDENCE, references=CORRECT, interval=True, resamples=50, seed=3, bins=5
    )
    asked = modules.NAMES[name]
    expected = score(CONFIDENCE, CORRECT, (asked,), resamples=50, seed=3, bins=5, missing="error")
    expected = expected[asked]
    assert found == {
        name: expected.value,
        f"{name}_low": expected.low,
        f"{name}_high": expected.high,
        f"{name}_stderr": expected.stderr,
        f"{name}_n": 200,
        f"{name}_n_missing": 0,
        f"{name}_signature": expected.signature,
    }
    assert expected.low < expected.high and "seed:3" in expected.signature


def test_batches_booleans_and_single_rows_make_the_same_value(load):
    module = load("ece")
    module.add_batch(predictions=[0.9, 0.6], references=[True, True])
    module.add(prediction=0.3, reference=0)
    module.add(prediction=0.8, reference=0)
    assert module.compute() == {"ece": pytest.approx(0.4)}


def test_combined_modules_share_one_set_of_options():
    together = evaluate.combine([modules.path(name) for name in ("ece", "brier", "auroc")])
    found = together.compute(
        predictions=[0.9, 0.6, 0.3, 0.8], references=[1, 1, 0, 0], bins=1, norm="l2"
    )
    # One bin: mean confidence 0.65, accuracy 0.5.
    assert found == {"ece": pytest.approx(0.15), "brier": pytest.approx(0.225), "auroc": 0.75}


def test_missing_confidence_is_refused_unless_asked_for_and_then_counted(load):
    columns = {"predictions": [0.9, math.nan, 0.3, 0.8], "references": [1, 1, 0, 0]}
    with pytest.raises(ValueError, match="missing .* in 1 of 4 rows"):
        load("brier").compute(**columns)
    found = evaluate.load(modules.path("brier")).compute(
        **columns, missing="exclude", interval=True, resamples=10
    )
    assert found["brier"] == pytest.approx((0.01 + 0.09 + 0.64) / 3)
    assert (found["brier_n"], found["brier_n_missing"]) == (3, 1)


@pytest.mark.parametrize(
    ("predictions", "references", "words"),
    [
        ([95.0, 50.0], [1, 0], "divide by 100"),
        ([0.9, 0.5], [0.5, 1], "correct holds 0.5"),
        ([0.9, "sure"], [1, 0], "sure"),
        ([0.9, 0.5], [1], "Mismatch"),
    ],
)
def test_bad_input_is_refused(predictions, references, words):
    module = evaluate.load(modules.path("ece"))
    with pytest.raises(ValueError, match=words):
        module.compute(predictions=predictions, references=references)


def test_unknown_names_are_refused(load):
    with pytest.raises(ValueError, match="'accuracy'.*ece"):
        modules.path("accuracy")
    with pytest.raises(TypeError, match="n_bins"):
        evaluate.load(modules.path("ece")).compute(predictions=[0.9], references=[1], n_bins=15)


def test_without_calib_metrics_evaluate_says_what_to_install():
    from evaluate.loading import get_imports

    for name in modules.NAMES:
        found = get_imports(str(Path(modules.path(name), f"{name}.py")))
        assert ("library", "calib_metrics", "calibench", None) in found and len(found) == 2
