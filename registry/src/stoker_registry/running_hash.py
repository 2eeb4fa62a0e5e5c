"""The hash of a blob that comes in pieces: it goes on wherever the next bytes are.

Mostly that is where a connection has just brought them: they are hashed from its buffer, while
they are in the processor's cache. What came out of order is read back.
"""

from __future__ import annotations

import hashlib
import threading

from stoker_registry.partials import BLOCK_BYTES, Partial

_READ_BYTES = 512 * 1024
"""Small enough to stay in the processor's cache between being read and being hashed."""


class RunningHash:
    """The hash of one partial blob. `_lock` guards it; any thread may read `done_bytes`.

    Bytes that were hashed must not change any more, so nobody may write below `done_bytes`.
    """

    def __init__(self, partial: Partial) -> None:
        """Begin."""
        self._partial = partial
        self._lock = threading.Lock()
        self._buffer = memoryview(bytearray(min(_READ_BYTES, partial.descriptor.size_bytes)))
        self.restart()

    def restart(self) -> None:
        """Forget everything."""
        with self._lock:
            self._hash = hashlib.new(self._partial.descriptor.digest.algorithm)
            self.done_bytes = 0
            """Up to where it has come."""

    @property
    def is_done(self) -> bool:
        """Whether it has come to the end."""
        return self.done_bytes == self._partial.descriptor.size_bytes

    @property
    def hexdigest(self) -> str:
        """The hash of what was taken so far."""
        return self._hash.hexdigest()

    def take(self, data: memoryview, offset: int) -> bool:
        """Take bytes that were just written, if they are the next ones.

        Called by the thread that writes the block that they are in.

        Returns:
            Whether that is so.
        """
        block_start = offset - offset % BLOCK_BYTES
        if not block_start <= self.done_bytes <= offset:
            return False
        with self._lock:
            if not block_start <= self.done_bytes <= offset:
                return False
            # What the same thread wrote of the block while the hash had not come so far.
            while self.done_bytes < offset:
                self._read_back(offset)
            self._hash.update(data)
            self.done_bytes += len(data)
        return True

    def take_block(self, index: int) -> None:
        """Take what is left of a block that is there."""
        _, end = self._partial.block_range(index)
        while self.done_bytes < end:
            with self._lock:
                if self.done_bytes < end:
                    self._read_back(end)

    def _read_back(self, end: int) -> None:
        size_bytes = self._partial.read(self._buffer[: end - self.done_bytes], self.done_bytes)
        self._hash.update(self._buffer[:size_bytes])
        # A file that was cut by somebody else has nothing there: the hash will be another one.
        self.done_bytes = self.done_bytes + size_bytes if size_bytes else end
