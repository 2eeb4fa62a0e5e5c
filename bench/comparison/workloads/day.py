"""A day of a small office in two minutes: conversations over a few system prompts."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from comparison.generation import Arrival, Generation, Reading
from comparison.peer import Session
from comparison.prose import words
from comparison.workload import Metric, Workload, median, percentile
from comparison.workloads.structured import check

MS = 1000.0
USERS = 16
TURNS = 3
SYSTEM_WORDS = (500, 800, 1150, 1500)
QUESTIONS = (
    "What should we do first?",
    "And what comes after that, if it rains?",
    "Who can help us with the last part?",
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "answer": {"type": "string", "maxLength": 60},
        "urgent": {"type": "boolean"},
    },
    "required": ["answer", "urgent"],
    "additionalProperties": False,
}


class MixedDay(Workload):
    """Sixteen users; each reads an answer to its end before the next question."""

    name = "day"
    summary = (
        "16 users, 4 system prompts of 500 to 1,500 words, 3 turns each, a third asks for JSON"
    )
    metrics = (
        Metric("finished requests per minute", "1/min", more_is_better=True),
        Metric("first token, median", "ms"),
        Metric("first token, p95", "ms"),
    )
    streams = USERS
    context_length = 2048

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """All users at once, a quarter of a second apart."""
        started_s = time.perf_counter()
        users = await asyncio.gather(*(_user(session, user, round_) for user in range(USERS)))
        elapsed_s = time.perf_counter() - started_s
        firsts_s = [reading.first_s for readings in users for reading in readings]
        return {
            "finished requests per minute": 60 * len(firsts_s) / elapsed_s,
            "first token, median": MS * median(firsts_s),
            "first token, p95": MS * percentile(firsts_s, 0.95),
        }


async def _user(session: Session, user: int, round_: int) -> list[Reading]:
    await asyncio.sleep(0.25 * user)
    system = user % len(SYSTEM_WORDS)
    text = f"Office {round_}, rules {system}. {words(SYSTEM_WORDS[system], f'{round_} {system}')}."
    text += f"\n\nI am user {user}."
    readings = []
    for turn in range(TURNS):
        text += f"\n\nQuestion: {QUESTIONS[turn]}\nAnswer:"
        wants_json = (user + turn) % 3 == 0
        generation = Generation(text, 64 if wants_json else 48, SCHEMA if wants_json else None)
        (reading,) = await session.play([Arrival(generation)])
        if wants_json and reading.finish_reason == "stop":
            check(reading, SCHEMA)
        readings.append(reading)
        text += reading.text
    return readings
