"""A server with the OpenAI API of a few lines, that can be told to misbehave."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_S = 20.0


class OpenAiServer(ThreadingHTTPServer):
    """Repeats what it is told, word by word, and counts words as tokens.

    Attributes:
        bodies: What came, in order.
        headers_seen: The headers that came with it.
        status: What it answers; an error unless 200.
        script: Events to send in place of what it was told; bytes go out as they are.
        delay_s: How long it thinks before each word.
        gates: What is waited for before the word that is the key.
        running: How many answers are under way.
        left: How many clients hung up before the end.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict[str, Any]] = []
        self.headers_seen: list[dict[str, str]] = []
        self.status = 200
        self.script: list[dict[str, Any] | bytes] | None = None
        self.delay_s = 0.0
        self.gates: dict[str, threading.Event] = {}
        self.running = 0
        self.most_running = 0
        self.left = 0
        self.lock = threading.Lock()
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
        with self.server.lock:
            self.server.running += 1
            self.server.most_running = max(self.server.most_running, self.server.running)
        try:
            for item in self.server.script or self._answer(body):
                self._send(item)
        except OSError:
            self.server.left += 1
        finally:
            with self.server.lock:
                self.server.running -= 1

    def _answer(self, body: dict[str, Any]) -> Iterator[dict[str, Any] | bytes]:
        is_chat = self.path.endswith("/chat/completions")
        said = body["messages"][-1]["content"] if is_chat else body["prompt"]
        words = said.split()
        answer = words[: body.get("max_tokens")]
        for word in answer:
            time.sleep(self.server.delay_s)
            if word in self.server.gates:
                self.server.gates[word].wait(WAIT_S)
            yield {
                "choices": [{"delta": {"content": f"{word} "}} if is_chat else {"text": f"{word} "}]
            }
        reason = "stop" if answer == words else "length"
        yield {"choices": [{"delta": {}, "finish_reason": reason}]}
        if body.get("stream_options", {}).get("include_usage"):
            usage = {"prompt_tokens": len(words), "completion_tokens": len(answer)}
            yield {"choices": [], "usage": {**usage, "prompt_tokens_details": {"cached_tokens": 1}}}
        yield b"data: [DONE]\n\n"

    def _send(self, item: dict[str, Any] | bytes) -> None:
        data = item if isinstance(item, bytes) else f"data: {json.dumps(item)}\n\n".encode()
        self.wfile.write(b": keep going\n\n" + data)

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
            for gate in server.gates.values():
                gate.set()
            server.shutdown()
            thread.join(5)
