"""The pace of a connection: one that only trickles is as good as one that stands still."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from stoker_registry.backoff import TransientTransferError

MIN_BYTES_PER_S = 256
"""The slowest line that is worth waiting for, shared by several connections, has more."""


class Pace:
    """Watches the reads of one answer. Used by one thread.

    Only the time that is spent waiting for the network counts, not what happens between the reads:
    a cap on the bandwidth, a slow disk, or a machine that slept.
    """

    def __init__(
        self, registry: str, window_s: float, *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin.

        Args:
            registry: Who sends, for people.
            window_s: Over how much waiting the pace is taken.
            now_s: The clock.
        """
        self._registry = registry
        self._window_s = window_s
        self._now_s = now_s
        self._waited_s = 0.0
        self._came_bytes = 0

    def read(self, read: Callable[[], bytes]) -> bytes:
        """Read once.

        Raises:
            TransientTransferError: In the whole window hardly anything came.
        """
        before_s = self._now_s()
        data = read()
        self._waited_s += self._now_s() - before_s
        self._came_bytes += len(data)
        if self._waited_s >= self._window_s:
            if data and self._came_bytes < MIN_BYTES_PER_S * self._window_s:
                raise TransientTransferError(
                    f"{self._registry} sent {self._came_bytes} bytes in {self._waited_s:.0f} s."
                )
            self._waited_s, self._came_bytes = 0.0, 0
        return data

    def read_all(self, read: Callable[[int], bytes], *, limit_bytes: int) -> bytes:
        """Read to the end, or so many bytes.

        Args:
            read: Gives what has come, at most so many bytes; none at the end.
            limit_bytes: When to stop.

        Raises:
            TransientTransferError: In a whole window hardly anything came.
        """
        data = bytearray()
        while len(data) < limit_bytes:
            chunk = self.read(functools.partial(read, limit_bytes - len(data)))
            if not chunk:
                break
            data += chunk
        return bytes(data)
