"""Generating routes: statuses, disconnects, slow clients and broken hosts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx
import pytest

from stoker.caller import LOCAL, RequestContext
from stoker.dialect import Call, ResponseContext, ResponseEncoder
from stoker.errors import OverloadedError
from stoker.events import Event, Failed, Finished, Loading, Prefill, Queued, TextDelta, Usage
from stoker.host import Host
from stoker.request import GenerateRequest, TextPrompt
from stoker.testing import ScriptedHost
from stoker_litestar import generation as generation_module
from stoker_litestar.generation import Generation
from stoker_litestar.options import HttpOptions

from .conftest import WAIT_S, Serving

CONTEXT = RequestContext(LOCAL)

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that another task does."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - it is watched from outside
            await asyncio.sleep(0.01)


async def leave(writer: asyncio.StreamWriter) -> None:
    """Close a connection that the server may have closed already."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(writer.wait_closed(), WAIT_S)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_cancels_its_request(
    http: httpx.AsyncClient, scripted: ScriptedHost, *, stream: bool
) -> None:
    """The host's iterator is closed while it is still waiting for its next event."""
    scripted.hang = True
    client = asyncio.create_task(http.post(CHAT, json=BODY | {"stream": stream}))
    await until(lambda: scripted.requests)
    await asyncio.sleep(0.05)
    assert 0 == scripted.closed

    client.cancel()

    await until(lambda: scripted.closed == 1)


async def test_a_client_that_leaves_while_the_model_loads_cancels_its_request(
    http: httpx.AsyncClient, scripted: ScriptedHost
) -> None:
    """A wait before the first header is watched as well."""
    scripted.events = (Queued(1), Loading("reading weights"), *scripted.events[-2:])
    scripted.hang = True
    client = asyncio.create_task(http.post(CHAT, json=BODY | {"stream": True}))
    await until(lambda: scripted.requests)

    client.cancel()

    await until(lambda: scripted.closed == 1)


async def test_an_overload_says_when_to_try_again(
    http: httpx.AsyncClient, scripted: ScriptedHost
) -> None:
    """The seconds of `Retry-After` are rounded up."""
    scripted.events = (Failed(OverloadedError("The queue is full.", retry_after_s=1.2)),)

    response = await http.post(CHAT, json=BODY)

    assert (503, "2") == (response.status_code, response.headers["retry-after"])


async def test_a_stream_is_not_to_be_cached_or_held_back(http: httpx.AsyncClient) -> None:
    """A stream's headers say what it is."""
    response = await http.post(CHAT, json=BODY | {"stream": True})

    assert "text/event-stream; charset=utf-8" == response.headers["content-type"]
    assert "no-cache" == response.headers["cache-control"]
    assert "no" == response.headers["x-accel-buffering"]


@pytest.mark.parametrize("body", [b"{", b'{"model": "m"', b"\xff", b"[]", b""])
async def test_a_malformed_body_is_a_bad_request(http: httpx.AsyncClient, body: bytes) -> None:
    """What is no JSON object is the client's mistake."""
    response = await http.post(CHAT, content=body)

    assert 400 == response.status_code
    assert "invalid_request_error" == response.json()["error"]["type"]


class TestSmallBodies:
    @pytest.fixture
    def options(self) -> HttpOptions:
        """A server that takes little, and does not wait for it."""
        return HttpOptions(port=0, max_body_bytes=100, read_timeout_s=0.1, drain_timeout_s=1)

    async def test_a_body_may_be_too_large(
        self, http: httpx.AsyncClient, scripted: ScriptedHost
    ) -> None:
        """A body over the limit is refused before it is read, with the setting's name."""
        response = await http.post(CHAT, content=b"x" * 101)

        assert 413 == response.status_code
        assert "max_body_bytes" in response.json()["error"]["message"]
        assert [] == scripted.requests

    async def test_a_body_without_a_length_may_be_too_large(self, http: httpx.AsyncClient) -> None:
        """A body that comes in chunks is counted."""

        async def chunks() -> AsyncGenerator[bytes, None]:
            for _ in range(11):
                yield b"x" * 10

        response = await http.post(CHAT, content=chunks())

        assert 413 == response.status_code

    async def test_a_body_may_come_too_slowly(self, http: httpx.AsyncClient) -> None:
        """A body that does not end is not waited for."""

        async def chunks() -> AsyncGenerator[bytes, None]:
            yield b"{"
            await asyncio.sleep(0.5)
            yield b"}"

        response = await http.post(CHAT, content=chunks())

        assert 408 == response.status_code


async def test_a_client_that_leaves_before_its_request_is_complete_is_no_defect(
    server: Serving, scripted: ScriptedHost, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing runs, and nothing is logged."""
    url = httpx.URL(server.url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{")
    await asyncio.sleep(0.05)
    await leave(writer)
    await asyncio.sleep(0.05)

    assert [] == scripted.requests
    assert "" == caplog.text


class TestSlowClient:
    @pytest.fixture
    def options(self) -> HttpOptions:
        """A server that does not wait for readers."""
        return HttpOptions(port=0, write_timeout_s=0.2, drain_timeout_s=1)

    async def test_a_client_that_does_not_read_loses_its_request(
        self, server: Serving, scripted: ScriptedHost
    ) -> None:
        """What waits for a client is bounded, and so is how long it waits."""
        scripted.events = (Prefill(1, 1), *[TextDelta("x" * 1_000_000)] * 100, *scripted.events)
        url = httpx.URL(server.url)
        _, writer = await asyncio.open_connection(url.host, url.port, limit=1000)
        body = json.dumps(BODY | {"stream": True}).encode()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )

        await until(lambda: scripted.closed == 1)

        await leave(writer)


class Letters(ResponseEncoder):
    """Encodes every event as a letter."""

    content_type = "text/plain"

    def feed(self, event: Event) -> bytes:
        """The first letter of the event's name."""
        return type(event).__name__[:1].encode()


def call(*, stream: bool, encoder: Callable[[ResponseContext], ResponseEncoder]) -> Call:
    return Call(GenerateRequest("m", TextPrompt("Hi")), stream, encoder)


async def run(generation: Generation) -> list[Any]:
    """Call the application with a client that stays."""
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    scope: Any = {"type": "http"}
    await generation(scope, receive, send)
    return sent


async def test_events_that_are_ready_together_are_one_write(host: Host) -> None:
    """Events that need no waiting go out in one message, with the end of the response."""
    generation = Generation(
        call(stream=True, encoder=lambda _: Letters()), host, CONTEXT, write_timeout_s=1
    )

    start, *bodies = await run(generation)

    assert 200 == start["status"]
    assert [(b"PTTCF", False)] == [(body["body"], body["more_body"]) for body in bodies]


async def test_bytes_wait_until_the_request_was_accepted(
    host: Host, scripted: ScriptedHost
) -> None:
    """What an encoder says of a short wait is not sent: it would be old news."""
    scripted.events = (Queued(1), Loading("x"), *scripted.events)
    generation = Generation(
        call(stream=True, encoder=lambda _: Letters()), host, CONTEXT, write_timeout_s=1
    )

    _, *bodies = await run(generation)

    assert b"PTTCF" == b"".join(body["body"] for body in bodies)


async def test_a_long_wait_begins_the_stream(
    http: httpx.AsyncClient, scripted: ScriptedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client reads its position in a comment."""
    monkeypatch.setattr(generation_module, "WAITING_AFTER_S", 0.05)
    # Hanging leaves the last two out.
    scripted.events = (Queued(7), *scripted.events[-2:])
    scripted.hang = True
    async with http.stream("POST", CHAT, json=BODY | {"stream": True}) as response:
        lines = response.aiter_lines()

        assert 200 == response.status_code
        assert ": queued, 7 before this one" == await asyncio.wait_for(anext(lines), WAIT_S)


class BrokenEncoder(Letters):
    """Encodes nothing but the beginning."""

    def feed(self, event: Event) -> bytes:
        """Fail at the first text, and at the failure as well."""
        if isinstance(event, TextDelta | Failed):
            raise ZeroDivisionError
        return super().feed(event)


async def test_a_broken_encoder_ends_the_stream(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    """A dialect that cannot even say that it failed leaves no client waiting."""
    generation = Generation(
        call(stream=True, encoder=lambda _: BrokenEncoder()), host, CONTEXT, write_timeout_s=1
    )

    _, *bodies = await run(generation)

    assert [(b"P", False)] == [(body["body"], body["more_body"]) for body in bodies]
    assert "ZeroDivisionError" in caplog.text


class Broken(ScriptedHost):
    """A host that breaks its contract."""

    async def answer(
        self, request: GenerateRequest, context: RequestContext
    ) -> AsyncGenerator[Event, None]:
        """Raise what is no domain error."""
        async for event in super().answer(request, context):
            yield event
        raise ZeroDivisionError("secret internals")


class TestBrokenHost:
    @pytest.fixture
    def scripted(self) -> ScriptedHost:
        """A host that raises."""
        return Broken([])

    async def test_an_unforeseen_error_is_logged_and_shows_no_internals(
        self, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The client gets a plain 500, and the log the traceback."""
        with caplog.at_level(logging.ERROR):
            response = await http.post(CHAT, json=BODY)

        assert 500 == response.status_code
        assert "internal_error" == response.json()["error"]["code"]
        assert "secret" not in response.text
        assert "ZeroDivisionError" in caplog.text

    async def test_an_unforeseen_error_inside_a_stream_ends_it(
        self, http: httpx.AsyncClient, scripted: ScriptedHost
    ) -> None:
        """The stream ends with an error event and without [DONE]."""
        scripted.events = (Prefill(1, 1), TextDelta("Hel"))

        response = await http.post(CHAT, json=BODY | {"stream": True})

        *_, last, rest = response.text.split("\n\n")
        assert "internal_error" == json.loads(last.removeprefix("data: "))["error"]["code"]
        assert "secret" not in response.text
        assert "" == rest


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stream_without_a_last_event_is_a_failure(
    http: httpx.AsyncClient, scripted: ScriptedHost, *, stream: bool
) -> None:
    """An answer that breaks off is never shown as complete."""
    scripted.events = (Prefill(1, 1), TextDelta("Hel"))

    response = await http.post(CHAT, json=BODY | {"stream": stream})

    assert (200 if stream else 500) == response.status_code
    assert "broke off" in response.text
    assert "[DONE]" not in response.text


async def test_what_follows_the_last_event_is_not_waited_for(
    http: httpx.AsyncClient, scripted: ScriptedHost
) -> None:
    """The response ends with the last event, also when the iterator would go on."""
    scripted.events = (Prefill(1, 1), Finished(Usage(1, 0)), *scripted.events)

    response = await http.post(CHAT, json=BODY)

    assert 200 == response.status_code
    assert "" == response.json()["choices"][0]["message"]["content"]


async def test_a_stream_that_has_nothing_to_say_says_that_it_lives(
    http: httpx.AsyncClient, scripted: ScriptedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a long prompt is read, comments keep proxies from closing the connection."""
    monkeypatch.setattr(generation_module, "KEEP_ALIVE_S", 0.01)
    scripted.hang = True

    async with http.stream("POST", CHAT, json=BODY | {"stream": True}) as response:
        async with asyncio.timeout(WAIT_S):
            async for line in response.aiter_lines():
                if line.startswith(":"):
                    break

    assert ": still at it" == line
