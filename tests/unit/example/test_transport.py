from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from stoker.events import Event
from stoker.testing import ScriptedHost
from stoker.testing.host import answer_events
from stoker.transport import TransportContext
from stoker_example.lines import transport as lines
from stoker_example.lines.plugin import stoker_register_transports

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b'{"model": "test/parrot", "prompt": "Hi"}\n'


@pytest.fixture
def scripted() -> ScriptedHost:
    """A host that answers "Hello there"."""
    return ScriptedHost()


@pytest.fixture
async def address(scripted: ScriptedHost) -> AsyncIterator[str]:
    """Where the transport listens, made by its record with the default options."""
    (spec,) = stoker_register_transports()
    transport = spec.factory(TransportContext(spec.options_type(), ()))
    started: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(transport.serve(scripted.host, started.put_nowait))
    yield await asyncio.wait_for(started.get(), 5)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


@pytest.fixture
async def connection(address: str) -> AsyncIterator[Connection]:
    """A connection to it."""
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    yield reader, writer
    writer.close()


async def read_reply(reader: asyncio.StreamReader) -> dict[str, Any]:
    line = await asyncio.wait_for(reader.readline(), 5)
    reply: dict[str, Any] = json.loads(line)
    return reply


async def read_answer(reader: asyncio.StreamReader) -> list[dict[str, Any]]:
    replies = [await read_reply(reader)]
    while not {"done", "error"} & replies[-1].keys():
        replies.append(await read_reply(reader))
    return replies


async def test_streams_the_answer(connection: Connection) -> None:
    """Every delta is a line, and the last one has the usage."""
    reader, writer = connection
    writer.write(REQUEST)

    assert [
        {"text": "Hello"},
        {"text": " there"},
        {"finish": "stop"},
        {"done": True, "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    ] == await read_answer(reader)


async def test_a_connection_takes_one_request_after_another(connection: Connection) -> None:
    """Requests that are sent at once are answered in order, as are those after an error."""
    reader, writer = connection
    writer.write(REQUEST + b"{}\n" + REQUEST)
    lengths = [len(await read_answer(reader)) for _ in range(3)]

    assert [4, 1, 4] == lengths


async def test_a_line_that_is_too_long_ends_the_connection(connection: Connection) -> None:
    """A line without an end cannot fill the memory."""
    reader, writer = connection
    writer.write(b"x" * (lines.MAX_LINE_BYTES + 10))
    reply = await read_reply(reader)

    assert f"A line may have {lines.MAX_LINE_BYTES} bytes at most." == reply["error"]
    with contextlib.suppress(ConnectionError):
        assert b"" == await asyncio.wait_for(reader.read(), 5)


async def test_a_client_that_leaves_is_noticed_although_it_sent_more(
    connection: Connection, scripted: ScriptedHost
) -> None:
    """A request that waits behind the running one does not hide the end of the connection."""
    scripted.hang = True
    reader, writer = connection
    writer.write(REQUEST)
    await read_reply(reader)
    writer.write(REQUEST)
    writer.close()
    async with asyncio.timeout(5):
        while not scripted.closed:  # noqa: ASYNC110 - the host is watched from outside
            await asyncio.sleep(0.01)

    assert 1 == len(scripted.requests)


async def test_a_silent_connection_is_closed(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that says nothing for long does not keep its connection."""
    monkeypatch.setattr(lines, "IDLE_TIMEOUT_S", 0.05)
    reader, writer = connection
    writer.write(REQUEST)
    await read_answer(reader)

    assert b"" == await asyncio.wait_for(reader.read(), 5)


async def test_a_client_that_does_not_read_is_given_up(
    connection: Connection, scripted: ScriptedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that nobody takes is cancelled instead of piling up."""
    monkeypatch.setattr(lines, "SEND_TIMEOUT_S", 0.05)
    scripted.events = answer_events(*["x" * 1_000_000] * 100)
    reader, writer = connection
    # Nothing is taken out of the socket from here on.
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(REQUEST)
    async with asyncio.timeout(5):
        while not scripted.closed:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)

    assert 1 == scripted.closed


async def test_only_so_many_requests_wait(connection: Connection, scripted: ScriptedHost) -> None:
    """A client that never stops sending is told to read first, and its connection ends."""
    scripted.hang = True
    reader, writer = connection
    writer.write(REQUEST * (lines.MAX_WAITING_LINES + 2))
    replies = await read_answer(reader)

    assert "read the answers" in replies[-1]["error"]
    assert b"" == await asyncio.wait_for(reader.read(), 5)


async def test_a_bug_in_the_host_costs_one_connection(
    connection: Connection,
    address: str,
    scripted: ScriptedHost,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An error that nobody expected is logged, and others are served on."""
    where = urlsplit(address)
    with monkeypatch.context() as patch:
        patch.setattr(lines, "encode", broken_encode)
        reader, writer = connection
        writer.write(REQUEST)
        assert b"" == await asyncio.wait_for(reader.read(), 5)
    other, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(REQUEST)

    assert 4 == len(await read_answer(other))
    assert "nobody expected" in caplog.text
    writer.close()


def broken_encode(event: Event) -> bytes:
    raise RuntimeError("bug")
