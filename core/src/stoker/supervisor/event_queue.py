"""The events of one request, between the runner that makes them and the client that reads them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from stoker.events import Event, Failed, Finished

MAX_WAITING = 4096
"""Events that may wait for a slow client; past that its request is given up."""


class EventQueue:
    """A bounded queue that ends with the request's last event."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self.ended = False
        """Whether the last event was put in."""

    def put(self, event: Event) -> bool:
        """Add an event. False when the queue is full, and the event was not taken.

        Events after the last one are dropped: a runner may finish while its end is being dealt
        with. A last event is always taken.
        """
        if self.ended:
            return True
        self.ended = isinstance(event, (Finished, Failed))
        if len(self._events) >= MAX_WAITING and not self.ended:
            return False
        self._events.append(event)
        self._arrived.set()
        return True

    async def read(self) -> AsyncGenerator[Event, None]:
        """All events, waiting for each; ends after the last one."""
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
                if isinstance(event, (Finished, Failed)):
                    return
            self._arrived.clear()
            await self._arrived.wait()
