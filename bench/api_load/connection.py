"""A client that costs little: it shares the processor with the server that it measures."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec

HEAD_END = b"\r\n\r\n"
LIMIT_S = 120.0


class AnswerError(Exception):
    """A server answered otherwise than it should."""


def post(url: str, path: str, body: dict[str, Any]) -> bytes:
    """The bytes of a request that keeps its connection open."""
    content = msgspec.json.encode(body)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Connection(asyncio.Protocol):
    """One connection; one request at a time.

    Attributes:
        comments: How many comments came with the last answer, which keep a stream alive.
        writes: In how many pieces it came.
    """

    def __init__(self) -> None:
        self.comments = 0
        self.writes = 0
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answered: asyncio.Future[bytes] | None = None

    @classmethod
    async def open(cls, url: str) -> Connection:
        """Connect to a server."""
        address = urlsplit(url)
        loop = asyncio.get_running_loop()
        host, port = address.hostname or "127.0.0.1", address.port or 80
        _, connection = await loop.create_connection(cls, host, port)
        return connection

    async def ask(self, request: bytes, *, limit_s: float = LIMIT_S) -> float:
        """Send a request and wait for the end of its answer; how long that took, in seconds.

        Raises:
            AnswerError: The answer is no success, or breaks off.
        """
        if self._transport is None:
            raise AnswerError("the connection is closed")
        self._received.clear()
        self.writes = 0
        self._answered = asyncio.get_running_loop().create_future()
        asked_s = time.perf_counter()
        self._transport.write(request)
        answer = await asyncio.wait_for(self._answered, limit_s)
        took_s = time.perf_counter() - asked_s
        if not answer.startswith(b"HTTP/1.1 200 ") or b'"error":{' in answer:
            raise AnswerError(answer[-500:].decode(errors="replace"))
        self.comments = answer.count(b"\n: ")
        return took_s

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Look whether the answer is complete."""
        self._received += data
        self.writes += 1
        if self._is_complete() and self._answered is not None and not self._answered.done():
            self._answered.set_result(bytes(self._received))

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits hears of it."""
        self._transport = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(AnswerError(f"the connection was closed ({exc})"))

    def _is_complete(self) -> bool:
        """Whether all is there: the length that was announced, or the last chunk."""
        received = self._received
        end = received.find(HEAD_END)
        if end < 0:
            return False
        head = received[:end].lower()
        at = head.find(b"content-length:")
        if at < 0:
            return received.endswith(b"\r\n0\r\n\r\n")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        return len(received) >= end + len(HEAD_END) + length
