"""Requests so short that what is around the engine shows."""

from __future__ import annotations

import psutil

from comparison.generation import Arrival, Generation
from comparison.peer import Session
from comparison.prose import words
from comparison.workload import Metric, Workload, median
from comparison.workloads.streams import MS

ONE_BY_ONE = 40
AT_ONCE = 16


class ShortRequests(Workload):
    """One token each."""

    name = "requests"
    summary = "requests for 2 tokens after 4 words: 40 one after the other, then 16 at once"
    metrics = (
        Metric("one by one, median", "ms"),
        Metric("one by one, processor time each", "ms"),
        Metric("16 at once, the last one", "ms"),
    )
    streams = AT_ONCE
    context_length = 256
    usual_peers = ("llama-server", "stoker", "example-server", "packaged-server")

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """Ask, each time for something else."""
        before_s = _processor_s(session.pid)
        times_s = []
        for number in range(ONE_BY_ONE):
            (reading,) = await session.play([_arrival(f"{round_} {number}")])
            times_s.append(reading.last_s)
        used_s = _processor_s(session.pid) - before_s
        readings = await session.play(
            [_arrival(f"{round_} at once {number}") for number in range(AT_ONCE)]
        )
        asked_s = min(reading.asked_s for reading in readings)
        return {
            "one by one, median": MS * median(times_s),
            "one by one, processor time each": MS * used_s / ONE_BY_ONE,
            "16 at once, the last one": MS * (max(r.texts_s[-1] for r in readings) - asked_s),
        }


def _arrival(seed: str) -> Arrival:
    return Arrival(Generation(words(4, seed), 2))


def _processor_s(pid: int | None) -> float:
    """What a server's processes have computed so far."""
    if pid is None:
        return 0.0
    root = psutil.Process(pid)
    times = [each.cpu_times() for each in (root, *root.children(recursive=True))]
    return sum(float(each.user + each.system) for each in times)
