"""A client for streams that does next to nothing while they run.

It shares the processor with what it measures. So it only notes when bytes came, and reads what
they say when all answers are there.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from typing import Any
from urllib.parse import urlsplit

import attrs
import httptools
import msgspec

from comparison.generation import Reading
from comparison.peer import PeerError

LIMIT_S = 600


@attrs.frozen
class Recording:
    """The bytes of one answer, with the moments at which they came."""

    asked_s: float
    pieces: list[tuple[float, bytes]]


class _Recorder(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self.asked_s = 0.0
        self.pieces: list[tuple[float, bytes]] = []
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.asked_s = time.perf_counter()
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.pieces.append((time.perf_counter(), data))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio calls it
        # Nobody waits any more when the comparison was given up.
        if not self.ended.done():
            self.ended.set_result(None)


async def record(url: str, body: dict[str, Any]) -> Recording:
    """Post a request and record the answer until the server closes the connection.

    Raises:
        PeerError: It does not within the limit.
    """
    address = urlsplit(url)
    host, port = address.hostname or "127.0.0.1", address.port or http.client.HTTP_PORT
    content = msgspec.json.encode(body)
    head = (
        f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        "Connection: close\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    transport, recorder = await loop.create_connection(
        lambda: _Recorder(head.encode() + content), host, port
    )
    try:
        await asyncio.wait_for(recorder.ended, LIMIT_S)
    except TimeoutError as exc:
        raise PeerError(f"an answer took over {LIMIT_S} s") from exc
    finally:
        transport.close()
    return Recording(recorder.asked_s, recorder.pieces)


class _Events:
    """Server-sent events of a recording, with the moment at which each was complete."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.found: list[tuple[float, bytes]] = []
        self.rest = b""
        self.is_complete = False

    def on_body(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self.found.append((self.now_s, line[5:].strip()))

    def on_message_complete(self) -> None:
        self.is_complete = True


def read(recording: Recording) -> Reading:
    """Make sense of a recorded stream of completions.

    Raises:
        PeerError: It is an error, or broke off.
    """
    events = _Events()
    parser = httptools.HttpResponseParser(events)
    for moment_s, data in recording.pieces:
        events.now_s = moment_s
        parser.feed_data(data)
    raw = b"".join(data for _, data in recording.pieces)
    if not events.found or parser.get_status_code() != http.client.OK:
        raise PeerError(f"no stream came, but: {raw[-500:].decode(errors='replace')}")
    if events.found[-1][1] != b"[DONE]":
        raise PeerError(f"a stream broke off: {raw[-300:].decode(errors='replace')}")
    text, texts_s, tokens, reason = "", [], 0, ""
    for moment_s, data in events.found[:-1]:
        event = msgspec.json.decode(data)
        if "error" in event:
            raise PeerError(f"a stream ended with {event['error']}")
        for choice in event.get("choices") or ():
            if choice.get("text"):
                text += choice["text"]
                texts_s.append(moment_s)
            reason = choice.get("finish_reason") or reason
        tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
    if not texts_s:
        raise PeerError("an answer has no text")
    return Reading(recording.asked_s, tuple(texts_s), text, tokens, reason)
