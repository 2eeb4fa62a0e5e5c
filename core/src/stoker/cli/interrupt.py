"""Ctrl-C during blocking work that may have threads of its own."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from stoker.errors import OperationCancelledError

CheckInterrupt = Callable[[], None]


@contextlib.contextmanager
def interruptible() -> Iterator[CheckInterrupt]:
    """Let Ctrl-C end the block's work in every thread.

    Python raises `KeyboardInterrupt` in the main thread only, which then may wait for threads that
    go on. So they call what this gives, now and then: after Ctrl-C it raises.
    """
    interrupted = False

    def interrupt(signal_number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.default_int_handler(signal_number, frame)

    def check() -> None:
        if interrupted:
            raise OperationCancelledError("Interrupted.")

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, previous)
