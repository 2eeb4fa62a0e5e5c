"""JSON lines on standard input and output: one client, any number of requests at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator

from stoker.caller import LOCAL, RequestContext
from stoker.errors import InvalidRequestError, UnavailableError
from stoker.host import Host
from stoker.transport import Started, Transport
from stoker_stdio.wire import Answer, Id, Line, decode, refusal, request_of

MAX_LINE_BYTES = 16 * 1024 * 1024
SEND_TIMEOUT_S = 60.0
"""How long the client may leave answers unread before it is given up."""


class StdioTransport(Transport):
    """Serves the process that started this one, until its end of the pipe is closed."""

    def __init__(self, *, input_fd: int | None = None, output_fd: int | None = None) -> None:
        """Make it.

        Args:
            input_fd: Where lines come from; None is standard input.
            output_fd: Where they go; None is standard output, which is taken away from all other
                code then.
        """
        self._input_fd = input_fd
        self._output_fd = output_fd

    async def serve(self, host: Host, started: Started) -> None:
        """Serve until the input ends.

        Raises:
            UnavailableError: Input or output is no pipe, socket or terminal.
        """
        with _output(self._output_fd) as output_fd:
            async with _streams(self._input_fd, output_fd) as (reader, writer):
                started("stdio:")
                await _Conversation(host, reader, writer).hold()


class _Conversation:
    """All requests of the client; used on the event loop only."""

    def __init__(
        self, host: Host, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._host = host
        self._reader = reader
        self._writer = writer
        self._answers: dict[Id, asyncio.Task[None]] = {}

    async def hold(self) -> None:
        try:
            async for data in self._lines():
                await self._take(data)
        finally:
            tasks = list(self._answers.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _lines(self) -> AsyncIterator[bytes]:
        while True:
            try:
                data = await self._reader.readline()
            except ValueError:
                await self._send(refusal(f"A line may have {MAX_LINE_BYTES} bytes at most."))
                return
            if not data.endswith(b"\n"):
                return
            yield data

    async def _take(self, data: bytes) -> None:
        try:
            line = decode(data)
        except InvalidRequestError as exc:
            await self._send(refusal(exc.message))
            return
        running = self._answers.get(line.id)
        if line.cancel:
            if running is not None:
                running.cancel()
        elif running is not None:
            await self._send(refusal(f"The id {line.id!r} is in use.", line.id))
        else:
            task = asyncio.create_task(self._answer(line))
            self._answers[line.id] = task
            task.add_done_callback(lambda _task: self._answers.pop(line.id, None))

    async def _answer(self, line: Line) -> None:
        try:
            request = request_of(line)
        except InvalidRequestError as exc:
            await self._send(refusal(exc.message, line.id))
            return
        answer = Answer(line.id)
        events = self._host.inference.answer(request, RequestContext(LOCAL))
        async with contextlib.aclosing(events):
            async for event in events:
                if data := answer.line(event):
                    await self._send(data)

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await self._writer.drain()


@contextlib.contextmanager
def _output(given: int | None) -> Iterator[int]:
    """A descriptor of our own; standard output leads to standard error meanwhile."""
    if given is not None:
        yield os.dup(given)
        return
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    kept = os.dup(ours)
    try:
        yield ours
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.asynccontextmanager
async def _streams(
    input_fd: int | None, output_fd: int
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Streams on two descriptors; both are closed at the end, the input's copy only."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    protocol = asyncio.StreamReaderProtocol(reader)
    source = os.fdopen(os.dup(0 if input_fd is None else input_fd), "rb", buffering=0)
    target = os.fdopen(output_fd, "wb", buffering=0)
    try:
        receiving, _ = await loop.connect_read_pipe(lambda: protocol, source)
    except ValueError as exc:
        source.close()
        target.close()
        raise UnavailableError("Standard input must be a pipe, a socket or a terminal.") from exc
    try:
        sending, flow = await loop.connect_write_pipe(
            lambda: asyncio.streams.FlowControlMixin(loop=loop), target
        )
    except ValueError as exc:
        receiving.close()
        target.close()
        raise UnavailableError("Standard output must be a pipe, a socket or a terminal.") from exc
    writer = asyncio.StreamWriter(sending, flow, reader, loop)
    try:
        yield reader, writer
    finally:
        receiving.close()
        sending.close()
