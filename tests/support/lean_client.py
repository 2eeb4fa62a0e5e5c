"""A client for benchmarks that parses nothing: a heavy one would take the engine's time."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import attrs
import msgspec
from stoker_process import MODEL


@attrs.frozen
class Reading:
    """What was read of one stream."""

    first_s: float
    """From the request to the first bytes of the answer's body."""
    chunks: int


async def read_stream(url: str, prompt: str, *, max_tokens: int) -> Reading:
    """Read one greedy completion of exactly so many tokens.

    Raises:
        RuntimeError: Fewer came.
    """
    address = urlsplit(url)
    started_s = time.perf_counter()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    body = msgspec.json.encode(
        {
            "model": MODEL,
            "prompt": prompt,
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            "ignore_eos": True,
        }
    )
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    first_s = 0.0
    chunks = 0
    while data := await reader.read(65536):
        if not chunks and b'"text":"' in data:
            first_s = time.perf_counter() - started_s
        chunks += data.count(b"data: ")
    writer.close()
    if chunks < max_tokens:
        raise RuntimeError(f"{chunks} chunks came where {max_tokens} tokens were asked for")
    return Reading(first_s, chunks)
