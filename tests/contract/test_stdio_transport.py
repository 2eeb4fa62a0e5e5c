"""The transport over two pipes keeps the contract of transports."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from stoker.testing import Answer, TransportContract
from stoker_stdio.transport import StdioTransport


class TestStdio(TransportContract):
    listens_on_a_port = False

    @pytest.fixture(autouse=True)
    def pipes(self) -> Iterator[None]:
        """Both ends of the server's input and output."""
        self.ids = itertools.count(1)
        self.waiting: dict[int, asyncio.Queue[dict[str, object]]] = {}
        self.reading: asyncio.Task[None] | None = None
        self.ours, self.theirs = socket.socketpair()
        yield
        self.ours.close()
        self.theirs.close()

    @pytest.fixture
    def make_transport(self) -> Callable[[int], StdioTransport]:
        """The transport on one end of them."""
        number = self.theirs.fileno()
        return lambda _port: StdioTransport(input_fd=number, output_fd=number)

    @contextlib.asynccontextmanager
    async def _asked(
        self, model: str, text: str
    ) -> AsyncIterator[tuple[int, asyncio.Queue[dict[str, object]]]]:
        """Send a request; what comes back for it is put into the queue."""
        loop = asyncio.get_running_loop()
        self.ours.settimeout(0)
        if self.reading is None or self.reading.done():
            self.reading = asyncio.create_task(self._read(loop))
        number = next(self.ids)
        replies = self.waiting[number] = asyncio.Queue()
        line = json.dumps({"id": number, "model": model, "prompt": text})
        await loop.sock_sendall(self.ours, line.encode() + b"\n")
        try:
            yield number, replies
        finally:
            del self.waiting[number]

    async def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        buffer = b""
        while data := await loop.sock_recv(self.ours, 65536):
            *lines, buffer = (buffer + data).split(b"\n")
            for reply in map(json.loads, lines):
                if reply["id"] in self.waiting:
                    self.waiting[reply["id"]].put_nowait(reply)

    async def ask(self, address: str, model: str, text: str) -> Answer:
        """Send a line and read to the last one of its answer."""
        async with self._asked(model, text) as (_, replies):
            said = ""
            while True:
                reply = await replies.get()
                said += str(reply.get("text", ""))
                if "done" in reply or "error" in reply:
                    error = reply.get("error")
                    return Answer(said, None if error is None else str(error))

    async def ask_and_leave(self, address: str, model: str, text: str) -> None:
        """Send a line, read one, and cancel."""
        async with self._asked(model, text) as (number, replies):
            await replies.get()
            line = json.dumps({"id": number, "cancel": True}).encode()
            await asyncio.get_running_loop().sock_sendall(self.ours, line + b"\n")
