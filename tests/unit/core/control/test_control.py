from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

import pytest

from stoker.caller import Caller, RequestContext
from stoker.control.client import ControlClient
from stoker.control.place import socket_path
from stoker.control.server import control_server
from stoker.digest import Digest
from stoker.errors import ConflictError, InvalidReferenceError, UnavailableError
from stoker.events import Event, Failed, Finished, TextDelta, Usage
from stoker.host import Catalog, Host, RunnerState, RunnerStatus
from stoker.management import Management
from stoker.request import GenerateRequest, TextPrompt

STATUS = RunnerStatus(
    model="ai/x",
    digest=Digest.of(b"x"),
    backend="b",
    state=RunnerState.READY,
    pid=7,
    active_requests=1,
    context_length=99,
    devices=("cpu",),
    memory_bytes=5,
    expires_in_s=None,
)


class FakeServices:
    """Inference and status of a host with one scripted model."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def answer(
        self, request: GenerateRequest, context: RequestContext
    ) -> AsyncGenerator[Event, None]:
        try:
            if request.model == "endless":
                while True:
                    yield TextDelta("x")
                    await asyncio.sleep(0.01)
            yield TextDelta(request.model)
            yield Finished(Usage(1, 1))
        finally:
            self.ended.set()

    async def runners(self) -> Sequence[RunnerStatus]:
        return [STATUS]

    async def unload(self, name: str, caller: Caller) -> bool:
        if name == "bad":
            raise InvalidReferenceError("bad is no name")
        return name == "ai/x"


@pytest.fixture
async def services() -> FakeServices:
    return FakeServices()


@contextlib.asynccontextmanager
async def _served(home: Path, services: FakeServices) -> AsyncIterator[ControlClient]:
    catalog: Catalog = services  # type: ignore[assignment]
    management: Management = services  # type: ignore[assignment]
    host = Host(
        version="0",
        catalog=catalog,
        inference=services,
        status=services,
        management=management,
    )
    async with control_server(home, host, ["http://here"]):
        yield ControlClient(home)


async def test_a_client_asks_and_the_server_answers(tmp_path: Path, services: FakeServices) -> None:
    """Status, unloading and generation cross the socket unchanged."""
    async with _served(tmp_path, services) as client:
        status = await client.status()
        request = GenerateRequest("m", TextPrompt("x"))

        assert (STATUS,) == status.runners
        assert (os.getpid(), ("http://here",)) == (status.pid, status.addresses)
        assert await client.unload("ai/x")
        assert not await client.unload("ai/y")
        assert [TextDelta("m"), Finished(Usage(1, 1))] == [
            event async for event in client.answer(request)
        ]


async def test_an_error_of_a_command_is_raised_as_itself(
    tmp_path: Path, services: FakeServices
) -> None:
    """A refused command raises the same domain error at the client."""
    async with _served(tmp_path, services) as client:
        with pytest.raises(InvalidReferenceError, match="bad is no name"):
            await client.unload("bad")


async def test_hanging_up_cancels_the_request(tmp_path: Path, services: FakeServices) -> None:
    """A client that stops reading ends its request in the server."""
    async with _served(tmp_path, services) as client:
        events = client.answer(GenerateRequest("endless", TextPrompt("x")))
        async with contextlib.aclosing(events):
            await anext(events)

        await asyncio.wait_for(services.ended.wait(), 5)


async def test_a_server_that_goes_away_is_a_failure(tmp_path: Path, services: FakeServices) -> None:
    """The client's stream ends with an error, not with silence."""
    async with _served(tmp_path, services) as client:
        events = client.answer(GenerateRequest("endless", TextPrompt("x")))
        await anext(events)

    last = [event async for event in events][-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, UnavailableError)


async def test_without_a_server_the_error_says_how_to_start_one(tmp_path: Path) -> None:
    """Nothing is left of a server that ended."""
    client = ControlClient(tmp_path)

    assert not await client.is_served()
    with pytest.raises(UnavailableError, match="stoker serve"):
        await client.status()


async def test_one_server_per_home(tmp_path: Path, services: FakeServices) -> None:
    """A second server is refused by the process id of the first; afterwards the home is free."""
    async with _served(tmp_path, services):
        with pytest.raises(ConflictError, match=str(os.getpid())):
            async with _served(tmp_path, services):
                pass
    async with _served(tmp_path, services) as client:
        assert await client.is_served()


async def test_a_stale_socket_of_a_killed_server_is_replaced(
    tmp_path: Path, services: FakeServices
) -> None:
    """What a killed server left behind does not stand in the way."""
    path = socket_path(tmp_path)
    path.parent.mkdir(parents=True)
    path.touch()

    async with _served(tmp_path, services) as client:
        assert await client.is_served()
    assert not path.exists()


async def test_only_the_owner_can_reach_the_socket(tmp_path: Path, services: FakeServices) -> None:
    """The socket's folder is closed to everybody else."""
    async with _served(tmp_path, services):
        mode = socket_path(tmp_path).parent.stat().st_mode

    assert 0o700 == stat.S_IMODE(mode)


async def test_a_home_with_a_long_name_works(tmp_path: Path, services: FakeServices) -> None:
    """The kernel's limit on socket names does not limit homes."""
    home = tmp_path / ("x" * 100)
    home.mkdir()

    async with _served(home, services) as client:
        assert await client.is_served()


async def test_nonsense_on_the_socket_is_let_go(tmp_path: Path, services: FakeServices) -> None:
    """A peer that speaks no frames does not harm the server."""
    async with _served(tmp_path, services) as client:
        reader, writer = await asyncio.open_unix_connection(socket_path(tmp_path))
        writer.write(b"\xff" * 100)

        assert b"" == await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert await client.is_served()
