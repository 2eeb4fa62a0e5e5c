"""The transport over two pipes keeps the contract of transports."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from stoker.testing import Answer, TransportContract
from stoker_stdio.transport import StdioTransport

Replies = asyncio.Queue[dict[str, Any]]


class TestStdio(TransportContract):
    listens_on_a_port = False

    @pytest.fixture(autouse=True)
    def pipes(self) -> Iterator[None]:
        """The server's input and output, and our ends of them."""
        self.ids = itertools.count(1)
        self.waiting: dict[int, Replies] = {}
        self.input_fd, self.to_server = os.pipe()
        self.from_server, self.output_fd = os.pipe()
        os.set_blocking(self.from_server, False)
        yield
        for number in (self.input_fd, self.to_server, self.from_server, self.output_fd):
            os.close(number)

    @pytest.fixture
    def make_transport(self) -> Callable[[int], StdioTransport]:
        """The transport on its ends of them."""
        return lambda _port: StdioTransport(input_fd=self.input_fd, output_fd=self.output_fd)

    @contextlib.asynccontextmanager
    async def _asked(self, model: str, text: str) -> AsyncIterator[tuple[int, Replies]]:
        """Send a request; what comes back for it is put into the queue."""
        loop = asyncio.get_running_loop()
        if not self.waiting:
            self.buffer = b""
            loop.add_reader(self.from_server, self._take)
        number = next(self.ids)
        replies = self.waiting[number] = asyncio.Queue()
        self._send({"id": number, "model": model, "prompt": text})
        try:
            yield number, replies
        finally:
            del self.waiting[number]
            if not self.waiting:
                loop.remove_reader(self.from_server)

    def _take(self) -> None:
        *lines, self.buffer = (self.buffer + os.read(self.from_server, 65536)).split(b"\n")
        for reply in map(json.loads, lines):
            if reply["id"] in self.waiting:
                self.waiting[reply["id"]].put_nowait(reply)

    def _send(self, line: dict[str, Any]) -> None:
        os.write(self.to_server, json.dumps(line).encode() + b"\n")

    async def ask(self, address: str, model: str, text: str) -> Answer:
        """Send a line and read to the last one of its answer."""
        async with self._asked(model, text) as (_, replies):
            said = ""
            while True:
                reply = await replies.get()
                said += reply.get("text", "")
                if "done" in reply or "error" in reply:
                    return Answer(said, reply.get("error"))

    async def ask_and_leave(self, address: str, model: str, text: str) -> None:
        """Send a line, read one, and cancel."""
        async with self._asked(model, text) as (number, replies):
            await replies.get()
            self._send({"id": number, "cancel": True})
