"""An adapter as users of PEFT expect it: it loads by itself, and what is published has no paths."""

import json
import logging

import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftConfig, PeftModel
from transformers import AutoModelForCausalLM

from calib_adapters.serving.base_check import check_base, fitting
from calib_adapters.training.base_model import add_lora, load_base, published_name, save_adapter
from calib_adapters.training.card import _rounded
from calib_adapters.training.hub import push
from calib_adapters.training.schema import Lora
from harness_tasks.embedded_models import MODELS
from helpers.local_hub import arrived, local_hub

SMOLLM2 = MODELS["SmolLM2-135M-Instruct"]


@pytest.fixture
def adapter(tiny, tmp_path):
    """An adapter that changes what the tiny model says."""
    torch.manual_seed(0)
    model = add_lora(load_base(tiny, "float32", torch.device("cpu")), Lora(r=2), tiny)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    save_adapter(model, tiny, tmp_path / "adapter")
    return tmp_path / "adapter"


def test_autopeft_loads_the_adapter_on_the_weights_that_it_was_trained_on(
    adapter, tiny, monkeypatch, tmp_path
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    loaded = AutoPeftModelForCausalLM.from_pretrained(adapter, dtype=torch.float32)
    by_hand = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32), adapter
    )
    words = torch.tensor([[1, 5, 9, 42]])
    with torch.inference_mode():
        expected = by_hand(words).logits
        assert torch.equal(loaded(words).logits, expected)
        with by_hand.disable_adapter():
            assert not torch.allclose(by_hand(words).logits, expected)


def test_a_folder_that_was_named_relatively_is_found_from_elsewhere(tiny, tmp_path, monkeypatch):
    (tmp_path / "base").symlink_to(tiny)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    model = add_lora(load_base("base", "float32", torch.device("cpu")), Lora(r=2), "base")
    save_adapter(model, "base", tmp_path / "adapter")
    monkeypatch.chdir(tmp_path / "elsewhere")
    AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter", dtype=torch.float32)


@pytest.mark.parametrize(("base", "name"), [
    ("org/model", "org/model"),
    (f"/home/me/.cache/calibench/{SMOLLM2.folder}", "HuggingFaceTB/SmolLM2-135M-Instruct"),
    (f"/old/{SMOLLM2.name}-0123456789ab", "HuggingFaceTB/SmolLM2-135M-Instruct"),
])  # fmt: skip
def test_the_published_name_is_an_id_where_there_is_one(base, name):
    assert published_name(base) == name


@pytest.mark.parametrize("content", ["1", "null", "[]", '"text"', "{"])
def test_a_damaged_configuration_is_a_sentence(tmp_path, content):
    (tmp_path / "adapter_config.json").write_text(content)
    with pytest.raises(FileNotFoundError, match="no readable adapter_config.json"):
        with fitting("peft", str(tmp_path), "base"):
            pass


def test_the_card_says_what_the_published_weights_lack():
    assert "rounded to Q4_1 (`calibench model SmolLM2-135M-Instruct`)" in _rounded(SMOLLM2.folder)
    assert _rounded("org/model") == ""


def test_the_upload_has_no_path_of_this_machine(adapter, tiny, monkeypatch):
    with local_hub(monkeypatch) as hub:
        push(adapter, "me/adapter")
        files = arrived(hub)
    config = json.loads(files["adapter_config.json"])
    assert config["base_model_name_or_path"] == tiny.rpartition("/")[2]
    here = json.loads((adapter / "adapter_config.json").read_text())
    assert here["base_model_name_or_path"] == tiny  # the local one stays
    assert {**config, "base_model_name_or_path": tiny} == here
    assert not [name for name, content in files.items() if tiny.encode() in content]
    (adapter / "adapter_config.json").write_bytes(files["adapter_config.json"])
    assert PeftConfig.from_pretrained(adapter).r == 2  # and is one for PEFT


def test_an_adapter_fits_its_rounded_and_its_published_base_and_a_warning_says_which(caplog):
    rounded = f"/cache/{SMOLLM2.folder}"
    check_base("peft", "a", rounded, f"/elsewhere/{SMOLLM2.folder}")
    assert not caplog.records
    for trained_on, pretrained in [(SMOLLM2.origin, rounded), (rounded, SMOLLM2.origin)]:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            check_base("peft", "a", trained_on, pretrained)
        assert "weights that were rounded to Q4_1" in caplog.text
    with pytest.raises(ValueError, match="does not belong to the base model"):
        check_base("peft", "a", rounded, "org/SmolLM2-360M-Instruct")
    with pytest.raises(ValueError, match="does not belong to the base model"):
        check_base("peft", "a", rounded, f"/cache/{MODELS['gemma-3-270m'].folder}")
