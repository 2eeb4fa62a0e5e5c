"""Trying again: how often, and how long to wait in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import attrs

from stoker.errors import TransferError

_T = TypeVar("_T")
_HEARTBEAT_S = 0.1

Heartbeat = Callable[[], None]
"""Called while nothing happens; raises `OperationCancelledError` to end the wait."""


def no_heartbeat() -> None:
    """The heartbeat of an operation that cannot be cancelled."""


class TransientTransferError(TransferError):
    """A failure that another attempt may not meet.

    Attributes:
        retry_after_s: How long the registry asked us to wait; None when it did not say.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


@attrs.frozen
class Backoff:
    """How an operation is tried again."""

    attempts: int = 4
    first_delay_s: float = 0.5
    """Doubles from one attempt to the next."""
    max_delay_s: float = 30.0
    """Also the most that a registry's `Retry-After` can make us wait."""

    def run(self, operation: Callable[[], _T], heartbeat: Heartbeat) -> _T:
        """Call the operation until it succeeds, fails for good, or the attempts are used up.

        Raises:
            TransientTransferError: The last attempt failed like those before.
        """
        delay_s = self.first_delay_s
        for _ in range(self.attempts - 1):
            try:
                return operation()
            except TransientTransferError as exc:
                asked_s = exc.retry_after_s
            wait_s = delay_s if asked_s is None else asked_s
            _sleep(min(wait_s, self.max_delay_s), heartbeat)
            delay_s *= 2
        return operation()


def _sleep(duration_s: float, heartbeat: Heartbeat) -> None:
    deadline = time.monotonic() + duration_s
    while (left_s := deadline - time.monotonic()) > 0:
        heartbeat()
        time.sleep(min(left_s, _HEARTBEAT_S))
