"""What was read of a file, for as long as the file stays the one that was read.

A server resolves a name for every request, and reads the same few files each time. To look whether
they are still the same costs a twentieth of reading and checking them again.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Generic, TypeVar

Mark = tuple[int, int, int, int]
"""By which a file is known again: another one, or one that was written to, has another."""

MAX_VALUES = 1024

ValueT = TypeVar("ValueT")


def mark_of(path: Path) -> Mark | None:
    """The mark of a file; None when it cannot be looked at. Take it before the file is read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Remembered(Generic[ValueT]):
    """Values by key, each with the mark of the file that it comes from. Any thread may use it."""

    def __init__(self) -> None:
        self._values: dict[Hashable, tuple[Mark, ValueT]] = {}

    def find(self, key: Hashable, mark: Mark | None) -> ValueT | None:
        """The value that was kept under a key; None when the file is another one by now."""
        found = self._values.get(key)
        return found[1] if found is not None and found[0] == mark else None

    def keep(self, key: Hashable, mark: Mark | None, value: ValueT) -> None:
        """Keep a value. Without a mark it cannot be known how long it holds: a no-op."""
        if mark is None:
            return
        if len(self._values) >= MAX_VALUES:
            self._values.clear()
        self._values[key] = (mark, value)
