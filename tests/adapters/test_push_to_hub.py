"""Uploads to a Hub that keeps what it is sent, on this machine."""

import json
import socket

import huggingface_hub.constants
import pytest

from calib_adapters.training.hub import check_hub, push
from helpers.local_hub import arrived, local_hub


@pytest.fixture
def hub(monkeypatch):
    with local_hub(monkeypatch) as server:
        yield server


def test_all_files_of_the_folder_arrive_in_a_private_repository(tmp_path, hub):
    files = {
        "README.md": b"# An adapter\n",
        "adapter_model.safetensors": bytes(range(256)),
        "runs/events.out": b"log",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert push(tmp_path, "me/adapter") == f"{hub.url}/me/adapter"
    made = next(json.loads(body) for path, body in hub.calls if path == "/api/repos/create")
    assert (made["name"], made["organization"]) == ("adapter", "me")
    assert made["visibility"] == "private"
    assert arrived(hub) == files


def test_an_unknown_user_is_told_before_the_training(hub, monkeypatch):
    check_hub("me/adapter")
    with pytest.raises(ValueError, match="Repo id must be"):
        check_hub("me/adapter/of/mine")
    monkeypatch.setenv("HF_TOKEN", "bad")
    with pytest.raises(ValueError, match="--push_to_hub me/adapter: .* log in with `hf auth"):
        check_hub("me/adapter")


def test_a_hub_that_cannot_be_reached_is_a_sentence_before_and_after_training(
    tmp_path, hub, monkeypatch
):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(
            huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}"
        )  # bound, and nobody listens
        with pytest.raises(OSError, match="--push_to_hub me/adapter: the Hub cannot be reached"):
            check_hub("me/adapter")
        with pytest.raises(RuntimeError, match="is finished, but could not be uploaded"):
            push(tmp_path, "me/adapter")
