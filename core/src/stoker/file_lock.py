"""A lock between processes, with a bounded wait."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from stoker.errors import InUseError

_POLL_S = 0.02


@attrs.frozen
class FileLock:
    """An exclusive lock on a file that is there only for that.

    The kernel gives it back when its holder dies. Threads of one process exclude each other too,
    because every holder opens the file anew. It is not reentrant.
    """

    path: Path
    timeout_s: float = 30.0

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock while the block runs.

        Raises:
            InUseError: Another holder kept it for longer than the timeout.
        """
        deadline = time.monotonic() + self.timeout_s
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            while not try_lock(descriptor):
                if time.monotonic() >= deadline:
                    raise InUseError(
                        f"Another process has held {self.path} for more than"
                        f" {self.timeout_s:g} s; try again when it is done."
                    )
                time.sleep(_POLL_S)
            yield
        finally:
            os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Lock an open file exclusively; False when somebody else has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
            raise
        return False
    return True
