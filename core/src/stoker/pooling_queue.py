"""The texts that wait in an engine to be read as a whole."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from stoker.engine import EngineInfo, PoolingJob
from stoker.job_checks import check_pooling

_Place = tuple[int, int, int, PoolingJob]
"""A job behind what it is sorted by; the third number is unique."""


class PoolingQueue:
    """Texts by priority, then by turn, then by arrival. For an engine, in its own thread."""

    def __init__(self, info: EngineInfo) -> None:
        """Make an empty queue for an engine with this info."""
        self._info = info
        self._jobs: dict[int, PoolingJob] = {}
        self._queue: list[_Place] = []
        self._submitted = 0

    def __len__(self) -> int:
        """How many texts wait."""
        return len(self._jobs)

    def add(self, job: PoolingJob) -> None:
        """Queue a text.

        Raises:
            InvalidRequestError: As `stoker.job_checks.check_pooling` says.
        """
        check_pooling(job, self._info, self._jobs)
        self._jobs[job.id] = job
        heapq.heappush(self._queue, (-job.priority, job.turn, self._submitted, job))
        self._submitted += 1

    def cancel(self, job_id: int) -> None:
        """Forget a text that was not taken yet; an unknown one is a no-op."""
        self._jobs.pop(job_id, None)
        if not self._jobs:
            self._queue.clear()

    def take(self, most: int, fits: Callable[[Sequence[PoolingJob]], bool]) -> list[PoolingJob]:
        """Take the next texts, at least one if there is any.

        Args:
            most: How many, at most.
            fits: Whether so many texts can be computed together.
        """
        taken: list[PoolingJob] = []
        while self._queue and len(taken) < most:
            job = self._queue[0][-1]
            # The id of a cancelled job may be in use again.
            if self._jobs.get(job.id) is job:
                if taken and not fits([*taken, job]):
                    break
                taken.append(self._jobs.pop(job.id))
            heapq.heappop(self._queue)
        return taken
