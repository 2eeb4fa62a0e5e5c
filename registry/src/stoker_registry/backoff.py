"""Trying again: how often, and how long to wait in between."""

from __future__ import annotations

import random
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

    attempts: int = 5
    first_delay_s: float = 0.5
    """Doubles from one attempt to the next."""
    max_delay_s: float = 30.0
    """Also the most that a registry's `Retry-After` can make us wait."""

    def wait_s(self, failures: int, error: TransientTransferError) -> float:
        """How long to wait after so many failures in a row.

        No two clients that failed together shall come back together, so a part of it is chance.
        What a registry asked for is never undercut, but for the maximum.
        """
        spread = random.random()  # noqa: S311 - no secret
        if error.retry_after_s is not None:
            return min(error.retry_after_s * (1 + spread / 10), self.max_delay_s)
        delay_s = min(self.first_delay_s * 2.0 ** (failures - 1), self.max_delay_s)
        return delay_s * (1 + spread) / 2

    def run(self, operation: Callable[[], _T], heartbeat: Heartbeat) -> _T:
        """Call the operation until it succeeds, fails for good, or the attempts are used up.

        Raises:
            TransientTransferError: The last attempt failed like those before.
        """
        for failures in range(1, self.attempts):
            try:
                return operation()
            except TransientTransferError as exc:
                wait_s = self.wait_s(failures, exc)
            _sleep(wait_s, heartbeat)
        return operation()


def _sleep(duration_s: float, heartbeat: Heartbeat) -> None:
    deadline = time.monotonic() + duration_s
    while (left_s := deadline - time.monotonic()) > 0:
        heartbeat()
        time.sleep(min(left_s, _HEARTBEAT_S))
