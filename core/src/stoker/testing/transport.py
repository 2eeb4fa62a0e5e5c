"""The contract of transports (`stoker.transport.Transport`), as tests."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import attrs
import pytest

from stoker.errors import AddressInUseError, OverloadedError, RunnerCrashedError
from stoker.events import Failed
from stoker.request import ChatPrompt, GenerateRequest, Request, TextPrompt
from stoker.testing.contract import Contract, missing_fixture
from stoker.testing.host import MODEL, ScriptedHost, answer_events
from stoker.transport import Transport

_T = TypeVar("_T")

WAIT_S = 10
"""Every wait of these tests ends after so long."""
END_S = 5
"""What the contract calls "a few seconds"."""


@attrs.frozen
class Answer:
    """What a client got."""

    text: str
    error: str | None = None
    """The error's sentence, when the request failed."""


class TransportContract(Contract):
    """What every `Transport` must do. Override `make_transport`, `ask` and `ask_and_leave`."""

    listens_on_a_port = True
    """Unset it when clients come another way; `make_transport` need not heed its port then."""

    @pytest.fixture
    def make_transport(self) -> Callable[[int], Transport]:
        """A function that makes a transport on a TCP port of 127.0.0.1. Override this."""
        missing_fixture(self, "make_transport", "return a function from a port to a transport")

    async def ask(self, address: str, model: str, text: str) -> Answer:
        """Be a client: ask, and read the answer to its end. Override this.

        Args:
            address: As the transport announced it.
            model: The model's name.
            text: The prompt, or the user's message.
        """
        raise NotImplementedError(f"{type(self).__name__} must override the method `ask`.")

    async def ask_and_leave(self, address: str, model: str, text: str) -> None:
        """Be a client that asks, reads the first bytes of the answer and leaves. Override this."""
        raise NotImplementedError(f"{type(self).__name__} must override `ask_and_leave`.")

    @pytest.fixture
    def port(self) -> int:
        """A port that is free."""
        return _free_port()

    def test_serves_an_answer(self, make_transport: Callable[[int], Transport], port: int) -> None:
        """A request reaches the host as it was meant, and the answer comes back whole.

        To mend it: build the request from the bytes, iterate over `host.inference.answer`,
        and write its text.
        """
        scripted = ScriptedHost()

        async def talk(address: str) -> Answer:
            return await self.ask(address, MODEL, "Say hello")

        answer = _serving(make_transport(port), scripted, talk)

        assert Answer("Hello there") == answer
        assert [MODEL] == [request.model for request in scripted.requests]
        assert ["Say hello"] == [_said(request) for request in scripted.requests]
        assert 0 == scripted.closed

    def test_texts_come_through_unharmed(
        self, make_transport: Callable[[int], Transport], port: int
    ) -> None:
        """Letters of all scripts, line breaks and quotes are the same on both sides.

        To mend it: encode and decode as UTF-8, and let a JSON library do the quoting.
        """
        said, answered = 'Füße, 東京: "🙂"\n\ttwo lines', ("«Ça", " va?»\n", "\\n 東", "京 🙂")
        scripted = ScriptedHost(answer_events(*answered))

        async def talk(address: str) -> Answer:
            return await self.ask(address, MODEL, said)

        answer = _serving(make_transport(port), scripted, talk)

        assert Answer("".join(answered)) == answer
        assert [said] == [_said(request) for request in scripted.requests]

    def test_announces_a_whole_address(
        self, make_transport: Callable[[int], Transport], port: int
    ) -> None:
        """`started` gets scheme, host and port, once, when requests are accepted.

        To mend it: call `started` once, after the socket listens, with the port that it
        truly has.
        """

        async def look() -> list[str]:
            announced: list[str] = []
            async with _served(make_transport(port), ScriptedHost(), announced):
                await asyncio.sleep(0)
            return announced

        (address,) = asyncio.run(look())

        if self.listens_on_a_port:
            assert "://" in address
            assert f":{port}" in address
        assert address.strip()

    def test_serves_several_clients_at_once(
        self, make_transport: Callable[[int], Transport], port: int
    ) -> None:
        """No client waits until another has its answer.

        To mend it: start a task per connection or request.
        """

        async def talk(address: str) -> list[Answer]:
            return await asyncio.gather(
                *(self.ask(address, MODEL, f"Hello {number}") for number in range(4))
            )

        scripted = ScriptedHost()
        answers = _serving(make_transport(port), scripted, talk)

        assert [Answer("Hello there")] * 4 == answers
        assert {f"Hello {number}" for number in range(4)} == {
            _said(request) for request in scripted.requests
        }

    def test_tells_of_a_failure(
        self, make_transport: Callable[[int], Transport], port: int
    ) -> None:
        """A request that fails gives the client the error's own sentence.

        To mend it: write the message of `Failed.error` where clients of the protocol look
        for errors.
        """
        failure = OverloadedError("The queue is full: try again.", retry_after_s=1)

        async def talk(address: str) -> Answer:
            return await self.ask(address, MODEL, "Hello")

        answer = _serving(make_transport(port), ScriptedHost([Failed(failure)]), talk)

        assert Answer("", "The queue is full: try again.") == answer

    def test_tells_of_a_failure_on_the_way(
        self, make_transport: Callable[[int], Transport], port: int
    ) -> None:
        """An answer that breaks off gives the error's sentence, and is not taken for a whole one.

        To mend it: send the error also when text was sent before, in the protocol's own
        form.
        """
        crash = Failed(RunnerCrashedError("The model's process died: ask again."))
        *before, _, _ = answer_events("Hello", " there")

        async def talk(address: str) -> Answer:
            return await self.ask(address, MODEL, "Hello")

        answer = _serving(make_transport(port), ScriptedHost([*before, crash]), talk)

        assert "The model's process died: ask again." == answer.error

    def test_a_client_that_leaves_cancels_its_request(
        self, make_transport: Callable[[int], Transport], port: int
    ) -> None:
        """When the connection closes, the host's iterator is closed soon, and serving goes on.

        To mend it: watch the connection while answering, and leave
        `contextlib.aclosing(answer)` when it ends.
        """
        scripted = ScriptedHost()
        scripted.hang = True

        async def leave(address: str) -> Answer:
            await self.ask_and_leave(address, MODEL, "Hello")
            async with asyncio.timeout(WAIT_S):
                while scripted.closed == 0:  # noqa: ASYNC110 - the host is watched from outside
                    await asyncio.sleep(0.01)
            scripted.hang = False
            return await self.ask(address, MODEL, "Hello again")

        answer = _serving(make_transport(port), scripted, leave)

        assert 1 == scripted.closed
        assert Answer("Hello there") == answer

    def test_ends_soon_with_requests_running(
        self, make_transport: Callable[[int], Transport], port: int
    ) -> None:
        """Cancelling `serve` ends it within seconds, closes what runs and frees the port.

        To mend it: cancel the tasks of all connections, wait a few seconds for them, and
        close the socket.
        """
        scripted = ScriptedHost()
        scripted.hang = True

        async def stop() -> float:
            loop = asyncio.get_running_loop()
            async with _served(make_transport(port), scripted) as (address, task):
                client = asyncio.create_task(self.ask(address, MODEL, "Hello"))
                async with asyncio.timeout(WAIT_S):
                    while not scripted.requests:  # noqa: ASYNC110 - as above
                        await asyncio.sleep(0.01)
                began = loop.time()
                task.cancel()
                await asyncio.wait({task}, timeout=WAIT_S)
                took_s = loop.time() - began
                client.cancel()
                await asyncio.wait({client}, timeout=WAIT_S)
                with contextlib.suppress(asyncio.CancelledError):
                    client.exception()
            return took_s

        assert asyncio.run(stop()) < END_S
        assert 1 == scripted.closed
        with socket.create_server(("127.0.0.1", port)):
            pass

    def test_a_port_in_use_is_an_error_of_its_own(
        self, make_transport: Callable[[int], Transport]
    ) -> None:
        """When somebody listens there already, `serve` raises `AddressInUseError`.

        To mend it: turn `errno.EADDRINUSE` into `AddressInUseError`, and let no task group
        wrap it.
        """
        if not self.listens_on_a_port:
            return
        addresses: list[str] = []

        async def serve(port: int) -> None:
            async with asyncio.timeout(WAIT_S):
                await make_transport(port).serve(ScriptedHost().host, addresses.append)

        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AddressInUseError):
            asyncio.run(serve(taken.getsockname()[1]))
        assert [] == addresses


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _said(request: Request) -> str:
    assert isinstance(request, GenerateRequest), f"The request is not for text: {request!r}."
    if isinstance(request.prompt, ChatPrompt):
        return request.prompt.messages[-1].text
    if isinstance(request.prompt, TextPrompt):
        return request.prompt.text
    raise AssertionError(f"The request has no text: {request.prompt!r}.")


@contextlib.asynccontextmanager
async def _served(
    transport: Transport, scripted: ScriptedHost, announced: list[str] | None = None
) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """Run a transport beside the block; the address is the first that it announced.

    Args:
        transport: The transport.
        scripted: Its host.
        announced: Gets all addresses.
    """
    addresses = [] if announced is None else announced
    listens = asyncio.Event()

    def started(address: str) -> None:
        addresses.append(address)
        listens.set()

    task = asyncio.create_task(transport.serve(scripted.host, started))
    try:
        waiting = asyncio.create_task(listens.wait())
        await asyncio.wait({task, waiting}, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            await task
        assert addresses, f"The transport did not call `started` within {WAIT_S} s."
        yield addresses[0], task
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=WAIT_S)
        assert task.done(), f"`serve` did not end within {WAIT_S} s of its cancellation."
        if not task.cancelled() and (problem := task.exception()) is not None:
            raise problem


def _serving(
    transport: Transport, scripted: ScriptedHost, talk: Callable[[str], Coroutine[Any, Any, _T]]
) -> _T:
    """Run a transport, talk to it, and return what came of that."""

    async def run() -> _T:
        async with _served(transport, scripted) as (address, _), asyncio.timeout(WAIT_S):
            return await talk(address)

    return asyncio.run(run())
