"""A server on this machine whose replies the tests know."""

import json
import math
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def json_server(answer):
    """Serve what `answer` makes of a request; gives the server, with all that it was `asked`."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append(asked)
            said = json.dumps(answer(asked)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def chat_server(first_token, logprobs=True, reply="An answer."):
    """Serve a chat API whose model has a known distribution; its address is in `options`.

    Args:
        first_token: from the last message to the probabilities of the first token of a reply.
        logprobs: whether the server returns log-probabilities, or ignores the request for them.
        reply: what the model writes.
    """

    def answer(asked):
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": reply},
            "finish_reason": "stop",
        }
        if logprobs and asked.get("logprobs"):
            known = first_token(asked["messages"][-1]["content"])
            likeliest = sorted(known.items(), key=lambda item: -item[1])
            tops = [
                {"token": token, "logprob": math.log(p), "bytes": list(token.encode())}
                for token, p in likeliest[: asked["top_logprobs"]]
            ]
            choice["logprobs"] = {"content": [{**tops[0], "top_logprobs": tops}]}
        return {"object": "chat.completion", "choices": [choice]}

    with json_server(answer) as server:
        url = f"{server.url}/chat/completions"
        server.options = {"model": "known", "base_url": url, "max_retries": 1}
        yield server
