"""Asking a model from code that is not asynchronous, one request after another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator

from stoker.application import Application
from stoker.caller import LOCAL, RequestContext
from stoker.cli.failure import note
from stoker.control.client import ControlClient
from stoker.events import Event
from stoker.request import Request
from stoker.supervisor.supervisor import supervise

Ask = Callable[[Request, Callable[[Event], None]], None]
"""Answers a request, telling the second argument of every event. Ctrl-C cancels the request and
raises `KeyboardInterrupt`; another request may follow."""


@contextlib.contextmanager
def asking(application: Application, *, has_settings: bool) -> Iterator[Ask]:
    """Ask the running server of this home or, without one, a supervisor of our own.

    Models that the supervisor loaded are gone after the block. Between requests its event loop
    stands still: nothing happens then that could not wait.

    Args:
        application: The application, with its home.
        has_settings: Whether the command line has settings, which a server would not know of.
    """
    with asyncio.Runner() as loop:
        client = ControlClient(application.settings.home)
        if loop.run(client.is_served()):
            if has_settings:
                note("the running server answers; settings of this command do not apply to it")
            yield _ask_with(loop, client.answer)
            return
        supervisor = contextlib.AsyncExitStack()
        try:
            host = loop.run(supervisor.enter_async_context(supervise(application)))
            inference = host.inference
            yield _ask_with(loop, lambda request: inference.answer(request, RequestContext(LOCAL)))
        finally:
            loop.run(supervisor.aclose())


def _ask_with(
    loop: asyncio.Runner, events_of: Callable[[Request], AsyncGenerator[Event, None]]
) -> Ask:
    async def answer(request: Request, take: Callable[[Event], None]) -> None:
        async with contextlib.aclosing(events_of(request)) as events:
            async for event in events:
                take(event)

    return lambda request, take: loop.run(answer(request, take))
