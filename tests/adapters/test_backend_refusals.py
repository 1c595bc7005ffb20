"""What the back end calib-hf refuses: options, adapters of another base, damaged files."""

import shutil

import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from calib_adapters.serving.model import CalibHFLM
from calib_adapters.training.base_model import add_lora, load_base, save_adapter
from calib_adapters.training.schema import Lora
from helpers.adapters_common import tiny_model

CPU = {"device": "cpu", "dtype": "float32", "batch_size": 4}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, embedded_model_path):
    """The tiny model, whose answers end."""
    return tiny_model(tmp_path_factory.mktemp("tiny"), embedded_model_path, line_ends=5.0)


# -------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"peft": "{0}", "confidence_adapter": "{1}"}, "exclude each other"),
        ({"ensemble": "{0}+{1}", "mc_dropout": 3}, "does not go with ensemble"),
        ({"ensemble": "{0}"}, "at least two adapters, as A\\+B"),
        ({"mc_dropout": 1, "peft": "{0}"}, "mc_dropout is 1; .* at least 2"),
        ({"mc_dropout": 4, "mc_dropout_rate": 1.5, "peft": "{0}"}, "between 0 and 1"),
        ({"mc_dropout_rate": 0.1, "peft": "{0}"}, "goes with mc_dropout"),
        ({"mc_dropout": 4, "mc_dropout_rate": "x", "peft": "{0}"}, "mc_dropout_rate is 'x'"),
        ({"ensemble": ""}, "at least two adapters"),
        ({"mc_dropout": 4, "peft": "{0}"}, "nothing was dropped in training"),
        ({"mc_dropout": 4, "mc_dropout_rate": 0.1}, "an adapter .* to drop in"),
        ({"confidence_adapter": "{probe}"}, "confidence_adapter: .* is no adapter"),
        ({"probe": "{0}"}, "holds no head.safetensors"),
    ],
)
def test_options_that_cannot_be_served_are_a_sentence(tiny, adapters, probe, options, sentence):
    given = {
        key: value.format(*adapters, probe=probe) if isinstance(value, str) else value
        for key, value in options.items()
    }
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        CalibHFLM(tiny, **given, **CPU)


@pytest.mark.parametrize("option", ["confidence_adapter", "probe", "peft", "ensemble"])
@pytest.mark.parametrize("other", ["name", "size"])
def test_what_was_trained_on_another_base_is_refused(
    tiny, adapters, probe, option, other, tmp_path_factory, embedded_model_path
):
    folder = tmp_path_factory.mktemp("other") / ("else" if other == "name" else tiny.split("/")[-1])
    base = tiny_model(folder, embedded_model_path, hidden=32 if other == "name" else 64)
    value = {"probe": probe, "ensemble": "+".join(adapters[:2])}.get(option, adapters[0])
    sentence = f"{option}: .*" + (
        "does not belong to .* else. It was trained on"
        if other == "name"
        else "of 32 numbers, .* 64"
        if option == "probe"
        else "does not belong to"
    )
    with pytest.raises(ValueError, match=sentence):
        CalibHFLM(base, **{option: value}, **CPU)


def test_an_adapter_over_the_vocabulary_that_does_not_fit_is_not_called_another_models(
    tiny, tmp_path
):
    base = LlamaForCausalLM.from_pretrained(tiny)
    padded = len(AutoTokenizer.from_pretrained(tiny)) + 64
    base.resize_token_embeddings(padded)
    folder = tmp_path / tiny.split("/")[-1]
    base.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    lora = Lora(r=4, dropout=0.0, target_modules=("q_proj", "lm_head"))
    model = add_lora(load_base(str(folder), "float32", torch.device("cpu")), lora, str(folder))
    save_adapter(model, str(folder), tmp_path / "adapter")
    with pytest.raises(ValueError) as refusal:
        CalibHFLM(str(folder), peft=str(tmp_path / "adapter"), **CPU)
    sentence = str(refusal.value)
    assert "belong" not in sentence and "confidence_adapter=" in sentence
    assert f"a vocabulary of {padded:,} tokens" in sentence
    assert f"loaded with {padded - 64:,}" in sentence
    assert CalibHFLM(str(folder), confidence_adapter=str(tmp_path / "adapter"), **CPU)


# ---------------------------------------------------------------------------------- damaged files


def damage(kind, file):
    content = file.read_bytes()
    if kind == "pickled":
        torch.save({"weight": torch.zeros(1)}, file.with_name("adapter_model.bin"))
        file.unlink()
    elif kind == "missing":
        file.unlink()
    else:
        changed = {
            "empty": b"",
            "cut off": content[: len(content) // 2],
            "a wrong header": b"\xff" * 8 + content[8:],
            "no weights": (2).to_bytes(8, "little") + b"{}",
        }
        file.write_bytes(changed[kind])


@pytest.mark.parametrize("option", ["peft", "confidence_adapter", "ensemble"])
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("pickled", "has no adapter_model.safetensors. Pickled weights"),
        ("missing", "has no adapter_model.safetensors"),
        ("empty", "is damaged or cut off"),
        ("cut off", "is damaged or cut off"),
        ("a wrong header", "is damaged or cut off"),
        ("no weights", "holds no weights"),
    ],
)
def test_an_adapter_without_whole_safetensors_is_refused_unread(
    tiny, adapters, tmp_path, monkeypatch, option, kind, reason
):
    folder = tmp_path / "adapter"
    shutil.copytree(adapters[0], folder)
    damage(kind, folder / "adapter_model.safetensors")
    monkeypatch.setattr("torch.load", None)  # nothing may be unpickled, guarded or not
    with pytest.raises(ValueError, match=f"^{option}: .*{reason}"):
        given = f"{adapters[1]}+{folder}" if option == "ensemble" else str(folder)
        CalibHFLM(tiny, **{option: given}, **CPU)


@pytest.mark.parametrize("kind", ["empty", "cut off", "a wrong header", "no weights"])
def test_a_damaged_head_is_refused(tiny, probe, tmp_path, kind):
    folder = tmp_path / "probe"
    shutil.copytree(probe, folder)
    damage(kind, folder / "head.safetensors")
    with pytest.raises(ValueError, match="head.safetensors is damaged or is not the head"):
        CalibHFLM(tiny, probe=str(folder), **CPU)
