"""What the process costs: its start, and its memory."""

from __future__ import annotations

import psutil

from comparison.generation import Arrival, Generation
from comparison.peer import PeerError, Session
from comparison.prose import beginning
from comparison.workload import Metric, Workload

MIB = 1 << 20


class ColdStart(Workload):
    """From nothing to the first token."""

    name = "cold-start"
    summary = "from the start of the process to the first token"
    metrics = (Metric("first token", "s"),)
    starts_anew = True

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """Ask as soon as it answers."""
        (reading,) = await session.play([Arrival(Generation(beginning(0, round_), 2))])
        return {"first token": reading.texts_s[0] - session.launched_s}


class Memory(Workload):
    """Of all of its processes, after an answer."""

    name = "memory"
    summary = "memory after an answer, with room for 4 streams of 2,048 tokens"
    metrics = (
        Metric("PSS, all processes", "MiB"),
        Metric("PSS, the process with the model", "MiB"),
        Metric("RSS, all processes", "MiB"),
    )
    streams = 4
    context_length = 2048
    starts_anew = True

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """The process with the model is the largest one."""
        await session.play([Arrival(Generation(beginning(0, round_), 32))])
        if session.pid is None:
            raise PeerError("it has no process of its own")
        root = psutil.Process(session.pid)
        tree = [process.memory_full_info() for process in (root, *root.children(recursive=True))]
        return {
            "PSS, all processes": sum(info.pss for info in tree) / MIB,
            "PSS, the process with the model": max(info.pss for info in tree) / MIB,
            "RSS, all processes": sum(info.rss for info in tree) / MIB,
        }
