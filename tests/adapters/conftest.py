"""Adapters with random weights, and the stock back end."""

import pytest
import torch
from lm_eval.models.huggingface import HFLM

from calib_adapters.calibration.head import CorrectnessHead, save_head
from calib_adapters.training.base_model import add_lora, load_base, save_adapter
from calib_adapters.training.schema import Lora


@pytest.fixture(scope="module")
def adapters(tmp_path_factory, tiny):
    """Three LoRA adapters with random weights; the last was trained with dropout."""
    folders = []
    for seed, dropout in enumerate((0.0, 0.0, 0.3)):
        torch.manual_seed(seed)
        lora = Lora(r=4, dropout=dropout)
        model = add_lora(load_base(tiny, "float32", torch.device("cpu")), lora, tiny)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.3)
        folders.append(tmp_path_factory.mktemp(f"adapter{seed}"))
        save_adapter(model, tiny, folders[-1])
    return [str(folder) for folder in folders]


@pytest.fixture(scope="module")
def probe(tmp_path_factory, tiny):
    """A probe with random weights."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("probe")
    save_head(CorrectnessHead(32, (16,)).state_dict(), tiny, folder)
    return str(folder)


@pytest.fixture(scope="module")
def stock(tiny):
    """The stock back end on the tiny model."""
    return HFLM(tiny, batch_size=4, device="cpu", dtype="float32")
