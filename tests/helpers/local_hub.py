"""A Hub on this machine that keeps what it is sent."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


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


@contextmanager
def local_hub(monkeypatch):
    """Inside, the Hub is a server here, which knows the token "good"."""
    import huggingface_hub.constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.calls, server.url = [], f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "good")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    try:
        yield server
    finally:
        server.shutdown()


def arrived(server):
    """The files of the commit that the server was sent."""
    commit = next(body for path, body in server.calls if "/commit/" in path)
    return {
        line["value"]["path"]: base64.b64decode(line["value"]["content"])
        for line in map(json.loads, commit.splitlines())
        if line["key"] == "file"
    }
