"""The transport as a whole: starting and stopping."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator
from http import HTTPStatus

import httpx
import pytest

from stoker.caller import RequestContext
from stoker.errors import AddressInUseError
from stoker.events import Event, Prefill, TextDelta
from stoker.host import Host
from stoker.request import GenerateRequest
from stoker.testing import ScriptedHost
from stoker_litestar.options import HttpOptions

from .conftest import WAIT_S, Serving, serving

BODY = {"model": "m", "prompt": "Hi", "stream": True}


async def test_signal_handlers_stay_as_they_are(host: Host, options: HttpOptions) -> None:
    """Signals belong to the application, not to one of its transports."""
    watched = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in watched]

    async with serving(host, options):
        during = [signal.getsignal(number) for number in watched]

    assert before == during


async def test_a_port_in_use_is_an_error(host: Host) -> None:
    """The error comes out of `serve`, and nothing was announced."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = HttpOptions(port=taken.getsockname()[1])
        with pytest.raises(AddressInUseError):
            async with serving(host, options):
                raise AssertionError("it was announced")


class Patient(ScriptedHost):
    """A host that ends its answer when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def answer(
        self, request: GenerateRequest, context: RequestContext
    ) -> AsyncGenerator[Event, None]:
        """Play the events, with a pause before the last two."""
        *before, finished, last = self.events
        for event in before:
            yield event
        await self.go_on.wait()
        yield finished
        yield last


class TestDraining:
    @pytest.fixture
    def scripted(self) -> Patient:
        """The patient host."""
        return Patient()

    async def test_running_requests_may_end(
        self, server: Serving, http: httpx.AsyncClient, scripted: Patient
    ) -> None:
        """A request that is under way when the server stops is answered to its end."""
        async with http.stream("POST", "/v1/completions", json=BODY) as response:
            server.task.cancel()
            await asyncio.sleep(0.05)
            scripted.go_on.set()
            text = (await response.aread()).decode()

        assert text.endswith("data: [DONE]\n\n")

    async def test_nobody_new_is_let_in(
        self, server: Serving, http: httpx.AsyncClient, scripted: Patient
    ) -> None:
        """While running requests end, new connections are refused."""
        async with http.stream("POST", "/v1/completions", json=BODY):
            server.task.cancel()
            await asyncio.sleep(0.3)
            with pytest.raises(httpx.ConnectError):
                await http.get("/health")
            scripted.go_on.set()


async def test_requests_that_do_not_end_are_cancelled(
    server: Serving, http: httpx.AsyncClient, scripted: ScriptedHost
) -> None:
    """After the drain timeout a stream ends with words, and is cleaned up before `serve` ends."""
    scripted.events = (Prefill(1, 1), TextDelta("Hel"), *scripted.events)
    scripted.hang = True
    async with http.stream("POST", "/v1/completions", json=BODY) as response:
        server.task.cancel()
        body = await response.aread()
        await asyncio.wait({server.task}, timeout=WAIT_S)

    assert b"The server is stopping" in body
    assert b"[DONE]" not in body
    assert server.task.cancelled()
    assert 1 == scripted.closed


async def test_a_whole_answer_that_is_not_ready_is_a_503(
    server: Serving, http: httpx.AsyncClient, scripted: ScriptedHost
) -> None:
    """A client that waits for a whole answer hears that the server stops."""
    scripted.events = (Prefill(1, 1), TextDelta("Hel"), *scripted.events)
    scripted.hang = True
    answer = asyncio.create_task(http.post("/v1/completions", json=BODY | {"stream": False}))
    while not scripted.requests:  # noqa: ASYNC110 - the host has no event for it
        await asyncio.sleep(0.01)
    server.task.cancel()

    response = await answer
    await asyncio.wait({server.task}, timeout=WAIT_S)
    assert HTTPStatus.SERVICE_UNAVAILABLE == response.status_code
    assert "stopping" in response.json()["error"]["message"]
