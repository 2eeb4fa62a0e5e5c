"""Progress reports, thinned out to what people can see."""

from __future__ import annotations

import time

from stoker.digest import Digest
from stoker.store import Progress, ReportProgress

_INTERVAL_S = 0.1


class Meter:
    """Reports the progress of one item; the first and the last report always get through, once.

    Used by one thread.
    """

    def __init__(
        self,
        report: ReportProgress,
        stage: str,
        item: str,
        total_bytes: int,
        digest: Digest | None = None,
    ) -> None:
        """Begin; nothing is reported yet.

        Args:
            report: Told how far the item is.
            stage: What is done, as in `Progress`.
            item: To what, for people.
            total_bytes: How large it is.
            digest: What it is, for programs.
        """
        self._report = report
        self._stage = stage
        self._item = item
        self._total_bytes = total_bytes
        self._digest = digest
        self._next_s = 0.0
        self._is_done = False

    def __call__(self, done_bytes: int) -> None:
        """Say how far the item is.

        Raises:
            OperationCancelledError: Whoever listens wants no more of it.
        """
        now_s = time.monotonic()
        is_done = done_bytes >= self._total_bytes
        if (now_s >= self._next_s or is_done) and not (is_done and self._is_done):
            self._next_s = now_s + _INTERVAL_S
            self._is_done = is_done
            self._report(
                Progress(self._stage, self._item, done_bytes, self._total_bytes, self._digest)
            )
