"""What is asked of a server, and what was read of its answer."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class Generation:
    """One completion; greedy unless it has a seed."""

    prompt: str
    max_tokens: int
    """Exactly so many unless there is a schema: then the answer may end before."""
    schema: Mapping[str, Any] | None = None
    """The JSON schema that the answer has to keep to."""
    seed: int | None = None
    """Draws each token with this seed."""


@attrs.frozen
class Arrival:
    """A generation that is asked for at a certain moment."""

    generation: Generation
    at_s: float = 0.0
    """After the start of the play that it belongs to."""


@attrs.frozen
class Reading:
    """What was read of one stream. All moments are those of `time.perf_counter`."""

    asked_s: float
    texts_s: tuple[float, ...]
    """When each event came that had text in it."""
    text: str
    completion_tokens: int
    finish_reason: str

    @property
    def first_s(self) -> float:
        """Time to the first text."""
        return self.texts_s[0] - self.asked_s

    @property
    def last_s(self) -> float:
        """Time to the last text."""
        return self.texts_s[-1] - self.asked_s

    def gaps_s(self, start_s: float = 0.0, end_s: float = float("inf")) -> list[float]:
        """The times between events that came in a period."""
        inside = [moment for moment in self.texts_s if start_s <= moment <= end_s]
        return [later - earlier for earlier, later in itertools.pairwise(inside)]


def pace(reading: Reading) -> float:
    """Tokens per second of one stream after its first one: reading the prompt is left out."""
    return (reading.completion_tokens - 1) / (reading.last_s - reading.first_s)


def rate(readings: list[Reading]) -> float:
    """Tokens per second of all streams together, from the first question to the last text."""
    started_s = min(reading.asked_s for reading in readings)
    ended_s = max(reading.texts_s[-1] for reading in readings)
    return sum(reading.completion_tokens for reading in readings) / (ended_s - started_s)
