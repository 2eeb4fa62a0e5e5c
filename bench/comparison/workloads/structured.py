"""Answers that keep to a JSON schema, against free ones of the same server."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import jsonschema

from comparison.generation import Arrival, Generation, Reading, rate
from comparison.peer import PeerError, Session
from comparison.prose import WORDS, beginning
from comparison.workload import Metric, Workload

SCHEMA: dict[str, Any] = {
    "type": "array",
    "minItems": 6,
    "maxItems": 6,
    "items": {
        "type": "object",
        "properties": {
            "thing": {"enum": list(WORDS[:8])},
            "count": {"enum": [1, 2, 3, 5, 8]},
            "note": {"type": "string", "maxLength": 24},
        },
        "required": ["thing", "count", "note"],
        "additionalProperties": False,
    },
}
LIMIT_TOKENS = 480


class _Structured(Workload):
    metrics = (
        Metric("free, tokens/s", "1/s", more_is_better=True),
        Metric("schema, tokens/s", "1/s", more_is_better=True),
        Metric("loss", "%", compared=False),
        Metric("valid answers", "%", compared=False),
    )
    max_tokens: ClassVar[int] = 128

    async def measure(self, session: Session, round_: int) -> dict[str, float]:
        """Free answers, then those with a schema."""
        prompts = [
            f"{beginning(stream, round_)} ... Six things of this story as JSON:"
            for stream in range(self.streams)
        ]
        free = await session.play([Arrival(Generation(p, self.max_tokens)) for p in prompts])
        # Not the same prompts again: they would be known.
        bound = await session.play(
            [Arrival(Generation(f"Second {p}", LIMIT_TOKENS, SCHEMA)) for p in prompts]
        )
        free_rate, bound_rate = rate(free), rate(bound)
        ended = [reading for reading in bound if reading.finish_reason == "stop"]
        for reading in ended:
            check(reading, SCHEMA)
        return {
            "free, tokens/s": free_rate,
            "schema, tokens/s": bound_rate,
            "loss": 100 * (1 - bound_rate / free_rate),
            "valid answers": 100 * len(ended) / len(bound),
        }


class StructuredSingle(_Structured):
    """One stream."""

    name = "json1"
    summary = "one answer that keeps to a JSON schema, against a free one of the same server"


class StructuredEight(_Structured):
    """Eight streams."""

    name = "json8"
    summary = "8 answers at once that keep to a JSON schema, against free ones of the same server"
    streams = 8


def check(reading: Reading, schema: dict[str, Any]) -> None:
    """Look at a finished answer.

    Raises:
        PeerError: It is not what the schema says.
    """
    try:
        jsonschema.validate(json.loads(reading.text), schema)
    except (ValueError, jsonschema.ValidationError) as exc:
        raise PeerError(f"an answer breaks its schema: {reading.text!r}") from exc
