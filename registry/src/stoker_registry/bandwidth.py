"""The cap on bandwidth: how an operator writes it, and how all connections share it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

_UNITS = {
    "": 1,
    "k": 1000,
    "M": 1000**2,
    "G": 1000**3,
    "Ki": 1024,
    "Mi": 1024**2,
    "Gi": 1024**3,
}
_RATE = re.compile(r"(?P<number>\d{1,9}(?:\.\d{1,6})?)\s*(?P<unit>[kMG]i?|Ki|)B(?:/s)?")

_BURST_S = 0.25
"""What was not used so long ago may still be used: no more of it, or the cap would be none."""


def parse_bandwidth(text: str) -> float:
    """Read `20 MB/s`, `500 kB` or `1.5GiB/s`, in bytes per second.

    Raises:
        ValueError: It is none of these, or zero.
    """
    match = _RATE.fullmatch(text.strip())
    rate = 0.0
    if match and match["unit"] in _UNITS:
        rate = float(match["number"]) * _UNITS[match["unit"]]
    if rate < 1:
        raise ValueError(f"{text!r} is no bandwidth: write it like '20 MB/s' or '500 kB/s'")
    return rate


class Throttle:
    """Holds all who share it to so many bytes per second.

    `_lock` guards `_next_s`. Callers sleep outside of it.
    """

    def __init__(self, bytes_per_s: float | None) -> None:
        """Make a throttle.

        Args:
            bytes_per_s: The cap; None for none.
        """
        self._bytes_per_s = bytes_per_s
        self._next_s = time.monotonic()
        self._lock = threading.Lock()

    def take(self, size_bytes: int, sleep: Callable[[float], None]) -> None:
        """Account for bytes that have passed, and wait until more may."""
        if self._bytes_per_s is None:
            return
        with self._lock:
            now_s = time.monotonic()
            self._next_s = max(self._next_s, now_s - _BURST_S) + size_bytes / self._bytes_per_s
            wait_s = self._next_s - now_s
        if wait_s > 0:
            sleep(wait_s)
