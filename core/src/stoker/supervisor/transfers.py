"""Transfers under way: whoever asks for one that runs already joins it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from stoker.errors import OperationCancelledError, OverloadedError
from stoker.store import Progress, ReportProgress

T = TypeVar("T")

_log = logging.getLogger(__name__)

MAX_AT_ONCE = 4
"""More transfers than this wait: each has several connections of its own."""
MAX_KNOWN = 64
RETRY_AFTER_S = 30.0
CLOSE_TIMEOUT_S = 10.0
"""How long a transfer may take to notice that the supervisor ends."""


class Transfer(Generic[T]):
    """One transfer, and those who wait for it.

    All of it is the event loop's, but `abandoned`, which the working thread reads.
    """

    def __init__(self, work: Callable[[ReportProgress], T], pool: ThreadPoolExecutor) -> None:
        self._loop = asyncio.get_running_loop()
        self._watchers = 0
        self._latest: dict[tuple[str, str], Progress] = {}
        """The last word on each item."""
        self._changed = asyncio.Event()
        self.abandoned = False
        """Nobody waits any more."""
        self.future: asyncio.Future[T] = self._loop.run_in_executor(pool, self._run, work)
        self.future.add_done_callback(self._ended)

    def _run(self, work: Callable[[ReportProgress], T]) -> T:
        self._refuse_abandoned()
        return work(self._report)

    def _report(self, progress: Progress, /) -> None:
        self._refuse_abandoned()
        self._loop.call_soon_threadsafe(self._take, progress)

    def _refuse_abandoned(self) -> None:
        if self.abandoned:
            raise OperationCancelledError("Nobody waits for this transfer any more.")

    def _take(self, progress: Progress) -> None:
        self._latest[progress.stage, progress.item] = progress
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _ended(self, future: asyncio.Future[T]) -> None:
        # Read here, for nobody else may: an error without a reader would be logged as a defect.
        future.exception()
        self._wake()

    async def watch(self) -> AsyncGenerator[Progress | T, None]:
        """The progress from now on, then the result.

        Of each item only the last word is told, so a slow reader misses what does not matter.

        Raises:
            StokerError: The transfer failed.
        """
        told: dict[tuple[str, str], Progress] = {}
        self._watchers += 1
        try:
            while True:
                changed = self._changed
                for key, progress in tuple(self._latest.items()):
                    if told.get(key) is not progress:
                        told[key] = progress
                        yield progress
                if changed is self._changed:
                    if self.future.done():
                        break
                    await changed.wait()
            yield self.future.result()
        finally:
            self._watchers -= 1
            if not self._watchers and not self.future.done():
                self.abandoned = True


class Transfers:
    """All transfers of a supervisor. Used on the event loop only.

    They have threads of their own: those that the event loop lends are for short work.
    """

    def __init__(self) -> None:
        self._transfers: dict[Hashable, Transfer[Any]] = {}
        self._pool = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="transfer")

    async def run(
        self, key: Hashable, work: Callable[[ReportProgress], T]
    ) -> AsyncGenerator[Progress | T, None]:
        """Join the transfer of that key, or begin it.

        It goes on for as long as somebody watches.

        Args:
            key: What makes two transfers the same.
            work: Blocking code; its result comes last.

        Raises:
            OverloadedError: There are too many already.
            StokerError: The transfer failed.
        """
        while (transfer := self._transfers.get(key)) is not None and transfer.abandoned:
            # It has no reader, and ends at its next report.
            await asyncio.wait([transfer.future])
        if transfer is None:
            if len(self._transfers) >= MAX_KNOWN:
                raise OverloadedError(
                    "Too many models are being transferred: try again later.",
                    retry_after_s=RETRY_AFTER_S,
                )
            transfer = self._transfers[key] = Transfer(work, self._pool)
            transfer.future.add_done_callback(lambda _: self._transfers.pop(key))
        async with contextlib.aclosing(transfer.watch()) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        """End all transfers; what has come of them stays for the next attempt."""
        futures = [transfer.future for transfer in self._transfers.values()]
        for transfer in self._transfers.values():
            transfer.abandoned = True
        if futures:
            _, late = await asyncio.wait(futures, timeout=CLOSE_TIMEOUT_S)
            if late:
                _log.error("%d transfers did not end within %gs", len(late), CLOSE_TIMEOUT_S)
        self._pool.shutdown(wait=False, cancel_futures=True)
