"""A plugin's listener in a thread of its own: what it does hurts nobody."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable

from stoker.listener import Listener
from stoker.telemetry import Record

_log = logging.getLogger(__name__)

MAX_WAITING_EVENTS = 1000
"""A listener that is further behind misses events."""
END_TIMEOUT_S = 5.0
"""How long a listener may take to hear what waits and to close, when the server ends."""

Task = Callable[[Listener], object]
"""Something to do with a listener."""


class ListenerThread:
    """One listener's thread, and what waits for it.

    Attributes:
        name: The listener's, for people.
        missed: How many events came when too many waited.
    """

    def __init__(self, name: str, make: Callable[[], Listener]) -> None:
        """Start the thread.

        Args:
            name: The listener's.
            make: Makes it, in the thread.
        """
        self.name = name
        self.missed = 0
        self._make = make
        self._waiting: queue.Queue[Task | None] = queue.Queue(MAX_WAITING_EVENTS)
        # A daemon: one that hangs must not keep the process.
        self._thread = threading.Thread(target=self._run, name=f"listener {name}", daemon=True)
        self._thread.start()

    def take(self, event: Record) -> None:
        """Take an event without waiting; called on the event loop."""
        if self.do(lambda listener: listener.hear(event)):
            return
        if self.missed == 0:
            _log.warning("Listener %s is too slow and misses events", self.name)
        self.missed += 1

    def do(self, task: Task) -> bool:
        """Have something done behind the events that wait; False when too many do."""
        try:
            self._waiting.put_nowait(task)
        except queue.Full:
            return False
        return True

    def end(self) -> None:
        """Let it hear what waits, close it, and go on after a while, whatever it does."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=END_TIMEOUT_S)
        self._thread.join(END_TIMEOUT_S)
        if self._thread.is_alive():
            _log.warning("Listener %s does not end and is left behind", self.name)
        if self.missed:
            _log.warning("Listener %s has missed %d events", self.name, self.missed)

    def _run(self) -> None:
        try:
            listener = self._make()
        except Exception:  # noqa: BLE001 - it is logged, and nobody else is to blame
            _log.exception("Listener %s cannot be made", self.name)
            # Take no more: events must not pile up for nobody.
            listener = _Nobody()
        while (task := self._waiting.get()) is not None:
            try:
                task(listener)
            except Exception:  # noqa: BLE001 - it is logged, and nobody else is to blame
                _log.exception("Listener %s failed", self.name)
        try:
            listener.close()
        except Exception:  # noqa: BLE001 - it is logged, and nobody else is to blame
            _log.exception("Listener %s failed to close", self.name)


class _Nobody(Listener):
    """In place of a listener that cannot be made."""

    def hear(self, event: Record) -> None:
        """Forget it."""
