"""JSON lines over TCP: the smallest transport that keeps every promise of the contract."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from typing import Any

from stoker.caller import Caller, RequestContext
from stoker.errors import (
    AddressInUseError,
    InvalidRequestError,
    UnauthenticatedError,
    UnavailableError,
)
from stoker.host import Host
from stoker.keys import NO_KEYS, KeyRing
from stoker.transport import Started, Transport
from stoker_example.lines.wire import decode, encode, encode_error

ADDRESS = "127.0.0.1"
"""Loopback only: these lines carry no API key, so a server that has keys refuses them."""
MAX_LINE_BYTES = 1024 * 1024
MAX_WAITING_LINES = 16
IDLE_TIMEOUT_S = 600
"""How long a connection may be silent between requests."""
SEND_TIMEOUT_S = 30
"""How long a client may leave an answer unread before it is given up."""
CLOSE_TIMEOUT_S = 5
"""How long a cancelled answer may take to end."""

logger = logging.getLogger(__name__)


class LinesTransport(Transport):
    """Any number of connections; on each, one request after another."""

    def __init__(self, *, port: int, keys: KeyRing = NO_KEYS) -> None:
        self._port = port
        self._keys = keys

    async def serve(self, host: Host, started: Started) -> None:
        """Serve until cancelled.

        Raises:
            AddressInUseError: Somebody else listens on the port.
        """
        # Bound before the group exists, because a group wraps errors in an ExceptionGroup.
        listener = _listen(self._port)
        # When this task is cancelled, the group cancels the connections and waits for them.
        async with asyncio.TaskGroup() as connections:

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                connections.create_task(_serve_connection(host, self._keys, reader, writer))

            server = await asyncio.start_server(accept, sock=listener, limit=MAX_LINE_BYTES)
            try:
                started(f"tcp://{ADDRESS}:{listener.getsockname()[1]}")
                # Not serve_forever(): on Python 3.12 it waits for the connections to end before
                # the group could cancel them.
                await asyncio.Event().wait()
            finally:
                server.close()


def _listen(port: int) -> socket.socket:
    """Take the port.

    Raises:
        AddressInUseError: Somebody else has it.
        UnavailableError: It cannot be had for another reason.
    """
    try:
        return socket.create_server((ADDRESS, port))
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise AddressInUseError(
                f"Port {port} is taken: stop what listens there, or set [transports.lines] port"
                " to another (0 takes any)."
            ) from exc
        raise UnavailableError(f"Cannot listen on {ADDRESS}:{port}: {exc.strerror}.") from exc


async def _serve_connection(
    host: Host, keys: KeyRing, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Serve one client. What goes wrong here is this client's alone."""
    try:
        # A client that vanishes or stalls has nobody left to be told.
        with contextlib.suppress(OSError, TimeoutError):
            await _converse(host, keys.caller(None, ADDRESS), reader, writer)
    except UnauthenticatedError as exc:
        with contextlib.suppress(OSError, TimeoutError):
            await _send(writer, encode_error(exc.message))
    except Exception:
        # Let out, it would end the task group and with it everybody's connection.
        logger.exception("A connection ended with an error that nobody expected.")
    finally:
        writer.close()


async def _converse(
    host: Host, caller: Caller, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Read and answer side by side, so that a client that leaves is noticed at once."""
    lines: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING_LINES)
    reading = asyncio.create_task(_read_lines(reader, lines))
    answering = asyncio.create_task(_answer_lines(host, caller, lines, writer))
    try:
        await asyncio.wait({reading, answering}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancel(answering)
        await _cancel(reading)
    if not answering.cancelled():
        answering.result()
    try:
        if not reading.cancelled():
            reading.result()
    except InvalidRequestError as exc:
        await _send(writer, encode_error(exc.message))


async def _read_lines(reader: asyncio.StreamReader, lines: asyncio.Queue[bytes]) -> None:
    """Queue lines until the client closes the connection.

    Raises:
        InvalidRequestError: A line is too long, or too many wait.
    """
    while True:
        try:
            line = await reader.readline()
        except ValueError as exc:  # how asyncio reports a line beyond its limit
            raise InvalidRequestError(f"A line may have {MAX_LINE_BYTES} bytes at most.") from exc
        if not line.endswith(b"\n"):
            return
        try:
            lines.put_nowait(line)
        except asyncio.QueueFull as exc:
            raise InvalidRequestError(
                f"Only {MAX_WAITING_LINES} requests may wait on a connection: read the answers."
            ) from exc


async def _answer_lines(
    host: Host, caller: Caller, lines: asyncio.Queue[bytes], writer: asyncio.StreamWriter
) -> None:
    while True:
        async with asyncio.timeout(IDLE_TIMEOUT_S):
            line = await lines.get()
        await _answer(host, caller, line, writer)


async def _cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task, wait until it has ended, and take note of how, so that asyncio is content."""
    task.cancel()
    await asyncio.wait({task}, timeout=CLOSE_TIMEOUT_S)
    if task.done() and not task.cancelled():
        task.exception()


async def _answer(host: Host, caller: Caller, line: bytes, writer: asyncio.StreamWriter) -> None:
    try:
        request = decode(line)
    except InvalidRequestError as exc:
        await _send(writer, encode_error(exc.message))
        return
    # Leaving the block closes the iterator, and that cancels the request: also when this task is
    # cancelled because the client has gone.
    answer = host.inference.answer(request, RequestContext(caller))
    async with contextlib.aclosing(answer) as events:
        async for event in events:
            if data := encode(event):
                await _send(writer, data)


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await writer.drain()
