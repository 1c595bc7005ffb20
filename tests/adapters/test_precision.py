"""dtype: auto. What torch says about a device decides, and what was decided is written down."""

import json
import platform
import shutil
from types import SimpleNamespace

import pytest
import torch
import yaml
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from calib_adapters.serving.evaluate import OURS
from calib_adapters.serving.model import CalibHFLM
from calib_adapters.training.precision import native_dtype, resolve_dtype
from calib_adapters.training.recipe import load_recipe, shipped_recipes
from calib_adapters.tune import tune
from helpers.adapters_common import RECIPE

CPU, CUDA, XPU = map(torch.device, ("cpu", "cuda", "xpu"))


def processor(monkeypatch, onednn, has=None, machine="x86_64", avx512=False, amx=False):
    """A torch that says this of the processor; without `has`, one that has no public list yet."""
    if onednn is None:  # not built in
        kernels = SimpleNamespace()
    else:
        kernels = SimpleNamespace(_is_mkldnn_bf16_supported=lambda: onednn)
    monkeypatch.setattr(torch.ops, "mkldnn", kernels, raising=False)
    if has is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        listed = {"architecture": machine, **dict.fromkeys(has, True)}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: listed, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(platform, "machine", lambda: machine)


@pytest.mark.parametrize(("said", "dtype"), [
    # AMD Zen 2; Intel Skylake, whose AVX512 serves oneDNN's kernels by emulation; Zen 4; Sapphire
    # Rapids; Graviton 3; Graviton 2; an Apple processor, for which torch is built without oneDNN
    (dict(onednn=False, has=["avx2"]), "float32"),
    (dict(onednn=True, has=["avx2", "avx512_f"]), "float32"),
    (dict(onednn=True, has=["avx2", "avx512_f", "avx512_bf16"]), "bfloat16"),
    (dict(onednn=True, has=["avx512_f", "amx_tile", "amx_bf16"]), "bfloat16"),
    (dict(onednn=True, has=["neon", "bf16"], machine="aarch64"), "bfloat16"),
    (dict(onednn=False, has=["neon"], machine="aarch64"), "float32"),
    (dict(onednn=None, has=["neon", "bf16"], machine="arm64"), "float32"),
    # the same, asked of torch 2.6
    (dict(onednn=False), "float32"),
    (dict(onednn=True), "float32"),
    (dict(onednn=True, avx512=True), "bfloat16"),
    (dict(onednn=True, amx=True), "bfloat16"),
    (dict(onednn=True, machine="aarch64"), "bfloat16"),
    (dict(onednn=False, machine="aarch64"), "float32"),
    (dict(onednn=None, machine="arm64"), "float32"),
])  # fmt: skip
def test_a_processor_computes_in_bfloat16_if_it_has_the_instructions(monkeypatch, said, dtype):
    processor(monkeypatch, **said)
    assert native_dtype(CPU) == dtype


@pytest.mark.parametrize(("capability", "hip", "dtype"), [
    ((7, 5), None, "float32"), ((8, 0), None, "bfloat16"), ((8, 6), None, "bfloat16"),
    ((10, 0), None, "bfloat16"), ((9, 0), "6.2", "bfloat16"),
])  # fmt: skip
def test_a_gpu_of_nvidia_needs_capability_8(monkeypatch, capability, hip, dtype):
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert native_dtype(CUDA) == dtype


@pytest.mark.parametrize(("properties", "dtype"), [
    ({"has_bfloat16_conversions": True}, "bfloat16"),
    ({"has_bfloat16_conversions": False}, "float32"),
    ({}, "float32"),
])  # fmt: skip
def test_a_gpu_of_intel_is_asked_what_it_has(monkeypatch, properties, dtype):
    monkeypatch.setattr(
        torch.xpu, "get_device_properties", lambda device: SimpleNamespace(**properties)
    )
    assert native_dtype(XPU) == dtype


def test_of_other_devices_nothing_is_assumed():
    assert native_dtype(torch.device("mps")) == "float32"


# ------------------------------------------------------------------------------------- recipes


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_recipe_leaves_the_dtype_to_the_device(name):
    assert load_recipe(name).dtype == "auto"


def suits(monkeypatch, dtype):
    """Every device computes in `dtype`."""
    for module in ("training.precision", "serving.model"):
        monkeypatch.setattr(f"calib_adapters.{module}.native_dtype", lambda device: dtype)


@pytest.mark.parametrize("native", ["bfloat16", "float32"])
def test_a_recipe_is_settled_once_by_the_device_unless_it_says_what_it_wants(monkeypatch, native):
    suits(monkeypatch, native)
    assert resolve_dtype(load_recipe(RECIPE), CPU).dtype == native
    for given in ("bfloat16", "float32"):
        assert resolve_dtype(load_recipe(RECIPE, [f"dtype={given}"]), CPU).dtype == given
    # Steps of training are too small for weights in bfloat16.
    assert resolve_dtype(load_recipe("sft", ["lora=null"]), CPU).dtype == "float32"
    # The base of a probe is frozen.
    assert resolve_dtype(load_recipe("calibration_tuning_probe"), CPU).dtype == native


def test_what_was_trained_says_its_dtype_everywhere(monkeypatch, tiny, graded, tmp_path):
    suits(monkeypatch, "bfloat16")
    fast = ["optimiser.epochs=1", "data.max_train=8"]
    made = tune(RECIPE, tiny, graded, tmp_path / "adapter", fast)
    assert json.loads((made / "training.json").read_text())["dtype"] == "bfloat16"
    assert yaml.safe_load((made / "recipe.yaml").read_text())["dtype"] == "bfloat16"
    assert "base model in bfloat16" in (made / "README.md").read_text()
    suits(monkeypatch, "float32")  # another machine makes another adapter
    with pytest.raises(ValueError, match="was not made by this recipe"):
        tune(RECIPE, tiny, graded, made, fast)


# --------------------------------------------------------------------------------------- asking


@pytest.mark.parametrize("given", [{}, {"dtype": "auto"}])
@pytest.mark.parametrize("native", ["bfloat16", "float32"])
def test_calib_hf_computes_in_what_suits_the_device(monkeypatch, tiny, native, given):
    suits(monkeypatch, native)
    lm = CalibHFLM(tiny, device="cpu", **given)
    assert lm.model.dtype == getattr(torch, native)
    assert lm.softmax_dtype == (torch.float32 if native == "bfloat16" else None)


def test_a_given_dtype_stays_and_half_precision_has_its_softmax_in_float32(monkeypatch, tiny):
    suits(monkeypatch, "float32")
    for dtype in ("bfloat16", "float16"):
        lm = CalibHFLM(tiny, device="cpu", dtype=dtype, fast=False)
        assert (lm.model.dtype, lm.softmax_dtype) == (getattr(torch, dtype), torch.float32)
    lm = CalibHFLM(tiny, device="cpu", dtype="bfloat16", softmax_dtype="bfloat16", fast=False)
    assert lm.softmax_dtype == torch.bfloat16
    lm = CalibHFLM(
        tiny, device="cpu", dtype="float32", mixed_precision_dtype="bfloat16", fast=False
    )
    assert lm.softmax_dtype == torch.float32


def test_quantised_weights_keep_their_dtype(monkeypatch, tiny, tmp_path):
    suits(monkeypatch, "bfloat16")
    asked = []

    def create(self, pretrained, dtype, **options):
        asked.append(dtype)
        raise InterruptedError

    monkeypatch.setattr(HFLM, "_create_model", create)
    quantised = shutil.copytree(tiny, tmp_path / "quantised")
    config = json.loads((quantised / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (quantised / "config.json").write_text(json.dumps(config))
    for folder in (tiny, str(quantised)):
        with pytest.raises(InterruptedError):
            CalibHFLM(folder, device="cpu")
    assert asked == ["bfloat16", "auto"]


def logged(model_args):
    """The settings that lm-eval writes into the results of a run."""
    results = simple_evaluate(
        "calib-hf", model_args, tasks=["calib_worldfacts"], limit=2, device="cpu",
        metadata={"methods": ["likelihood"]}, bootstrap_iters=0,
        task_manager=TaskManager(include_path=OURS, include_defaults=False,
                                 metadata={"methods": ["likelihood"]}),
    )  # fmt: skip
    return results["config"]


def test_the_log_says_what_was_chosen(monkeypatch, tiny):
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
    suits(monkeypatch, "bfloat16")
    config = logged({"pretrained": tiny})
    expected = {"pretrained": tiny, "dtype": "bfloat16", "softmax_dtype": "float32"}
    assert config["model_args"] == expected
    assert config["model_dtype"] == torch.bfloat16
    suits(monkeypatch, "float32")
    assert logged({"pretrained": tiny, "dtype": "auto"})["model_args"] == {
        "pretrained": tiny, "dtype": "float32"
    }  # fmt: skip
