"""Uploads to a Hub that keeps what it is sent, on this machine."""

import base64
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub.constants
import pytest

from calib_adapters.training.hub import check_hub, push


class Hub(BaseHTTPRequestHandler):
    """The calls of an upload, as the Hub documents them; every file is a regular one."""

    def do_GET(self):
        known = self.headers.get("Authorization") == "Bearer good"
        answer = {"type": "user", "name": "me"} if known else {"error": "Invalid credentials"}
        self.reply(answer if self.path == "/api/whoami-v2" else {}, 200 if known else 401)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.calls.append((self.path, body))
        if "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self.reply({"files": files})
        elif "/commit/" in self.path:
            url = f"{self.server.url}/me/adapter/commit/0"
            self.reply({"commitUrl": url, "commitOid": "0" * 40, "success": True})
        else:
            self.reply(
                {
                    "url": f"{self.server.url}/me/adapter",
                    "id": "me/adapter",
                    "errors": [],
                    "warnings": [],
                }
            )

    def reply(self, content, status=200):
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.calls, server.url = [], f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "good")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield server
    server.shutdown()


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
    commit = next(body for path, body in hub.calls if "/commit/" in path)
    lines = [json.loads(line) for line in commit.splitlines()]
    arrived = {
        line["value"]["path"]: base64.b64decode(line["value"]["content"])
        for line in lines
        if line["key"] == "file"
    }
    assert arrived == files


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
