"""Streams that have nothing in common, from one to sixteen."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import ClassVar

from comparison.generation import Arrival, Generation, rate
from comparison.peer import Session
from comparison.prose import beginning
from comparison.workload import Metric, Workload, median, percentile

MS = 1000.0


class _Streams(Workload):
    metrics = (
        Metric("tokens/s", "1/s", more_is_better=True),
        Metric("first token, median", "ms"),
        Metric("gap, median", "ms"),
        Metric("gap, p95", "ms"),
    )
    for_bare = True
    usual_peers = ("llama-server", "stoker", "bare")
    max_tokens: ClassVar[int] = 128

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """Ask for all at once."""
        arrivals = [
            Arrival(Generation(beginning(stream, round_), self.max_tokens))
            for stream in range(self.streams)
        ]
        readings = await session.play(arrivals)
        gaps_s = [gap_s for reading in readings for gap_s in reading.gaps_s()]
        return {
            "tokens/s": rate(readings),
            "first token, median": MS * median(reading.first_s for reading in readings),
            "gap, median": MS * percentile(gaps_s, 0.5),
            "gap, p95": MS * percentile(gaps_s, 0.95),
        }


class Single(_Streams):
    """One stream."""

    name = "single"
    summary = "one stream of 256 tokens"
    max_tokens = 256


class FourStreams(_Streams):
    """Four streams."""

    name = "streams4"
    summary = "4 streams of 128 tokens at once, nothing shared"
    streams = 4


class SixteenStreams(_Streams):
    """Sixteen streams."""

    name = "streams16"
    summary = "16 streams of 128 tokens at once, nothing shared"
    streams = 16


class BusyCore(Single):
    """One stream beside another program."""

    name = "busy-core"
    summary = "one stream of 32 tokens while another program keeps a core busy"
    # Threads that wait for each other by spinning need more than a second for a token then.
    max_tokens = 32

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """Measure with the other program running."""
        with _another_program():
            return await super().measure(session, round_)


@contextlib.contextmanager
def _another_program() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()
