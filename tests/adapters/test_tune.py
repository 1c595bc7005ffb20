"""Calibration tuning on a tiny random model: the loss, the read-out, resuming, refusing."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from scipy.spatial.distance import jensenshannon
from sklearn.linear_model import LogisticRegression
from transformers import AutoTokenizer, LlamaForCausalLM

from calib_adapters.calibration.encode import encode_rows
from calib_adapters.calibration.objective import (
    collate,
    collate_answers,
    hidden_states,
    jensen_shannon,
    log_odds,
    query_loss,
    reference_states,
)
from calib_adapters.data.asked_with import warn_of_another_model
from calib_adapters.data.grade import load_graded
from calib_adapters.training.base_model import add_lora, load_base
from calib_adapters.training.recipe import load_recipe
from calib_adapters.training.temperature import fit_temperature
from calib_adapters.training.trainer import JobTrainer
from calib_adapters.tune import tune
from helpers.adapters_common import FAST, RECIPE
from helpers.processes import tune_and_be_killed


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, tiny, graded):
    return tune(RECIPE, tiny, graded, tmp_path_factory.mktemp("out") / "adapter", FAST)


def adapted(tiny, *overrides):
    recipe = load_recipe(RECIPE, overrides)
    return add_lora(load_base(tiny, recipe.dtype, torch.device("cpu")), recipe.lora, tiny)


def some_rows(tiny, graded, rows=6):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    return encode_rows(load_graded(graded)[0]["train"].select(range(rows)), tokenizer).to_list()


def test_divergence_equals_scipys_and_vanishes_for_equal_distributions():
    torch.manual_seed(0)
    one, other = torch.randn(5, 50, dtype=torch.float64), torch.randn(5, 50, dtype=torch.float64)
    expected = jensenshannon(one.softmax(-1), other.softmax(-1), axis=-1) ** 2
    np.testing.assert_allclose(jensen_shannon(one, other), expected, rtol=1e-4)
    np.testing.assert_allclose(jensen_shannon(one, one + 3), 0, atol=1e-6)


def test_answer_positions_write_the_answer_and_its_end(tiny, graded):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    rows = load_graded(graded)[0]["train"]
    for row, encoded in zip(rows, encode_rows(rows, tokenizer), strict=True):
        *writing, end = encoded["answer_positions"]
        written = [encoded["answer_ids"][position + 1] for position in writing]
        assert tokenizer.decode(written) == row["answer_text"]
        assert end == writing[-1] + 1


def test_rows_behind_a_shared_prefix_give_the_logits_of_whole_rows(tiny, graded):
    model = adapted(tiny, *FAST).eval()
    rows = some_rows(tiny, graded, 30)
    assert not len(collate_answers(rows[:6], pad=2)["answer_prefix"])  # not worth a run of its own
    batch = collate_answers(rows, pad=2)
    shared = len(batch["answer_prefix"])
    assert shared > 3  # "Question: Capital of Land"
    with torch.no_grad():
        hidden = hidden_states(model, batch, "answer")
        head = model.get_base_model().get_output_embeddings()
        for i, row in enumerate(rows):
            alone = model(input_ids=torch.tensor([row["answer_ids"]])).logits[0, -1]
            found = head(hidden[i, len(row["answer_ids"]) - 1 - shared])
            torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-4)


def test_gradients_flow_through_the_shared_prefix_as_through_whole_rows(tiny, graded):
    model = adapted(tiny, "dtype=float32")
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)  # at zero, the prefix would have no gradient
    rows = some_rows(tiny, graded, 30)
    assert len(collate(rows, pad=2)["query_prefix"])

    def gradients(batches):
        model.zero_grad()
        for batch in batches:
            query_loss(log_odds(model, batch), batch["label"]).backward()
        return {n: w.grad.clone() for n, w in model.named_parameters() if w.requires_grad}

    whole = [collate([row], pad=2) for row in rows]
    for batch in whole:
        batch["query_ids"] = torch.cat([batch["query_prefix"][None], batch["query_ids"]], dim=1)
        batch["query_mask"] = torch.ones_like(batch["query_ids"])
        batch["last"] = batch["last"] + len(batch["query_prefix"])
        batch["query_prefix"] = batch["query_prefix"][:0]
    expected = gradients(whole)
    for name, found in gradients([collate(rows, pad=2)]).items():
        torch.testing.assert_close(found, expected[name] / len(whole), rtol=1e-3, atol=1e-6)


def test_the_kept_states_give_the_base_models_distribution(tiny, graded):
    model = adapted(tiny, *FAST).eval()
    rows = some_rows(tiny, graded)
    states = reference_states(model, rows, pad=2, batch_size=4)
    base = LlamaForCausalLM.from_pretrained(tiny).eval()
    with torch.no_grad():
        expected = torch.cat(
            [
                base(input_ids=torch.tensor([row["answer_ids"]])).logits[0, row["answer_positions"]]
                for row in rows
            ]
        )
        torch.testing.assert_close(base.lm_head(states), expected, rtol=1e-4, atol=1e-4)


def test_the_trained_confidence_is_the_one_that_lm_eval_reads(tiny, graded, adapter):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM
    from peft import PeftModel

    rows = load_graded(graded)[0]["validation"]
    lm = HFLM(pretrained=tiny, peft=str(adapter), device="cpu", dtype="float32", batch_size=4)
    scored = {
        reply: [
            x[0]
            for x in lm.loglikelihood(
                [
                    Instance("loglikelihood", row, (row["query"], row[reply]), i)
                    for i, row in enumerate(rows)
                ]
            )
        ]
        for reply in ("yes", "no")
    }
    model = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(tiny), adapter).eval()
    encoded = encode_rows(rows, AutoTokenizer.from_pretrained(tiny))
    with torch.no_grad():
        odds = log_odds(model, collate(encoded.to_list(), pad=2))
    expected = np.subtract(scored["yes"], scored["no"])
    np.testing.assert_allclose(odds, expected, atol=1e-4)
    assert np.std(expected) > 0.1


def test_the_adapter_learned_what_tells_right_from_wrong(adapter):
    calibration = json.loads((adapter / "calibration.json").read_text())
    assert len(calibration["epochs"]) == 3
    first, *_, last = calibration["epochs"]
    assert last["eval_nll"] < first["eval_nll"]


def test_the_folder_holds_an_adapter_its_card_and_its_provenance(adapter):
    card = ModelCard.load(adapter / "README.md")
    metrics = {result.metric_type for result in card.data.eval_results}
    assert metrics == {"ece", "auroc", "brier", "nll"}
    training = json.loads((adapter / "training.json").read_text())
    hardware = training["hardware"]
    for fact in (
        (adapter / "recipe.yaml").read_text(),
        training["data"]["fingerprint"][:12],
        "40 rows",
        f"{training['seconds']:.0f} s",
        f"{training['peak_memory_bytes'] / 1e9:.2f} GB",
        f"{hardware['device']} ({hardware['name']}",
        "`calib_x` by `wording:yes_no`",
        *(f"{name} {number}" for name, number in training["versions"].items()),
    ):
        assert fact in card.text
    brier = json.loads((adapter / "calibration.json").read_text())["validation"]["brier"]
    assert brier["low"] < brier["value"] < brier["high"]
    assert "{value:.3f} ({low:.3f}–{high:.3f})".format(**brier) in card.text
    assert training["seed"] == 0
    assert training["tokens_per_second"] > 0
    assert training["versions"]["torch"] == version("torch")
    kinds = {".json", ".md", ".safetensors", ".yaml", ".png", ".svg"}
    assert {path.suffix for path in adapter.iterdir()} <= kinds
    assert [path.name for path in adapter.parent.iterdir()] == ["adapter"]


def test_a_finished_adapter_is_returned_and_another_ones_folder_is_refused(tiny, graded, adapter):
    before = (adapter / "training.json").stat().st_mtime_ns
    assert tune(RECIPE, tiny, graded, adapter, FAST) == adapter
    assert (adapter / "training.json").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="was not made by this recipe"):
        tune(RECIPE, tiny, graded, adapter, (*FAST, "seed=1"))


def test_what_a_run_left_that_was_killed_at_its_very_end_is_removed(
    tmp_path, tiny, graded, adapter
):
    output = shutil.copytree(adapter, tmp_path / "adapter")
    identity = json.loads((output / "training.json").read_text())["identity"]
    left = tmp_path / f".adapter.{identity[:12]}"
    (left / "checkpoint-1").mkdir(parents=True)
    left.with_name(f"{left.name}.lock").touch()
    assert tune(RECIPE, tiny, graded, output, FAST) == output
    assert list(tmp_path.iterdir()) == [output]


def test_the_files_of_an_adapter_can_be_read_by_whom_the_umask_lets(tmp_path, adapter):
    (tmp_path / "usual").write_text("")
    usual = (tmp_path / "usual").stat().st_mode
    assert {file.stat().st_mode for file in adapter.rglob("*") if file.is_file()} == {usual}


def test_a_second_run_into_the_same_folder_is_refused_while_the_first_one_trains(
    tmp_path, tiny, graded, monkeypatch
):
    output = tmp_path / "adapter"
    step = JobTrainer.training_step
    refused = []

    def training_step(trainer, *arguments, **options):
        if not refused:
            with pytest.raises(ValueError) as second:
                tune(RECIPE, tiny, graded, output, FAST)
            refused.append(str(second.value))
        return step(trainer, *arguments, **options)

    monkeypatch.setattr(JobTrainer, "training_step", training_step)
    tune(RECIPE, tiny, graded, output, FAST)
    assert f"another run is training into {output}" in refused[0]
    assert not list(tmp_path.glob(".*"))


def test_answers_of_another_model_are_warned_of(tiny, graded, tmp_path, caplog):
    grading = json.loads((graded / "grading.json").read_text())
    for answered, warned in ((Path(tiny).name, False), ("org/Other-7B", True)):
        data = tmp_path / f"data{warned}"
        shutil.copytree(graded, data)
        (data / "grading.json").write_text(json.dumps({**grading, "model": answered}))
        caplog.clear()
        warn_of_another_model(data, tiny)
        assert ("are those of org/Other-7B" in caplog.text) is warned


def test_another_base_in_a_folder_of_the_same_name_is_another_base(tmp_path, tiny, graded, adapter):
    other = tmp_path / Path(tiny).name
    shutil.copytree(tiny, other)
    with pytest.raises(ValueError, match="was not made by this recipe, model and data"):
        tune(RECIPE, str(other), graded, adapter, FAST)


def test_a_killed_run_continues_to_the_same_weights(tmp_path, tiny, graded, adapter):
    output = tmp_path / "adapter"
    tune_and_be_killed(RECIPE, tiny, graded, output, FAST)
    tune(RECIPE, tiny, graded, output, FAST)
    assert json.loads((output / "training.json").read_text())["resumed"]
    whole = load_file(adapter / "adapter_model.safetensors")
    resumed = load_file(output / "adapter_model.safetensors")
    for name, weight in whole.items():
        torch.testing.assert_close(resumed[name], weight, rtol=0, atol=1e-6)


def test_the_base_models_answers_are_computed_once_even_if_the_run_is_broken_off(
    tmp_path, tiny, graded, monkeypatch
):
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return reference_states(*arguments)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("calib_adapters.calibration.reference.reference_states", counted)
    with monkeypatch.context() as broken:
        broken.setattr(JobTrainer, "train", interrupt)
        with pytest.raises(KeyboardInterrupt):
            tune(RECIPE, tiny, graded, tmp_path / "adapter", (*FAST, "optimiser.epochs=1"))
    tune(RECIPE, tiny, graded, tmp_path / "adapter", (*FAST, "optimiser.epochs=1"))
    assert len(calls) == 1


def test_temperature_equals_logistic_regression_without_intercept():
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 4, 500)
    correct = (rng.random(500) < 1 / (1 + np.exp(-odds / 2.5))).astype(int)
    slope = (
        LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10)
        .fit(odds[:, None], correct)
        .coef_[0, 0]
    )
    fitted = fit_temperature(odds, correct)
    assert fitted["temperature"] == pytest.approx(1 / slope, rel=1e-4)
    assert fitted["nll_after"] < fitted["nll_before"]


def test_a_confidence_that_is_worse_than_chance_is_flattened_not_inverted():
    fitted = fit_temperature(np.array([3.0, 2.0, -3.0, -1.0]), np.array([0, 0, 1, 1]))
    assert fitted["temperature"] > 100
    assert fitted["nll_after"] == pytest.approx(np.log(2), abs=0.05)


def test_replies_that_begin_alike_are_compared_where_they_differ(tiny, graded):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    rows = load_graded(graded)[0]["train"].select(range(1))
    roman = rows.map(lambda row: {"yes": " (ii)", "no": " (i)"})
    encoded = encode_rows(roman, tokenizer)[0]
    assert tokenizer.decode(encoded["input_ids"]).endswith("Answer: (")
    assert tokenizer.decode([encoded["yes"], encoded["no"]]) == "iii"
    with pytest.raises(ValueError, match="choose another wording"):
        encode_rows(rows.map(lambda row: {"yes": " Yes", "no": " Yes Yes"}), tokenizer)
