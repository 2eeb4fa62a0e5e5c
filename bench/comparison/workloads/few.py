"""A few tokens: the same questions for engines that are slow on this machine.

On a processor MLX takes a part of a second for a token, of a prompt as well.
"""

from __future__ import annotations

from typing import Any

from comparison.generation import Arrival, Generation, rate
from comparison.peer import Session
from comparison.prose import words
from comparison.workload import Metric, Workload, median
from comparison.workloads.streams import MS
from comparison.workloads.structured import check

_PEERS = ("mlx-lm", "stoker-mlx")
_SPEED = Metric("tokens/s", "1/s", more_is_better=True)
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"kind": {"enum": ["cat", "dog"]}, "age": {"enum": [1, 2, 3]}},
    "required": ["kind", "age"],
    "additionalProperties": False,
}


class _Few(Workload):
    metrics = (_SPEED, Metric("first token, median", "ms"))
    usual_peers = _PEERS
    context_length = 512
    max_tokens = 24
    seeds = False

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """Ask for all at once."""
        readings = await session.play(
            [
                Arrival(
                    Generation(
                        words(6, f"few {stream} {round_}"),
                        self.max_tokens,
                        seed=stream if self.seeds else None,
                    )
                )
                for stream in range(self.streams)
            ]
        )
        return {
            "tokens/s": rate(readings),
            "first token, median": MS * median(reading.first_s for reading in readings),
        }


class FewSingle(_Few):
    """One stream."""

    name = "few1"
    summary = "one stream of 24 tokens"


class FewFour(_Few):
    """Four streams."""

    name = "few4"
    summary = "4 streams of 24 tokens at once, nothing shared"
    streams = 4


class SeedsFour(_Few):
    """Four streams that draw."""

    name = "seeds4"
    summary = "4 streams of 24 tokens at once, each drawn with a seed of its own"
    streams = 4
    seeds = True


class FewShared(Workload):
    """Prompts that begin with one that the server knows."""

    name = "few-shared"
    summary = "one user after another whose prompts begin with the same 60 words"
    metrics = (Metric("first token, new", "ms"), Metric("first token, known", "ms"))
    usual_peers = _PEERS
    context_length = 512

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """A new beginning, and then the same with two other ends."""
        beginning = words(60, f"few shared {round_}")
        first_ms = []
        for number in range(3):
            generation = Generation(f"{beginning}. Question {number}: what", 4)
            (reading,) = await session.play([Arrival(generation)])
            first_ms.append(MS * reading.first_s)
        return {"first token, new": first_ms[0], "first token, known": median(first_ms[1:])}


class FewStructured(Workload):
    """Answers in a given form."""

    name = "few-json"
    summary = "2 answers at once that keep to a JSON schema"
    metrics = (
        Metric("answer, median", "ms", compared=False),
        Metric("valid answers", "%", compared=False),
    )
    usual_peers = _PEERS
    streams = 2
    context_length = 512

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """Every answer that ended is checked."""
        prompts = [f"A pet as JSON, {round_} {stream}:" for stream in range(self.streams)]
        readings = await session.play([Arrival(Generation(p, 40, _SCHEMA)) for p in prompts])
        ended = [reading for reading in readings if reading.finish_reason == "stop"]
        for reading in ended:
            check(reading, _SCHEMA)
        return {
            "answer, median": MS * median(reading.last_s for reading in readings),
            "valid answers": 100 * len(ended) / len(readings),
        }
