"""A link in front of a server: counted, slow per connection, or breaking once."""

from __future__ import annotations

import contextlib
import functools
import math
import socket
import threading
import time
from collections.abc import Callable
from typing import Self

_CHUNK_BYTES = 64 * 1024
_TIMEOUT_S = 120.0


class Link:
    """Forwards connections to a server for as long as the block runs.

    `_counting` guards the counters.
    """

    def __init__(
        self,
        target: str,
        *,
        bytes_per_s: float | None = None,
        cut_at_sent_bytes: float = math.inf,
    ) -> None:
        """Describe it.

        Args:
            target: The server's `host:port`.
            bytes_per_s: No connection is faster towards the client, as over a long way.
            cut_at_sent_bytes: When clients have sent so much, that connection is cut, once.
        """
        name, _, port = target.rpartition(":")
        self._target = name, int(port)
        self._bytes_per_s = bytes_per_s
        self._cut_at_bytes = cut_at_sent_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._counting = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        """The near end."""
        self.sent_bytes = 0
        """By clients."""
        self.received_bytes = 0
        """By clients."""

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._listener, *self._open):
            # Closing alone does not wake the thread that waits in it.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(_TIMEOUT_S)

    def _start(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._start(functools.partial(self._serve, near))

    def _serve(self, near: socket.socket) -> None:
        near.settimeout(_TIMEOUT_S)
        with near, socket.create_connection(self._target, timeout=_TIMEOUT_S) as far:
            self._open += (near, far)
            upward = self._start(functools.partial(self._pump, near, far, is_upward=True))
            self._pump(far, near, is_upward=False)
            upward.join(_TIMEOUT_S)

    def _pump(self, source: socket.socket, target: socket.socket, *, is_upward: bool) -> None:
        buffer = bytearray(_CHUNK_BYTES)
        due_s = time.monotonic()
        with contextlib.suppress(OSError):
            while (size := source.recv_into(buffer)) and self._count(size, is_upward=is_upward):
                target.sendall(memoryview(buffer)[:size])
                if self._bytes_per_s is not None and not is_upward:
                    # What was not used while nothing came is not made up for later.
                    due_s = max(due_s, time.monotonic() - 0.05) + size / self._bytes_per_s
                    time.sleep(max(due_s - time.monotonic(), 0.0))
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _count(self, size_bytes: int, *, is_upward: bool) -> bool:
        """Count what came; False when that is where the link breaks."""
        with self._counting:
            if not is_upward:
                self.received_bytes += size_bytes
                return True
            self.sent_bytes += size_bytes
            if self.sent_bytes < self._cut_at_bytes:
                return True
            self._cut_at_bytes = math.inf
            return False
