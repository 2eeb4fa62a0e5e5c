"""The bytes between a request's events and its connection."""

from __future__ import annotations

import asyncio

from stoker.errors import StokerError

MAX_WAITING_BYTES = 256 * 1024
"""What may wait for a slow client; then reading of the events pauses."""


class Outbox:
    """Bytes that wait to be sent, and how the answer stands.

    One task puts, another takes, both on one event loop. What was put since the last look goes out
    together, so events that are ready together cost one write.
    """

    def __init__(self) -> None:
        self.streaming = False
        """Bytes may go out before the answer is complete: errors can no longer become a status."""
        self.closed = False
        """Nothing more will be put."""
        self.abandoned = False
        """The client is gone."""
        self.error: StokerError | None = None
        """Why there will be no answer."""
        self._waiting: list[bytes] = []
        self._size_bytes = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def put(self, data: bytes) -> None:
        """Add bytes."""
        if data:
            self._waiting.append(data)
            self._size_bytes += len(data)
            if self._size_bytes > MAX_WAITING_BYTES:
                self._room.clear()
            self._news.set()

    def take(self) -> bytes:
        """Remove and return all bytes."""
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._size_bytes = 0
        self._room.set()
        return data

    def stream(self) -> None:
        """Let bytes out from now on."""
        if not self.streaming:
            self.streaming = True
            self._news.set()

    def close(self) -> None:
        """Note that the answer is complete."""
        self.closed = True
        self._news.set()

    def fail(self, error: StokerError) -> None:
        """Note that there will be no answer."""
        self.error = error
        self.close()

    def abandon(self) -> None:
        """Note that the client is gone."""
        self.abandoned = True
        self._news.set()

    async def news(self) -> None:
        """Wait until something changed since the last call; ends when the events do."""
        await self._news.wait()
        self._news.clear()

    async def room(self) -> None:
        """Wait until there is room for more; ends when the taker takes or gives up."""
        await self._room.wait()
