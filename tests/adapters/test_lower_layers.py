"""LoRA in the upper layers alone: the layers below run once, and every number stays what it was."""

import json
import logging

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoTokenizer, OPTConfig, OPTForCausalLM

from calib_adapters.calibration import lower, objective
from calib_adapters.calibration.encode import encode_rows
from calib_adapters.calibration.objective import collate, hidden_states, log_odds, query_loss
from calib_adapters.data.grade import load_graded
from calib_adapters.supervised import batch
from calib_adapters.training.base_model import add_lora, load_base
from calib_adapters.training.schema import Lora
from calib_adapters.tune import tune
from helpers.adapters_common import RECIPE

UPPER = ("dtype=float32", "optimiser.batch_size=8", "lora.first_layer=1")


def trained(tiny, graded, folder, *overrides):
    return tune(RECIPE, tiny, graded, folder, (*UPPER, *overrides))


def encoded(tiny, graded):
    splits, tokenizer = load_graded(graded)[0], AutoTokenizer.from_pretrained(tiny)
    return {name: encode_rows(splits[name], tokenizer) for name in ("train", "validation")}


def adapted(model):
    return add_lora(load_base(model, "float32", torch.device("cpu")), Lora(first_layer=1), model)


@given(
    common=st.lists(st.integers(0, 3), max_size=5),
    tails=st.lists(st.lists(st.integers(0, 3), max_size=5), min_size=1, max_size=4),
    data=st.data(),
)
def test_any_part_of_any_text_is_found_in_the_table(common, tails, data):
    texts = [[7, *common, *tail] for tail in tails]
    shared = lower._common(texts)
    own = [token for text in texts for token in text[shared:]]
    starts = lower._starts(texts, shared)
    table = lower.Table(torch.tensor([*texts[0][:shared], *own]), shared)
    assert starts[-1] == len(table.states)
    for text, start in zip(texts, starts, strict=False):
        last = data.draw(st.integers(0, len(text)))
        first = data.draw(st.integers(0, last))
        assert table.of(start, first, last).tolist() == text[first:last]


def test_training_from_kept_states_ends_with_the_weights_of_whole_rows(
    tiny, graded, tmp_path, monkeypatch
):
    kept = trained(tiny, graded, tmp_path / "kept")
    monkeypatch.setattr(lower, "MOST", 0)
    whole = trained(tiny, graded, tmp_path / "whole")
    found, expected = (load_file(folder / "adapter_model.safetensors") for folder in (kept, whole))
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-4, atol=1e-6, msg=name)
    scores = [
        json.loads((folder / "calibration.json").read_text())["epochs"] for folder in (kept, whole)
    ]
    for one, other in zip(*scores, strict=True):
        assert one["eval_nll"] == pytest.approx(other["eval_nll"], abs=1e-5)


@pytest.mark.parametrize(
    ("recipe", "overrides"),
    [
        ("sft", ()),
        ("cogcalib_ls", ("knowledge.style_steps=2", "knowledge.interval=3")),
    ],
)
def test_fine_tuning_from_kept_states_ends_with_the_weights_of_whole_rows(
    tiny, prepared, tmp_path, monkeypatch, recipe, overrides
):
    overrides = (*UPPER, *overrides, "optimiser.learning_rate=1e-2", "optimiser.epochs=2")
    runs, run = [], objective.hidden_states

    def seen(model, batch, part):
        runs.append(batch[f"{part}_ids"].is_floating_point())
        return run(model, batch, part)

    monkeypatch.setattr(batch, "hidden_states", seen)
    kept = tune(recipe, tiny, prepared, tmp_path / "kept", overrides)
    assert runs[:1] == [False]  # the check of the output head
    assert all(runs[1:])
    monkeypatch.setattr(lower, "MOST", 0)
    whole = tune(recipe, tiny, prepared, tmp_path / "whole", overrides)
    found, expected = (load_file(folder / "adapter_model.safetensors") for folder in (kept, whole))
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-3, atol=1e-5, msg=name)
    scores = [json.loads((folder / "calibration.json").read_text()) for folder in (kept, whole)]
    for name, expected in scores[1]["validation"].items():
        found = scores[0]["validation"][name]["value"]
        assert found == pytest.approx(expected["value"], rel=1e-5, abs=1e-4)


def test_gradients_from_kept_states_flow_as_through_whole_rows(tiny, graded, tmp_path):
    model = adapted(tiny)
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)  # at zero, the prefix would have no gradient
    splits = encoded(tiny, graded)
    rows = splits["train"].to_list()[:30]

    def gradients(batch):
        assert len(batch["query_prefix"])
        model.zero_grad()
        query_loss(log_odds(model, batch), batch["label"]).backward()
        return {n: w.grad.clone() for n, w in model.named_parameters() if w.requires_grad}

    expected = gradients(collate(rows, pad=2))
    table, placed = lower.run_lower(model, splits, ("train",), 2, tmp_path / "lower.safetensors")
    rows = placed["train"].to_list()[:30]
    for name, found in gradients(lower.put_states(collate(rows, pad=2), rows, table)).items():
        torch.testing.assert_close(found, expected[name], rtol=1e-3, atol=1e-6, msg=name)


def test_lower_layers_run_no_more_once_their_output_is_kept(tiny, graded, tmp_path):
    model, splits = adapted(tiny), encoded(tiny, graded)
    table, placed = lower.run_lower(model, splits, ("train",), 2, tmp_path / "lower.safetensors")
    layers = model.get_base_model().get_decoder().layers
    runs = []
    for number, layer in enumerate(layers):
        for module in layer.modules():
            if module is not layer:
                module.register_forward_hook(lambda *_, number=number: runs.append(number))
    rows = placed["train"].to_list()[:4]
    hidden_states(model, lower.put_states(collate(rows, pad=2), rows, table), "query")
    assert set(runs) == {1}


def test_only_layers_from_the_first_one_on_get_an_adapter(tiny, graded, tmp_path):
    folder = trained(tiny, graded, tmp_path / "adapter", "optimiser.epochs=1")
    assert json.loads((folder / "adapter_config.json").read_text())["layers_to_transform"] == [1]
    names = load_file(folder / "adapter_model.safetensors")
    assert names
    assert all(".layers.1." in name for name in names)


def test_a_first_layer_that_the_model_does_not_have_is_refused(tiny):
    with pytest.raises(ValueError, match="lora.first_layer is 2, and the model has 2 layers"):
        add_lora(load_base(tiny, "float32", torch.device("cpu")), Lora(first_layer=2), tiny)


def test_rows_run_whole_where_all_layers_are_trained(tiny, graded, tmp_path):
    model = add_lora(load_base(tiny, "float32", torch.device("cpu")), Lora(), tiny)
    assert lower.run_lower(model, encoded(tiny, graded), (), 2, tmp_path / "lower") is None


@pytest.fixture
def refused(tiny, graded, tmp_path, caplog):
    """The reason why rows of a model run whole."""

    def reason(model, **columns):
        splits = encoded(tiny, graded)
        for name, value in columns.items():
            values = [value] * len(splits["train"])
            splits["train"] = splits["train"].remove_columns(name).add_column(name, values)
        with caplog.at_level(logging.WARNING):
            assert lower.run_lower(model, splits, ("train",), 2, tmp_path / "lower") is None
        assert not (tmp_path / "lower").exists()
        return caplog.text

    return reason


def test_rows_run_whole_where_the_base_model_has_dropout(tiny, refused):
    model = adapted(tiny)
    model.get_base_model().config.attention_dropout = 0.1
    assert "dropout" in refused(model)


def test_rows_run_whole_where_replies_have_several_tokens(tiny, refused):
    assert "several tokens" in refused(adapted(tiny), yes_tail=[5])


def test_rows_run_whole_where_a_model_adds_positions_to_what_its_layers_are_given(
    tiny, refused, tmp_path
):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=len(tokenizer), hidden_size=32, ffn_dim=64, num_hidden_layers=2,
        num_attention_heads=4, word_embed_proj_dim=32, dropout=0.0, init_std=0.2,
    )  # fmt: skip
    OPTForCausalLM(config).save_pretrained(tmp_path / "opt")
    assert "states differ" in refused(adapted(str(tmp_path / "opt")))


def test_the_table_holds_what_the_first_trained_layer_is_given(tiny, graded, tmp_path):
    model, splits = adapted(tiny), encoded(tiny, graded)
    base = load_base(tiny, "float32", torch.device("cpu"))
    table, placed = lower.run_lower(model, splits, ("train",), 2, tmp_path / "lower.safetensors")
    assert "answer_start" not in placed["validation"].column_names
    for split, part, name in (
        ("train", "query", "input_ids"), ("train", "answer", "answer_ids"),
        ("validation", "query", "input_ids"),
    ):  # fmt: skip
        for row in placed[split]:
            with torch.no_grad():
                states = base(input_ids=torch.tensor([row[name]]), output_hidden_states=True)
            found = table.of(row[f"{part}_start"], 0, len(row[name]))
            np.testing.assert_allclose(found, states.hidden_states[1][0], rtol=1e-4, atol=1e-5)
