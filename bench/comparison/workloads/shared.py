"""Users whose prompts begin alike."""

from __future__ import annotations

from comparison.generation import Arrival, Generation
from comparison.peer import Session
from comparison.prose import words
from comparison.workload import Metric, Workload, median

MS = 1000.0


class SharedPrompt(Workload):
    """Eight users, one long beginning: of which nobody has asked before, one user has, or all."""

    name = "shared"
    summary = "8 users at once whose prompts begin with the same 500 words"
    metrics = (
        Metric("first token, new to the server, median", "ms"),
        Metric("first token, known from one user, median", "ms"),
        Metric("first token, known from all, median", "ms"),
    )
    streams = 8
    context_length = 1024

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """Eight users with a new beginning; with another one that one user had; with that again."""
        groups = [("new", 8), ("known", 1), ("known", 8), ("known", 8)]
        figures = []
        for number, (beginning, users) in enumerate(groups):
            words_ = words(500, f"shared {beginning} {round_}")
            arrivals = [
                Arrival(Generation(f"{words_}. Question {number}{user}: what", 16))
                for user in range(users)
            ]
            readings = await session.play(arrivals)
            if users == self.streams:
                figures.append(MS * median(reading.first_s for reading in readings))
        return dict(zip((metric.name for metric in self.metrics), figures, strict=True))
