"""Memory that this process has freed, given back to the machine."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def give_back() -> None:
    """Give back what the C library keeps of freed memory for later.

    For the end of work that took much memory for a while. It takes some milliseconds, without the
    interpreter lock; any thread may call it. C libraries other than glibc keep little: with them
    nothing happens.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """The `malloc_trim` of glibc: https://man7.org/linux/man-pages/man3/malloc_trim.3.html."""
    function = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if function is not None:
        function.argtypes, function.restype = [ctypes.c_size_t], ctypes.c_int
    return function
