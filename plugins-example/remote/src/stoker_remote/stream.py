"""An answer that comes over the network: the connection's thread writes, the core's one reads."""

from __future__ import annotations

import queue
from concurrent.futures import Future

from stoker.engine import Piece, PieceStream

MAX_WAITING_PIECES = 256
"""A server that is further ahead of those who read is left unread for a while."""
POLL_S = 1.0


class RemoteStream(PieceStream):
    """Pieces in the order in which they come, then the end or an error."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Piece | Exception | None] = queue.SimpleQueue()
        self._asking: Future[None] | None = None
        self._over = False

    def begin(self, asking: Future[None]) -> None:
        """Say who writes; to be called before anything is read."""
        self._asking = asking

    def put(self, item: Piece | Exception | None) -> None:
        """Add a piece, or the end: None, or what went wrong. Called by the connection's thread."""
        self._items.put(item)

    @property
    def full(self) -> bool:
        """Whether the reader is so far behind that nothing more should be put."""
        return self._items.qsize() >= MAX_WAITING_PIECES

    def ready(self) -> bool:
        """Whether a piece, the end or an error has come."""
        return self._over or not self._items.empty()

    def __next__(self) -> Piece:
        """Take the next piece, and wait for it where `ready` was not asked."""
        if self._over:
            raise StopIteration
        item = self._get()
        if item is None or isinstance(item, Exception):
            self._over = True
            raise StopIteration if item is None else item
        return item

    def close(self) -> None:
        """Hang up, if the server is still speaking."""
        self._over = True
        if self._asking is not None:
            self._asking.cancel()

    def _get(self) -> Piece | Exception | None:
        while True:
            try:
                return self._items.get(timeout=POLL_S)
            except queue.Empty:
                # Whoever asks puts an end behind everything, unless it was cancelled.
                if self._asking is None or self._asking.cancelled():
                    return None
