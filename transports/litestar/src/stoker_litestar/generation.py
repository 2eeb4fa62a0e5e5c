"""Answering routes: a request's body in, the answer's bytes out, while they are made."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any

import attrs
from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from stoker.archive import Archive, Record
from stoker.caller import RequestContext
from stoker.dialect import (
    AnswerRoute,
    Call,
    CommandCall,
    CommandEncoder,
    Continuation,
    Dialect,
    ResponseContext,
    ResponseEncoder,
)
from stoker.errors import NotFoundError, StokerError, UnavailableError
from stoker.events import Event, Failed, Finished, Loading, Queued
from stoker.host import Host
from stoker.management import CommandEvent, LoadModel, UnloadModels
from stoker.store import Progress
from stoker_litestar.authentication import caller_of
from stoker_litestar.deadline import timeout_of
from stoker_litestar.dialects import sse
from stoker_litestar.error_response import dialect_errors, unforeseen
from stoker_litestar.options import HttpOptions
from stoker_litestar.outbox import Outbox
from stoker_litestar.request_body import read_body
from stoker_litestar.request_id import HEADERS, id_of
from stoker_litestar.route_table import BACKEND, litestar_path

_log = logging.getLogger(__name__)

_STOPPING = "The server is stopping, before the answer is complete: ask again when it is back."

GOODBYE_TIMEOUT_S = 1.0
"""How long the last words of a stopping server may take to go out."""

WAITING_AFTER_S = 2.0
"""When a request has waited for so long, its stream begins, with comments."""

KEEP_ALIVE_S = 10.0
"""A stream that says nothing for so long says that it is alive, for example while a long prompt is
read."""

CLOSE_TIMEOUT_S = 10.0
"""How long the cancellation of a request may take before it is left behind."""


def answer_handler(
    route: AnswerRoute, dialect: Dialect, host: Host, options: HttpOptions
) -> HTTPRouteHandler:
    """Make the handler of one answering route."""

    async def answer(request: Request[Any, Any, Any]) -> ASGIApp:
        decoded = route.decode(await read_body(request, options))
        context = RequestContext(
            caller_of(request), id=id_of(request), timeout_s=timeout_of(request)
        )
        if isinstance(decoded, Continuation):
            call: Call | CommandCall = await _resumed(decoded, host.archive, context)
        else:
            call = decoded
        backend = request.path_params.get(BACKEND)
        if backend is not None:
            call = _pinned(call, backend)
        return Generation(call, host, context, write_timeout_s=options.write_timeout_s)

    path = litestar_path(route.path)
    return post(path, exception_handlers=dialect_errors(dialect))(answer)


def _pinned(call: Call | CommandCall, backend: str) -> Call | CommandCall:
    if isinstance(call, Call):
        return attrs.evolve(call, request=attrs.evolve(call.request, backend=backend))
    if isinstance(call.command, LoadModel | UnloadModels):
        return attrs.evolve(call, command=attrs.evolve(call.command, backend=backend))
    return call


def _is_last(event: Event | CommandEvent) -> bool:
    """Whether nothing follows an event: after a command's result nothing does."""
    if isinstance(event, Finished | Failed):
        return True
    return not isinstance(event, Event | Progress)


async def _resumed(decoded: Continuation, archive: Archive | None, context: RequestContext) -> Call:
    """Find what a request goes on from."""
    record: Record | None = None
    if archive is not None:
        with contextlib.suppress(NotFoundError):
            record = await archive.get(context.caller.name, decoded.record_id)
    return decoded.resume(record)


class Generation:
    """The answer to one request or command, as an ASGI application.

    Three tasks: one reads the events into the outbox, one waits for the client to leave, and the
    caller's own sends what is in the outbox. Whoever is done first ends the others.
    """

    def __init__(
        self,
        call: Call | CommandCall,
        host: Host,
        context: RequestContext,
        *,
        write_timeout_s: float,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        self._call = call
        self._status = status
        self._host = host
        self._context = context
        self._write_timeout_s = write_timeout_s
        self._outbox = Outbox()
        self._started = False
        self._waiting = b""
        """What a stream would say now of a request that waits."""

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer.

        Raises:
            StokerError: The request failed, or the server stops, before anything was sent.
        """
        context = ResponseContext(
            id=self._context.id,
            created_s=int(time.time()),
            archived=self._host.archive is not None,
        )
        encoder = self._call.encoder(context)
        tasks = (
            asyncio.create_task(self._read_events(encoder)),
            asyncio.create_task(self._watch(receive)),
        )
        try:
            if self._call.stream:
                await self._send_stream(encoder.content_type, send)
            else:
                await self._send_whole(encoder.content_type, send)
        except asyncio.CancelledError:
            if not self._started:
                raise UnavailableError(_STOPPING) from None
            await self._say_goodbye(encoder, send)
            raise
        except TimeoutError:
            _log.warning("A client left its answer unread for %gs", self._write_timeout_s)
        finally:
            for task in tasks:
                task.cancel()
            _, late = await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)
            if late:
                _log.error("A request could not be cancelled within %gs", CLOSE_TIMEOUT_S)

    async def _say_goodbye(self, encoder: ResponseEncoder | CommandEncoder, send: Send) -> None:
        """The server stops before the answer is complete: say so in a stream that has begun."""
        outbox = self._outbox
        if outbox.streaming and not outbox.closed and not outbox.abandoned:
            data = outbox.take() + encoder.feed(Failed(UnavailableError(_STOPPING)))
            # A client that does not read now gets no word; the server does not wait for it.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_TIMEOUT_S):
                    await self._send(send, data, more=False)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._outbox.abandon()

    async def _read_events(self, encoder: ResponseEncoder | CommandEncoder) -> None:
        """Encode events as they come; the first that is no waiting begins a stream.

        So does a long wait, which the client then hears of. Until then a failure has a status.
        """
        outbox = self._outbox
        feed: Any = encoder.feed
        try:
            async with contextlib.aclosing(self._events()) as events:
                async for event in events:
                    if isinstance(event, Failed) and not outbox.streaming:
                        outbox.fail(event.error)
                        return
                    data = feed(event)
                    if isinstance(event, Finished) and isinstance(encoder, ResponseEncoder):
                        await self._keep(encoder.record)
                    if isinstance(event, Queued | Loading):
                        self._tell_of_waiting(data)
                        continue
                    if self._call.stream:
                        outbox.stream()
                    outbox.put(data)
                    if _is_last(event):
                        outbox.close()
                        return
                    if outbox.streaming:
                        await outbox.room()
            raise StokerError("The answer broke off: its stream has no last event.")  # noqa: TRY301 - one path for all that breaks
        except Exception as exc:  # noqa: BLE001 - whatever broke, the client must hear of it
            self._break_off(encoder, exc)

    def _events(self) -> AsyncGenerator[Any, None]:
        if isinstance(self._call, CommandCall):
            return self._host.management.run(self._call.command, self._context.caller)
        return self._host.inference.answer(self._call.request, self._context)

    async def _keep(self, record: Record | None) -> None:
        """Keep what the client may come back to; an answer is not lost because that fails."""
        archive = self._host.archive
        if record is None or archive is None:
            return
        try:
            await archive.put(self._context.caller.name, record)
        except StokerError as exc:
            _log.error("Answer %s could not be kept: %s", record.id, exc)

    def _tell_of_waiting(self, data: bytes) -> None:
        if self._outbox.streaming:
            self._outbox.put(data)
        elif self._call.stream and data:
            if not self._waiting:
                asyncio.get_running_loop().call_later(WAITING_AFTER_S, self._begin_to_wait)
            self._waiting = data

    def _begin_to_wait(self) -> None:
        outbox = self._outbox
        if not (outbox.streaming or outbox.closed or outbox.abandoned):
            outbox.put(self._waiting)
            outbox.stream()

    def _break_off(self, encoder: ResponseEncoder | CommandEncoder, exc: Exception) -> None:
        outbox = self._outbox
        error = exc if isinstance(exc, StokerError) else unforeseen(exc)
        if not outbox.streaming:
            outbox.fail(error)
            return
        try:
            outbox.put(encoder.feed(Failed(error)))
        except Exception as broken:  # noqa: BLE001 - the encoder may be what broke before
            unforeseen(broken)
        outbox.close()

    async def _send_whole(self, content_type: str, send: Send) -> None:
        outbox = self._outbox
        while not outbox.closed:
            await outbox.news()
            if outbox.abandoned:
                return
        if outbox.error is not None:
            raise outbox.error
        body = outbox.take()
        length = (b"content-length", str(len(body)).encode())
        await self._start(send, [(b"content-type", content_type.encode()), length])
        await self._send(send, body, more=False)

    async def _send_stream(self, content_type: str, send: Send) -> None:
        outbox = self._outbox
        while not outbox.streaming:
            await outbox.news()
            if outbox.abandoned:
                return
            if outbox.error is not None:
                raise outbox.error
        await self._start(
            send,
            [
                (b"content-type", content_type.encode()),
                (b"cache-control", b"no-cache"),
                # Proxies (nginx and its kin) would hold chunks back otherwise.
                (b"x-accel-buffering", b"no"),
            ],
        )
        more = True
        while more and not outbox.abandoned:
            more = not outbox.closed
            data = outbox.take()
            if data or not more:
                await self._send(send, data, more=more)
            if more and not await self._is_news() and content_type == sse.CONTENT_TYPE:
                outbox.put(sse.comment("still at it"))

    async def _is_news(self) -> bool:
        """Wait for news; False when there are none for so long that a proxy may lose patience."""
        try:
            async with asyncio.timeout(KEEP_ALIVE_S):
                await self._outbox.news()
        except TimeoutError:
            return False
        return True

    async def _start(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        self._started = True
        request_id = self._context.id.encode()
        headers += [(name.encode(), request_id) for name in HEADERS]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})

    async def _send(self, send: Send, data: bytes, *, more: bool) -> None:
        async with asyncio.timeout(self._write_timeout_s):
            await send({"type": "http.response.body", "body": data, "more_body": more})
