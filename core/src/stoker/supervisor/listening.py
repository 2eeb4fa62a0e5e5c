"""Listeners of plugins, each in a thread of its own: what they do hurts nobody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import AsyncGenerator

from stoker.application import Application
from stoker.listener import Listener, ListenerContext, ListenerSpec
from stoker.telemetry import Record, Telemetry

_log = logging.getLogger(__name__)

MAX_WAITING_EVENTS = 1000
"""A listener that is further behind misses events."""
END_TIMEOUT_S = 5.0
"""How long a listener may take to hear what waits and to close, when the server ends."""


@contextlib.asynccontextmanager
async def listeners(application: Application, telemetry: Telemetry) -> AsyncGenerator[None, None]:
    """Let the listeners of all plugins hear of what happens while the block runs.

    Raises:
        ConfigError: An option of one is unknown or has a wrong value.
    """
    threads = []
    for _, spec in sorted(application.plugins.listeners.items()):
        options = application.settings.options("listeners", spec.name, spec.options_type)
        directory = application.settings.home / "listeners" / spec.name
        threads.append(ListenerThread(spec, ListenerContext(directory, options)))
    ends = [telemetry.listen(thread.take) for thread in threads]
    try:
        yield
    finally:
        for end in ends:
            end()
        await asyncio.gather(*(asyncio.to_thread(thread.end) for thread in threads))


class ListenerThread:
    """One listener's thread, and the events that wait for it."""

    def __init__(self, spec: ListenerSpec, context: ListenerContext) -> None:
        self._spec = spec
        self._context = context
        self._waiting: queue.Queue[Record | None] = queue.Queue(MAX_WAITING_EVENTS)
        self._missed = 0
        # A daemon: one that hangs must not keep the process.
        self._thread = threading.Thread(target=self._run, name=f"listener {spec.name}", daemon=True)
        self._thread.start()

    def take(self, event: Record) -> None:
        """Take an event without waiting; called on the event loop."""
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            if self._missed == 0:
                _log.warning("Listener %s is too slow and misses events", self._spec.name)
            self._missed += 1

    def end(self) -> None:
        """Let it hear what waits, close it, and go on after a while, whatever it does."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=END_TIMEOUT_S)
        self._thread.join(END_TIMEOUT_S)
        if self._thread.is_alive():
            _log.warning("Listener %s does not end and is left behind", self._spec.name)
        if self._missed:
            _log.warning("Listener %s has missed %d events", self._spec.name, self._missed)

    def _run(self) -> None:
        try:
            listener = self._spec.factory(self._context)
        except Exception:  # noqa: BLE001 - it is logged, and nobody else is to blame
            _log.exception("Listener %s cannot be made", self._spec.name)
            # Take no more: events must not pile up for nobody.
            listener = _Nobody()
        while (event := self._waiting.get()) is not None:
            try:
                listener.hear(event)
            except Exception:  # noqa: BLE001 - it is logged, and nobody else is to blame
                _log.exception("Listener %s failed", self._spec.name)
        try:
            listener.close()
        except Exception:  # noqa: BLE001 - it is logged, and nobody else is to blame
            _log.exception("Listener %s failed to close", self._spec.name)


class _Nobody(Listener):
    """In place of a listener that cannot be made."""

    def hear(self, event: Record) -> None:
        """Forget it."""
