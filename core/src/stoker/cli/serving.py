"""Serving: everything that `stoker serve` runs, from start to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator

from stoker.application import Application
from stoker.config import Config, Settings
from stoker.control.server import control_server
from stoker.descriptor_limit import raise_descriptor_limit
from stoker.errors import StokerError
from stoker.keys import KeyRing
from stoker.supervisor.reloading import Reloader
from stoker.supervisor.supervisor import make_transports, serve_transports, supervise

_log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""One of these ends the server in order; another one ends it at once."""


async def serve(
    application: Application,
    announce: Callable[[str], None],
    *,
    read: Callable[[], Settings],
    applied: Callable[[Config], None],
) -> None:
    """Serve until a signal comes.

    Args:
        application: What to serve.
        announce: Told the address of every transport once it listens.
        read: Reads the configuration again.
        applied: Told of the configuration that came of it.

    Raises:
        ConflictError: Another server runs for this home.
        StokerError: A transport cannot be made, cannot listen, or fails.
    """
    raise_descriptor_limit()
    addresses: list[str] = []

    def started(address: str) -> None:
        addresses.append(address)
        announce(address)

    keys = KeyRing(key.to_domain() for key in application.settings.config.keys)
    reloader = Reloader(application, read, keys=keys, applied=applied)
    with _signals() as stop, _reloading_on_signal(reloader):
        transports = make_transports(application, keys)
        async with (
            supervise(application, reloader) as host,
            # Before any transport listens, so that a second server is told what is really wrong.
            control_server(application.settings.home, host, addresses, reloader),
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


@contextlib.contextmanager
def _reloading_on_signal(reloader: Reloader) -> Iterator[None]:
    """Let SIGHUP reload the configuration; what is wrong with it is logged."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        try:
            await reloader.reload()
        except StokerError as exc:
            _log.error("The configuration stays as it was: %s", exc)

    def take() -> None:
        task = asyncio.create_task(reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, take)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


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
