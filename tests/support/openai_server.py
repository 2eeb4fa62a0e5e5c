"""A server with the OpenAI API of a few lines, that can be told to misbehave."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class OpenAiServer(ThreadingHTTPServer):
    """Repeats what it is told, word by word.

    Attributes:
        bodies: What came, in order.
        headers_seen: The headers that came with it.
        status: What it answers; an error unless 200.
        breaks: Whether it hangs up after the first word.
        left: How many clients hung up before the end.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict[str, Any]] = []
        self.headers_seen: list[dict[str, str]] = []
        self.status = 200
        self.breaks = False
        self.delay_s = 0.0
        self.left = 0
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no news."""


class _Handler(BaseHTTPRequestHandler):
    server: OpenAiServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.headers_seen.append(dict(self.headers))
        self.send_response(self.server.status)
        self.end_headers()
        if self.server.status != 200:
            self.wfile.write(b'{"error": {"message": "No luck today."}}')
            return
        is_chat = self.path.endswith("/chat/completions")
        said = body["messages"][-1]["content"] if is_chat else body["prompt"]
        try:
            for word in said.split():
                time.sleep(self.server.delay_s)
                choice = {"delta": {"content": f"{word} "}} if is_chat else {"text": f"{word} "}
                self._send({"choices": [choice]})
                if self.server.breaks:
                    self._send({"error": {"message": "It broke."}})
                    return
            self._send({"choices": [{"delta": {}, "finish_reason": "stop"}]})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.server.left += 1

    def _send(self, chunk: dict[str, Any]) -> None:
        self.wfile.write(f": keep going\n\ndata: {json.dumps(chunk)}\n\n".encode())

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def openai_server() -> Iterator[OpenAiServer]:
    """A running server."""
    with OpenAiServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(5)
