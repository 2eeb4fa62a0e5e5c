"""Users whose prompts begin alike."""

from __future__ import annotations

from comparison.generation import Arrival, Generation
from comparison.peer import Session
from comparison.prose import words
from comparison.workload import Metric, Workload, median

MS = 1000.0


class SharedPrompt(Workload):
    """Eight users, one long beginning."""

    name = "shared"
    summary = "8 users at once whose prompts begin with the same 500 words: new, then known"
    metrics = (
        Metric("first token, new prompt, median", "ms"),
        Metric("first token, known prompt, median", "ms"),
    )
    streams = 8
    context_length = 1024

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """Two groups, one after the other."""
        beginning = f"Round {round_}. {words(500, f'shared {round_}')}."
        figures = []
        for group in ("first", "second"):
            arrivals = [
                Arrival(Generation(f"{beginning} Question {user} of the {group} group: what", 16))
                for user in range(self.streams)
            ]
            readings = await session.play(arrivals)
            figures.append(MS * median(reading.first_s for reading in readings))
        return dict(zip((metric.name for metric in self.metrics), figures, strict=True))
