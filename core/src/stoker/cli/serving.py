"""Serving: everything that `stoker serve` runs, from start to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Iterator

from stoker.application import Application
from stoker.control.server import control_server
from stoker.supervisor.supervisor import make_transports, serve_transports, supervise

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""One of these ends the server in order; another one ends it at once."""


async def serve(application: Application, announce: Callable[[str], None]) -> None:
    """Serve until a signal comes.

    Args:
        application: What to serve.
        announce: Told the address of every transport once it listens.

    Raises:
        ConflictError: Another server runs for this home.
        StokerError: A transport cannot be made, cannot listen, or fails.
    """
    addresses: list[str] = []

    def started(address: str) -> None:
        addresses.append(address)
        announce(address)

    with _signals() as stop:
        transports = make_transports(application)
        async with (
            supervise(application) as host,
            # Before any transport listens, so that a second server is told what is really wrong.
            control_server(application.settings.home, host, addresses),
        ):
            await _until(stop, serve_transports(transports, host, started))


@contextlib.contextmanager
def _signals() -> Iterator[asyncio.Event]:
    """Give an event that the first signal sets; the second one ends the process."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def take(number: signal.Signals) -> None:
        if stop.is_set():
            # Runners notice that nobody is there any more, and end by themselves.
            os._exit(128 + number)
        stop.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, take, number)
    try:
        yield stop
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


async def _until(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Work until the event is set, or until the work fails, which is raised."""
    working = asyncio.create_task(work)
    waiting = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([working, waiting], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        working.cancel()
        waiting.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)
