"""A chat API on this machine whose model has a distribution that the tests know."""

import json
import math
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def chat_server(first_token, logprobs=True, reply="An answer."):
    """Serve a model; gives the server, with what it was `asked`, and its address as `options`.

    Args:
        first_token: from the last message to the probabilities of the first token of a reply.
        logprobs: whether the server returns log-probabilities, or ignores the request for them.
        reply: what the model writes.
    """

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append(asked)
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
            said = json.dumps({"object": "chat.completion", "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    server.asked = []
    url = f"http://127.0.0.1:{server.server_port}/v1/chat/completions"
    server.options = {"model": "known", "base_url": url, "max_retries": 1}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
