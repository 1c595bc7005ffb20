"""CogCalib: which rows count as known, what follows for the loss; a killed run ends the same."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from sklearn.metrics import roc_curve

from calib_adapters.supervised.batch import SUMMARY, read_logits
from calib_adapters.supervised.cogcalib import cogcalib
from calib_adapters.supervised.indicator import Indicator, find_cut, knowledge, rate_cut
from calib_adapters.supervised.losses import penalties, token_nll
from calib_adapters.training.job import TrainingContext
from calib_adapters.training.recipe import load_recipe, shipped_recipes
from calib_adapters.tune import tune
from helpers.adapters_common import prepared_row, write_prepared
from helpers.processes import tune_and_be_killed

FAST = (
    "dtype=float32",
    "optimiser.learning_rate=1e-2",
    "optimiser.epochs=2",
    "optimiser.warmup_steps=0",
    "lora.dropout=0.1",
    "knowledge.style_steps=2",
    "knowledge.interval=3",
)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=30).filter(
        lambda rows: len({known for _, known in rows}) == 2
    )
)
def test_the_threshold_reaches_the_best_point_of_the_roc_curve(rows):
    nll, known = (np.array(column) for column in zip(*rows, strict=True))
    cut = find_cut(nll, known)
    fpr, tpr, _ = roc_curve(known, -nll)
    assert cut.tpr + cut.tnr - 1 == pytest.approx(max(tpr - fpr))
    low = nll <= cut.threshold
    assert cut.accuracy == pytest.approx(np.mean(low == known))


def test_the_threshold_lies_midway_between_the_two_kinds():
    cut = find_cut([0.1, 0.3, 0.9, 2.0], [1, 1, 0, 0])
    assert cut.threshold == pytest.approx(0.6)
    assert (cut.tpr, cut.tnr, cut.accuracy, cut.known) == (1, 1, 1, 0.5)


def test_where_all_rows_are_known_or_none_is_the_threshold_agrees():
    everything = find_cut([0.1, 0.7], [1, 1])
    assert everything.threshold == 0.7 and everything.tnr is None and everything.accuracy == 1
    nothing = find_cut([0.1, 0.7], [0, 0])
    assert nothing.threshold == 0 and nothing.tpr is None and nothing.accuracy == 1


def test_a_choice_is_known_by_its_likeliest_option_and_an_open_row_by_greedy_decoding():
    table = np.zeros((4, SUMMARY + 2))
    table[:, 0], table[:, 1] = 6, 3
    table[:, SUMMARY:] = [[-1, -2], [-1, -2], [0, 0], [0, 0]]
    table[:, SUMMARY - 1] = [0, 1, 1, 0]  # what greedy decoding writes is no option's business
    nll, known = knowledge(table, np.array([0, 1, -1, -1]), "mean")
    assert known.tolist() == [True, False, True, False]
    assert nll.tolist() == [2] * 4
    assert knowledge(table, np.array([0, 1, -1, -1]), "sum")[0].tolist() == [6] * 4


def test_rows_may_all_be_without_options():
    table = np.zeros((2, SUMMARY))
    table[:, 0], table[:, 1], table[:, SUMMARY - 1] = 6, 3, [1, 0]
    nll, known = knowledge(table, np.array([-1, -1]), "mean")
    assert nll.tolist() == [2, 2] and known.tolist() == [True, False]


def test_an_indicator_goes_on_from_the_step_it_is_rewound_to(tmp_path):
    entries = [{"step": step, "threshold": step / 10} for step in (2, 5, 8)]
    Indicator(tmp_path / "a.json", entries, [True]).write()
    later = Indicator(tmp_path / "a.json")
    assert later.threshold is None
    later.rewind(7)
    assert later.threshold == 0.5 and later.labels == [True]
    with pytest.raises(ValueError, match="b.json is missing"):
        Indicator(tmp_path / "b.json").rewind(7)


def job_and_batch(tmp_path, tiny, prepared, *overrides):
    recipe = load_recipe("cogcalib_ls", (*FAST, *overrides))
    job = cogcalib(TrainingContext(recipe, tiny, prepared, tmp_path, torch.device("cpu")))
    rows = [job.train[i] for i in range(8)]
    return recipe, job, job.collate(rows)


def set_threshold(job, value):
    job.callbacks[0].indicator.history.append({"step": 0, "threshold": value})


@pytest.mark.parametrize(
    ("known", "unknown"),
    [
        ("regularise", "plain"),
        ("drop", "plain"),
        ("plain", "regularise"),
        ("regularise", "regularise"),
    ],
)
def test_known_and_unknown_rows_are_treated_as_the_recipe_says(
    tmp_path, tiny, prepared, known, unknown
):
    recipe, job, batch = job_and_batch(
        tmp_path,
        tiny,
        prepared,
        "lora.dropout=0",
        f"knowledge.known={known}",
        f"knowledge.unknown={unknown}",
    )
    job.model.train()
    logits = read_logits(job.model, batch)
    nll = token_nll(logits, batch["targets"])  # one token a row
    plain = job.loss(job.model, batch)
    torch.testing.assert_close(plain.total, nll.sum())  # style adaptation
    cut = nll.median().item()
    set_threshold(job, cut)
    found = job.loss(job.model, batch)
    extra = 0.1 * penalties(logits, batch["targets"], batch["classes"], recipe.objective)
    total, count = 0.0, 0
    for value, more in zip(nll.tolist(), extra.tolist(), strict=True):
        treatment = known if value <= cut else unknown
        if treatment != "drop":
            total += value + (more if treatment == "regularise" else 0)
            count += 1
    assert found.total.item() == pytest.approx(total, rel=1e-4)
    assert found.count.item() == count
    job.model.eval()
    torch.testing.assert_close(job.loss(job.model, batch).total, nll.sum())


def test_a_batch_of_which_nothing_is_left_has_a_loss_of_zero(tmp_path, tiny, prepared):
    _, job, batch = job_and_batch(tmp_path, tiny, prepared, "knowledge.known=drop")
    job.model.train()
    set_threshold(job, 1e9)
    found = job.loss(job.model, batch)
    (found.total / found.count).backward()
    assert found.total.item() == 0


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, tiny, prepared):
    return tune("cogcalib_ls", tiny, prepared, tmp_path_factory.mktemp("out") / "adapter", FAST)


def test_thresholds_are_found_at_the_steps_of_the_recipe_and_reported(adapter):
    history = json.loads((adapter / "indicator.json").read_text())
    assert [entry["step"] for entry in history] == [2, 5, 8]  # of 10
    assert history[0]["training_since"] is None
    assert [entry["training_since"]["rows"] for entry in history[1:]] == [24, 24]
    assert all(0 <= entry["training_since"]["share_known"] <= 1 for entry in history[1:])
    found = json.loads((adapter / "calibration.json").read_text())["indicator"]
    assert found["history"] == history
    assert found["validation"]["n"] == 20
    assert (adapter / "indicator.png").read_bytes().startswith(b"\x89PNG")
    figure = (adapter / "indicator.svg").read_text()
    for axis in ("NLL in nats", "told rightly", "share known", "regulariser", "training step"):
        assert f">{axis}<" in figure


def test_the_threshold_is_that_of_the_calibration_rows_under_the_model_of_that_step(
    tmp_path, tiny, prepared
):
    output = tmp_path / "adapter"
    tune(
        "cogcalib_ls",
        tiny,
        prepared,
        output,
        (*FAST, "knowledge.style_steps=0", "knowledge.interval=null"),
    )
    (entry,) = json.loads((output / "indicator.json").read_text())
    _, job, _ = job_and_batch(tmp_path, tiny, prepared)
    job.model.eval()
    rows = job.callbacks[0].rows
    with torch.no_grad():  # before a step, the model is the base
        tables = [job.loss(job.model, job.collate([row])).predicted for row in rows]
    table = torch.cat(tables).double().numpy()
    known = table[:, SUMMARY:].argmax(1) == np.asarray(rows["label"])
    expected = find_cut(table[:, 0], known)
    assert entry["step"] == 0
    assert entry["threshold"] == pytest.approx(expected.threshold, abs=1e-4)
    assert entry["known"] == pytest.approx(known.mean())
    rated = rate_cut(expected.threshold, table[:, 0], known)
    assert entry["accuracy"] == pytest.approx(rated.accuracy)


def test_a_killed_run_continues_with_the_same_thresholds_to_the_same_weights(
    tmp_path, tiny, prepared, adapter
):
    output = tmp_path / "adapter"
    tune_and_be_killed("cogcalib_ls", tiny, prepared, output, FAST)
    tune("cogcalib_ls", tiny, prepared, output, FAST)
    assert json.loads((output / "training.json").read_text())["resumed"]
    whole, resumed = (
        load_file(folder / "adapter_model.safetensors") for folder in (adapter, output)
    )
    for name, weight in whole.items():
        torch.testing.assert_close(resumed[name], weight, rtol=0, atol=1e-6)
    before, after = (
        json.loads((folder / "indicator.json").read_text()) for folder in (adapter, output)
    )
    assert [e["threshold"] for e in after] == pytest.approx([e["threshold"] for e in before])


def test_labels_of_the_base_model_stay_what_they_were(tmp_path, tiny, prepared):
    output = tmp_path / "adapter"
    tune("cogcalib_ecp", tiny, prepared, output, (*FAST, "knowledge.labels=base"))
    history = json.loads((output / "indicator.json").read_text())
    assert len({entry["known"] for entry in history}) == 1


def test_a_run_without_calibration_rows_is_refused(tmp_path, tiny):
    rows = [prepared_row(i, split) for split in ("train", "validation") for i in range(6)]
    data = write_prepared(tmp_path / "data", rows)
    with pytest.raises(ValueError, match="no rows in the split 'calibration'"):
        tune("cogcalib_ls", tiny, data, tmp_path / "adapter", FAST)


def test_a_run_that_ends_before_the_first_threshold_is_refused(tmp_path, tiny, prepared):
    with pytest.raises(ValueError, match="style_steps is 10, but 40 rows make only 10 steps"):
        tune(
            "cogcalib_ls", tiny, prepared, tmp_path / "adapter", (*FAST, "knowledge.style_steps=10")
        )


@pytest.mark.parametrize("name", ["ls", "mbls", "ecp"])
def test_the_shipped_recipes_say_what_the_paper_leaves_open(name):
    recipe = load_recipe(f"cogcalib_{name}")
    assert recipe.objective.regulariser == name
    text = shipped_recipes()[f"cogcalib_{name}"].read_text()
    for key in (*type(recipe.knowledge).model_fields, "classes", "alpha", "reduce"):
        assert f"  {key}: " in text
