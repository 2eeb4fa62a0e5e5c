"""The contract tests of the transport; pytest runs them by way of the project's `tests` folder."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest

from stoker.testing import Answer, TransportContract
from stoker_example.lines.transport import LinesTransport


@contextlib.asynccontextmanager
async def connection(
    address: str,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the announced address, for a block."""
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield reader, writer
    finally:
        writer.close()


class TestLines(TransportContract):
    """The transport keeps the contract of transports."""

    @pytest.fixture
    def make_transport(self) -> Callable[[int], LinesTransport]:
        """The transport on a given port."""
        return lambda port: LinesTransport(port=port)

    async def ask(self, address: str, model: str, text: str) -> Answer:
        """Send one line and read to the last line of the answer."""
        async with connection(address) as (reader, writer):
            writer.write(json.dumps({"model": model, "prompt": text}).encode() + b"\n")
            said = []
            async for line in reader:
                reply = json.loads(line)
                said.append(reply.get("text", ""))
                if "done" in reply or "error" in reply:
                    return Answer("".join(said), reply.get("error"))
            raise EOFError

    async def ask_and_leave(self, address: str, model: str, text: str) -> None:
        """Send one line, read one, and close the connection."""
        async with connection(address) as (reader, writer):
            writer.write(json.dumps({"model": model, "prompt": text}).encode() + b"\n")
            await reader.readline()
