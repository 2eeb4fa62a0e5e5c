"""Transports with one fault each; `tools/mutations.py` looks whether the kit finds it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest

from stoker.errors import AddressInUseError
from stoker.host import Host
from stoker.testing import Answer, TransportContract
from stoker.testing import transport as contract
from stoker.transport import Started
from stoker_example.lines import transport as lines
from stoker_example.lines.transport import LinesTransport

# A fault may be that something never happens: do not wait for it as long as a slow machine needs.
contract.WAIT_S = 3  # type: ignore[misc]
contract.END_S = 2  # type: ignore[misc]


ASKING = frozenset(
    {
        "test_a_client_that_leaves_cancels_its_request",
        "test_ends_soon_with_requests_running",
        "test_serves_an_answer",
        "test_serves_several_clients_at_once",
        "test_tells_of_a_failure",
        "test_tells_of_a_failure_on_the_way",
        "test_texts_come_through_unharmed",
    }
)
"""The tests whose client connects to the announced address."""


@contextlib.asynccontextmanager
async def connection(
    address: str,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield reader, writer
    finally:
        writer.close()


class Mutant(TransportContract):
    """Makes the transport that a subclass names, with a function of it replaced."""

    transport_class: type[LinesTransport] = LinesTransport

    @pytest.fixture
    def make_transport(self) -> Callable[[int], LinesTransport]:
        return lambda port: self.transport_class(port=port)

    async def ask(self, address: str, model: str, text: str) -> Answer:
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
        async with connection(address) as (reader, writer):
            writer.write(json.dumps({"model": model, "prompt": text}).encode() + b"\n")
            await reader.readline()


class TestSwallowing(Mutant):
    """It ends an answer that failed like one that is whole."""

    caught_by = frozenset({"test_tells_of_a_failure", "test_tells_of_a_failure_on_the_way"})

    @pytest.fixture(autouse=True)
    def fault(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("stoker_example.lines.wire.encode_error", lambda _: b'{"done": true}\n')


class TestAscii(Mutant):
    """It drops letters that are not ASCII."""

    caught_by = frozenset({"test_texts_come_through_unharmed"})

    @pytest.fixture(autouse=True)
    def fault(self, monkeypatch: pytest.MonkeyPatch) -> None:
        encode = lines.encode
        monkeypatch.setattr(
            lines, "encode", lambda event: encode(event).decode("ascii", "ignore").encode()
        )


class TestPatient(Mutant):
    """It answers clients that have left."""

    caught_by = frozenset({"test_a_client_that_leaves_cancels_its_request"})

    @pytest.fixture(autouse=True)
    def fault(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read = lines._read_lines

        async def read_for_ever(*arguments: object) -> None:
            await read(*arguments)
            await asyncio.Event().wait()

        monkeypatch.setattr(lines, "_read_lines", read_for_ever)


class TestSerial(Mutant):
    """It serves one client after another, and leaves one that it has begun with."""

    caught_by = frozenset({"test_serves_several_clients_at_once"})

    @pytest.fixture(autouse=True)
    def fault(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answer, busy = lines._answer, []

        async def answer_one(*arguments: object) -> None:
            if busy:
                await asyncio.Event().wait()
            busy.append(1)
            try:
                await answer(*arguments)
                await asyncio.sleep(0.05)
            finally:
                busy.clear()

        monkeypatch.setattr(lines, "_answer", answer_one)


class Twice(LinesTransport):
    async def serve(self, host: Host, started: Started) -> None:
        def twice(address: str) -> None:
            started(address)
            started(address)

        await super().serve(host, twice)


class TestTwice(Mutant):
    """It announces its address twice."""

    caught_by = frozenset({"test_announces_a_whole_address"})
    transport_class = Twice


class Vague(LinesTransport):
    async def serve(self, host: Host, started: Started) -> None:
        await super().serve(host, lambda address: started(address.partition("://")[2]))


class TestVague(Mutant):
    """It announces an address without its scheme."""

    caught_by = frozenset({"test_announces_a_whole_address"}) | ASKING
    transport_class = Vague


class Raw(LinesTransport):
    async def serve(self, host: Host, started: Started) -> None:
        try:
            await super().serve(host, started)
        except AddressInUseError as exc:
            raise OSError(str(exc)) from exc


class TestRaw(Mutant):
    """It lets the system's own error through when its port is taken."""

    caught_by = frozenset({"test_a_port_in_use_is_an_error_of_its_own"})
    transport_class = Raw


class Deaf(LinesTransport):
    async def serve(self, host: Host, started: Started) -> None:
        serving = asyncio.create_task(super().serve(host, started))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            if not serving.done():
                await asyncio.sleep(2.5)
                serving.cancel()
            raise


class TestDeaf(Mutant):
    """It goes on for a while when it is told to end."""

    caught_by = frozenset({"test_ends_soon_with_requests_running"})
    transport_class = Deaf
