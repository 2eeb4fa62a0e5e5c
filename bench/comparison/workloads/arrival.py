"""A long prompt that comes while others read their answers."""

from __future__ import annotations

from comparison.generation import Arrival, Generation
from comparison.peer import Session
from comparison.prose import beginning, words
from comparison.workload import Metric, Workload, percentile

MS = 1000.0


class LongArrival(Workload):
    """Four readers, and a fifth with a prompt of 4,000 tokens."""

    name = "arrival"
    summary = "a prompt of 4,000 words comes 1.5 s after 4 streams of 256 tokens began"
    metrics = (
        Metric("gap of the four alone, p95", "ms"),
        Metric("gap of the four meanwhile, p95", "ms"),
        Metric("longest gap meanwhile", "ms"),
        Metric("first token of the long one", "ms"),
    )
    streams = 5
    context_length = 6144

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """The four by themselves, then four with the fifth."""
        alone = await session.play(_four(2 * round_))
        long = Generation(f"Long {round_}. {words(4000, f'arrival {round_}')}", 8)
        *four, fifth = await session.play([*_four(2 * round_ + 1), Arrival(long, at_s=1.5)])
        period = fifth.asked_s, fifth.texts_s[0]
        meanwhile_s = [gap_s for reading in four for gap_s in reading.gaps_s(*period)]
        return {
            "gap of the four alone, p95": MS
            * percentile((gap_s for reading in alone for gap_s in reading.gaps_s()), 0.95),
            "gap of the four meanwhile, p95": MS * percentile(meanwhile_s, 0.95),
            "longest gap meanwhile": MS * max(meanwhile_s, default=fifth.first_s),
            "first token of the long one": MS * fifth.first_s,
        }


def _four(round_: int) -> list[Arrival]:
    return [Arrival(Generation(beginning(stream, round_), 256)) for stream in range(4)]
