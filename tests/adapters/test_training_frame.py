"""Training by several processes, stopping early, breaking off and going on, disks that are full."""

import json
import math
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import calib_adapters
from calib_adapters.training.batches import EpochBatches
from calib_adapters.training.checkpoints import EPOCHS, MARK
from calib_adapters.training.curves import training_log
from calib_adapters.training.processes import first_with_all_threads
from calib_adapters.training.trainer import JobTrainer
from calib_adapters.tune import tune
from helpers.adapters_common import RECIPE
from helpers.processes import calibench_command, calibench_on_a_full_disk, pipe, start

PLAIN = ("dtype=float32", "optimiser.batch_size=8")
DROPOUT = (*PLAIN, "lora.dropout=0.1")  # random numbers, which a resumed run has to repeat
HARDWARE = calib_adapters.shipped_folder("accelerate")


@pytest.fixture(scope="module")
def alone(tmp_path_factory, tiny, graded):
    """Trained by one process, without a break."""
    return tune(RECIPE, tiny, graded, tmp_path_factory.mktemp("out") / "adapter", PLAIN)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, tiny, graded):
    """As `alone`, with dropout."""
    return tune(RECIPE, tiny, graded, tmp_path_factory.mktemp("out") / "adapter", DROPOUT)


def command(tiny, graded, output, overrides, *options):
    given = ["--model", tiny, "--data", graded, "-o", output, *options]
    return ["tune", RECIPE, *overrides, *map(str, given)]


def wait_for(found, process, seconds=180):
    deadline = time.time() + seconds
    while not (names := found()):
        assert time.time() < deadline and process.exitcode is None, "nothing came"
        time.sleep(0.005)
    return names


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def assert_same(one, other, tolerance):
    assert one.keys() == other.keys()
    for name, weight in one.items():
        torch.testing.assert_close(other[name], weight, rtol=0, atol=tolerance)


def log_of(folder):
    return json.loads((folder / "training_log.json").read_text())


# ---------------------------------------------------------------------------------------- batches


def test_an_epochs_order_depends_on_seed_and_epoch_alone():
    lengths = [10 + i % 40 for i in range(100)]
    fresh, used = (EpochBatches(lengths, 16, seed=3) for _ in range(2))
    used.set_epoch(0)
    first = list(used)
    used.set_epoch(1)
    fresh.set_epoch(1)
    assert list(used) == list(fresh) != first
    assert sorted(sum(first, [])) == list(range(100))
    assert list(EpochBatches(lengths, 16, seed=4)) != first


def test_batches_hold_rows_of_similar_length():
    lengths = np.random.default_rng(0).integers(20, 120, 400)
    spread = np.mean([np.ptp(lengths[rows]) for rows in EpochBatches(lengths.tolist(), 16, seed=0)])
    # 128 rows sorted into 8 batches: a batch spans about 1/8 of the range of 100.
    assert spread < 100 / 4


def test_processes_share_the_batches_that_one_process_has():
    lengths = [10 + 7 * i % 40 for i in range(101)]
    whole = list(EpochBatches(lengths, 16, seed=3))
    shares = [list(EpochBatches(lengths, 16, 3, process, 3)) for process in range(3)]
    assert [sum(parts, []) for parts in zip(*shares, strict=True)] == whole
    assert {len(rows) for rows in whole} == {14, 15}  # 101 rows in 7 batches
    with pytest.raises(ValueError, match="cannot be shared among 16 processes"):
        EpochBatches(lengths, 16, 3, 0, 16)


# -------------------------------------------------------------------------------------- processes


with_deepspeed = pytest.mark.skipif(
    find_spec("deepspeed") is None,
    reason="DeepSpeed is not installed; `make engines` installs and tests it",
)


@pytest.mark.parametrize(
    ("file", "distribution"),
    [
        ("cpu.yaml", "MULTI_CPU"),
        pytest.param(
            "deepspeed_zero3.yaml", "DEEPSPEED", marks=[pytest.mark.nightly, with_deepspeed]
        ),
    ],
)
def test_two_processes_take_the_steps_of_one(tmp_path, tiny, graded, alone, file, distribution):
    output = tmp_path / "adapter"
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--num_processes",
        "2",
        "--config_file",
        HARDWARE / file,
        "--main_process_port",
        "0",
    ]
    arguments = command(tiny, graded, output, PLAIN)
    done = subprocess.run(
        [*map(str, launch), "-m", "calibench", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    hardware = json.loads((output / "training.json").read_text())["hardware"]
    assert (hardware["processes"], hardware["distribution"]) == (2, distribution)
    ours, theirs = log_of(alone), log_of(output)
    for split, names in (("training", ("loss", "nll")), ("validation", ("nll", "ece", "brier"))):
        assert [e["step"] for e in theirs[split]] == [e["step"] for e in ours[split]]
        for name in names:
            expected = [entry[name] for entry in ours[split]]
            np.testing.assert_allclose([e[name] for e in theirs[split]], expected, rtol=1e-3)
    assert_same(weights(alone), weights(output), 1e-4)


class Waited:
    """A process of two on this machine, as `PartialState` has it."""

    def __init__(self, main):
        self.is_main_process, self.device = main, torch.device("cpu")

    def main_process_first(self):
        return nullcontext()


@pytest.mark.parametrize(("main", "inside"), [(True, 2), (False, 1)])
def test_only_the_process_that_the_others_wait_for_has_their_threads(main, inside, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with pytest.raises(KeyError), first_with_all_threads(Waited(main)):
            assert torch.get_num_threads() == inside
            raise KeyError
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_fsdp_that_accelerate_would_leave_out_is_refused(tmp_path, tiny, graded, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("with a GPU, accelerate shards")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ValueError, match="FSDP, which it supports only on GPUs"):
        tune(RECIPE, tiny, graded, tmp_path / "adapter", PLAIN)


# ------------------------------------------------------------------------------------- each epoch


def test_the_weights_of_each_epoch_are_kept_if_asked_for(tmp_path, tiny, graded, alone):
    settings = (*PLAIN, "evaluation.keep=last")
    output = tune(RECIPE, tiny, graded, tmp_path / "adapter", settings, keep_epochs=True)
    assert sorted(path.name for path in (output / EPOCHS).iterdir()) == ["1", "2", "3"]
    assert_same(weights(output / EPOCHS / "3"), weights(output), 0)
    with pytest.raises(AssertionError):
        assert_same(weights(output / EPOCHS / "1"), weights(output), 1e-6)
    assert not (alone / EPOCHS).exists()


# ------------------------------------------------------------------------------- stop and continue


def test_a_run_killed_within_an_epoch_continues_to_the_same_weights(
    tmp_path, tiny, graded, unbroken
):
    output = tmp_path / "adapter"
    arguments = command(tiny, graded, output, DROPOUT, "--checkpoint_every", 2)
    process = start(calibench_command, arguments)
    # Five steps make an epoch, so the checkpoint after step 7 and before 10 is within one.
    wait_for(lambda: list(tmp_path.glob(f".adapter.*/checkpoint-8/{MARK}")), process)
    process.kill()
    process.join()
    (work,) = (path for path in tmp_path.glob(".adapter.*") if path.is_dir())
    (work / "checkpoint-9").mkdir(exist_ok=True)  # half-written, as far as anybody can tell
    assert not output.exists()
    tune(RECIPE, tiny, graded, output, DROPOUT)
    assert json.loads((output / "training.json").read_text())["resumed"]
    assert_same(weights(unbroken), weights(output), 1e-6)
    steps = [entry["step"] for entry in log_of(output)["training"]]
    assert steps == sorted(set(steps)) and steps[-1] == 15
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_training_stops_after_epochs_that_are_no_better_even_if_killed_there(
    tmp_path, tiny, graded, monkeypatch
):
    # Steps far too large: the first epoch is the best.
    settings = (
        *PLAIN,
        "optimiser.learning_rate=0.3",
        "optimiser.epochs=9",
        "evaluation.patience=2",
        "optimiser.warmup_steps=0",
        "seed=1",
    )

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(JobTrainer, "kept_step", property(interrupt))  # asked when training is over
        with pytest.raises(KeyboardInterrupt):
            tune(RECIPE, tiny, graded, tmp_path / "adapter", settings)
    assert not (tmp_path / "adapter").exists()
    output = tune(RECIPE, tiny, graded, tmp_path / "adapter", settings)
    assert json.loads((output / "training.json").read_text())["resumed"]
    validation = log_of(output)["validation"]
    best = min(range(len(validation)), key=lambda i: validation[i]["nll"])
    assert len(validation) == best + 3 < 9
    training = json.loads((output / "training.json").read_text())
    assert training["kept_step"] == validation[best]["step"]


# -------------------------------------------------------------------------------------------- logs


def test_the_log_holds_loss_and_perplexity_of_both_splits(alone):
    log = log_of(alone)
    assert [entry["step"] for entry in log["training"]] == list(range(1, 16))
    assert [entry["epoch"] for entry in log["validation"]] == [1, 2, 3]
    for entry in (*log["training"], *log["validation"]):
        assert entry["perplexity"] == pytest.approx(math.exp(entry["nll"]))
    # The loss has the divergence on top, which is 0 before the first step.
    first, *rest = log["training"]
    assert first["loss"] == pytest.approx(first["nll"], rel=1e-3)
    assert all(entry["loss"] > entry["nll"] for entry in rest)
    assert (alone / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "loss.png" in (alone / "README.md").read_text()


def test_a_log_without_likelihoods_has_no_perplexity():
    log = training_log([{"loss": 2.0, "step": 1, "epoch": 1.0}, {"train_runtime": 3.0, "step": 1}])
    assert log == {"training": [{"loss": 2.0, "step": 1, "epoch": 1.0}], "validation": []}


@pytest.mark.parametrize("service", ["tensorboard", "wandb"])
def test_logging_to_a_service_that_is_not_installed_is_refused(tmp_path, tiny, graded, service):
    if find_spec(service):
        pytest.skip(f"{service} is installed")
    with pytest.raises(ValueError, match=f"pip install {service}"):
        tune(RECIPE, tiny, graded, tmp_path / "adapter", PLAIN, log=[service])


# ------------------------------------------------------------------------------------------ errors


def test_a_full_disk_is_a_sentence_and_nothing_is_lost(tmp_path, tiny, graded, unbroken):
    output = tmp_path / "adapter"
    largest = 20_000  # bytes a file may have: too few for the optimiser's state
    receiver, sender = pipe()
    arguments = command(tiny, graded, output, DROPOUT)
    process = start(calibench_on_a_full_disk, arguments, largest, sender)
    process.join()
    assert process.exitcode == 1
    assert "is full, or a file would exceed a limit. Nothing is lost" in receiver.recv()
    assert not output.exists()
    tune(RECIPE, tiny, graded, output, DROPOUT)
    assert_same(weights(unbroken), weights(output), 1e-6)


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="needs a folder that nobody may write to")
def test_a_folder_that_may_not_be_written_to_is_a_sentence(tiny, graded):
    with pytest.raises(OSError, match="cannot be .*written; choose another output folder"):
        tune(RECIPE, tiny, graded, Path("/sys/adapter"), PLAIN)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_four_bits_without_a_gpu_are_refused(tmp_path, tiny, graded):
    with pytest.raises(ValueError, match="quantise: nf4 needs an NVIDIA GPU and bitsandbytes"):
        tune(RECIPE, tiny, graded, tmp_path / "adapter", (*PLAIN, "quantise=nf4"))
